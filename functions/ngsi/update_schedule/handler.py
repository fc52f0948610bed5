"""PATCH /v2/schedules/{scheduleId}: change when a schedule is due, what it makes and keeps, or pause it."""

from tidemark import web
from tidemark.dialects.ngsi import schedules
from tidemark.dialects.ngsi.snapshots import MAX_BODY_BYTES
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.update_schedule import update_schedule


def update(ports: Ports, request: Request) -> Response:
    """Answers 204, as NGSIv2 does to every PATCH, once EventBridge Scheduler has the change."""
    change = schedules.parse_update(request.json(max_bytes=MAX_BODY_BYTES))
    update_schedule(ports, request.tenant, schedules.named(request), change)
    return Response(204)


handler = web.handler({"PATCH /v2/schedules/{scheduleId}": update})
