"""POST /v2/snapshots/{snapshotId}/undelete: bring a snapshot back from the recycle bin."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.undelete_snapshot import undelete_snapshot


def undelete(ports: Ports, request: Request) -> Response:
    """Answers 200 with the snapshot, as it was."""
    snapshots.parse_bare(request.optional_json(max_bytes=snapshots.MAX_BODY_BYTES))
    return json_response(200, snapshots.detail(undelete_snapshot(ports, request.tenant, snapshots.named(request))))


handler = web.handler({"POST /v2/snapshots/{snapshotId}/undelete": undelete})
