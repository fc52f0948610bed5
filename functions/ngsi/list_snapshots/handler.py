"""GET /v2/snapshots: the tenant's snapshots, newest first; with `status=deleted` those in the recycle bin."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.telemetry import TENANT, report_damage
from tidemark.usecases.read_snapshots import list_recycle_bin, list_snapshots


def list_page(ports: Ports, request: Request) -> Response:
    """Answers 200 with an array. Damaged records hide no others, and go to the log and the alarm."""
    page = page_wanted(request)
    if snapshots.asks_for_recycle_bin(request):
        deleted = list_recycle_bin(ports, request.tenant, limit=page.limit, offset=page.offset)
        answer, total, damage = [snapshots.in_recycle_bin(one) for one in deleted.items], deleted.total, deleted.damage
    else:
        found = list_snapshots(ports, request.tenant, limit=page.limit, offset=page.offset)
        answer, total, damage = [snapshots.listed(one) for one in found.items], found.total, found.damage
    report_damage((failure.message for failure in damage), **{TENANT: request.tenant})
    return json_response(200, answer, page.headers(total))


handler = web.handler({"GET /v2/snapshots": list_page})
