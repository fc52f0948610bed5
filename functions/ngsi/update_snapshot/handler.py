"""PATCH /v2/snapshots/{snapshotId}: change the description, labels, expiry or pin of a snapshot."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.snapshot_metadata import parse_update
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.update_snapshot import update_snapshot


def update(ports: Ports, request: Request) -> Response:
    """Answers 204, as NGSIv2 does to every PATCH."""
    change = parse_update(request.json(max_bytes=snapshots.MAX_BODY_BYTES))
    update_snapshot(ports, request.tenant, snapshots.named(request), change)
    return Response(204)


handler = web.handler({"PATCH /v2/snapshots/{snapshotId}": update})
