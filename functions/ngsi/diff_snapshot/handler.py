"""GET /v2/snapshots/{snapshotId}/diff: what became of a snapshot's entities by another one, or by now."""

from tidemark import web
from tidemark.dialects.ngsi import diff
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.ngsi.snapshots import named
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.compare import compare


def get(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    page, old_id, new_id = page_wanted(request), named(request), diff.other_side(request)
    found = compare(ports, request.tenant, old_id, new_id, diff.wanted(request, page))
    return json_response(200, diff.render(old_id, new_id, found), page.headers(found.total))


handler = web.handler({"GET /v2/snapshots/{snapshotId}/diff": get})
