"""POST /v2/snapshots/{snapshotId}/import: the files are uploaded, make the snapshot of them."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.import_snapshot import start_import


def start(ports: Ports, request: Request) -> Response:
    """Answers 202; the state machine goes on with it."""
    snapshots.parse_bare(request.optional_json(max_bytes=snapshots.MAX_BODY_BYTES))
    begun = start_import(ports, request.tenant, snapshots.named(request))
    return json_response(202, snapshots.detail(begun), snapshots.location(begun.id))


handler = web.handler({"POST /v2/snapshots/{snapshotId}/import": start})
