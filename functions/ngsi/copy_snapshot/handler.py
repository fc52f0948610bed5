"""POST /v2/snapshots/{snapshotId}/copy: copy a snapshot, to another tenant too."""

from tidemark import web
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.copy_snapshot import copy_snapshot


def copy(ports: Ports, request: Request) -> Response:
    """Answers 202 with the copy, which is in the tenant that the body names; the state machine goes on with it."""
    name = snapshots.named(request)
    wanted = snapshots.parse_copy(request.json(max_bytes=snapshots.MAX_BODY_BYTES))
    # Of repeats too: the answer that is kept is of that tenant, which the key may have lost since.
    request.check_may_use(wanted.tenant)

    @once
    def begin(ports: Ports, request: Request) -> Response:
        made = copy_snapshot(
            ports, request.tenant, name, wanted.tenant, description=wanted.description, asked=request.asked
        )
        return json_response(202, snapshots.detail(made), snapshots.location(made.id))

    return begin(ports, request)


handler = web.handler({"POST /v2/snapshots/{snapshotId}/copy": copy})
