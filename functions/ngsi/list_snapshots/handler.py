"""GET /v2/snapshots: the tenant's snapshots, newest first."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import list_snapshots


def list_page(ports: Ports, request: Request) -> Response:
    """Answers 200 with an array."""
    page = page_wanted(request)
    listing = list_snapshots(ports, request.tenant, limit=page.limit, offset=page.offset)
    return json_response(200, [snapshots.summary(snapshot) for snapshot in listing.items], page.headers(listing.total))


handler = web.handler({"GET /v2/snapshots": list_page})
