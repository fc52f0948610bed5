"""DELETE /v1/services/{serviceCode}/{environmentName}/snapshots/{snapshotId}: delete a snapshot of a volume."""

from tidemark import web
from tidemark.dialects.cloudca.answers import accepted
from tidemark.dialects.cloudca.requests import check_bare, environment_in, snapshot_in
from tidemark.dialects.cloudca.routes import SNAPSHOT
from tidemark.dialects.idempotency import once
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot


@once
def delete(ports: Ports, request: Request) -> Response:
    """Answers 202 with the task that deletes it."""
    check_bare(request)
    return accepted(delete_volume_snapshot(ports, environment_in(request), snapshot_in(request), asked=request.asked))


handler = web.handler({f"DELETE {SNAPSHOT}": delete}, dialect="cloudca")
