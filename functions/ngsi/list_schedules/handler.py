"""GET /v2/schedules: the tenant's schedules, oldest first."""

from tidemark import web
from tidemark.dialects.ngsi import schedules
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.telemetry import TENANT, report_damage
from tidemark.usecases.read_schedules import list_schedules


def list_page(ports: Ports, request: Request) -> Response:
    """Answers 200 with an array. Damaged records hide no others, and go to the log and the alarm."""
    page, now = page_wanted(request), ports.clock.now()
    listing = list_schedules(ports, request.tenant, limit=page.limit, offset=page.offset)
    report_damage((failure.message for failure in listing.damage), **{TENANT: request.tenant})
    return json_response(200, [schedules.listed(one, now) for one in listing.items], page.headers(listing.total))


handler = web.handler({"GET /v2/schedules": list_page})
