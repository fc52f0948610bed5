"""POST /v2/snapshots/{snapshotId}/restore: put the tenant back to a snapshot."""

from tidemark import web
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import restores, snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.restore_snapshot import restore_snapshot


@once
def restore(ports: Ports, request: Request) -> Response:
    """Answers 202; the restore goes on in the state machine."""
    wanted = snapshots.parse_restore(request.optional_json(max_bytes=snapshots.MAX_BODY_BYTES))
    begun = restore_snapshot(
        ports,
        request.tenant,
        snapshots.named(request),
        safety_snapshot=wanted.safety_snapshot,
        asked=request.asked,
    )
    return json_response(202, snapshots.accepted(begun), restores.location(begun.id))


handler = web.handler({"POST /v2/snapshots/{snapshotId}/restore": restore})
