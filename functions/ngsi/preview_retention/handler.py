"""POST /v2/schedules/{scheduleId}/retention/preview: what a retention policy would keep and forget now, and why."""

from tidemark import web
from tidemark.dialects.ngsi import previews, schedules
from tidemark.dialects.ngsi.snapshots import MAX_BODY_BYTES
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.telemetry import TENANT, report_damage
from tidemark.usecases.preview_retention import preview_retention


def preview(ports: Ports, request: Request) -> Response:
    """Answers 200. Nothing is deleted. Damaged records go to the log and the alarm."""
    policy = previews.parse_preview(request.optional_json(max_bytes=MAX_BODY_BYTES))
    part = previews.part_wanted(request)
    found = preview_retention(ports, request.tenant, schedules.named(request), policy)
    report_damage((failure.message for failure in found.damage), **{TENANT: request.tenant})
    return json_response(200, previews.render(found, part))


handler = web.handler({"POST /v2/schedules/{scheduleId}/retention/preview": preview})
