"""GET /v2/snapshots/{snapshotId}: one snapshot in detail."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import get_snapshot, transfer_progress


def get(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    snapshot = get_snapshot(ports, request.tenant, snapshots.named(request))
    return json_response(200, snapshots.detail(snapshot, transfer_progress(ports, snapshot)))


handler = web.handler({"GET /v2/snapshots/{snapshotId}": get})
