"""GET /v2/snapshots: the tenant's snapshots, newest first; with `status=deleted` those in the recycle bin."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.ngsi.snapshot_metadata import parse_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.telemetry import TENANT, report_damage
from tidemark.usecases.read_snapshots import list_snapshots


def list_page(ports: Ports, request: Request) -> Response:
    """Answers 200 with an array. Damaged records hide no others, and go to the log and the alarm."""
    page, wanted = page_wanted(request), parse_wanted(request)
    listing = list_snapshots(ports, request.tenant, limit=page.limit, offset=page.offset, wanted=wanted)
    report_damage((failure.message for failure in listing.damage), **{TENANT: request.tenant})
    return json_response(200, [snapshots.listed(snapshot) for snapshot in listing.items], page.headers(listing.total))


handler = web.handler({"GET /v2/snapshots": list_page})
