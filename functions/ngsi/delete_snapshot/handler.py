"""DELETE /v2/snapshots/{snapshotId}: forget a snapshot."""

from tidemark import web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.delete_snapshot import delete_snapshot


def delete(ports: Ports, request: Request) -> Response:
    """Answers 204."""
    delete_snapshot(ports, request.tenant, snapshots.named(request))
    return Response(204)


handler = web.handler({"DELETE /v2/snapshots/{snapshotId}": delete})
