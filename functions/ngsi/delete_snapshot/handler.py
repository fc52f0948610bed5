"""DELETE /v2/snapshots/{snapshotId}: put a snapshot into the recycle bin."""

from tidemark import bootstrap, web
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.delete_snapshot import delete_snapshot


def delete(ports: Ports, request: Request) -> Response:
    """Answers 204."""
    days = bootstrap.settings().recycle_bin_days
    delete_snapshot(ports, request.tenant, snapshots.named(request), recycle_bin_days=days)
    return Response(204)


handler = web.handler({"DELETE /v2/snapshots/{snapshotId}": delete})
