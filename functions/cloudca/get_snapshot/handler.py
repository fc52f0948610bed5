"""GET /v1/services/{serviceCode}/{environmentName}/snapshots/{snapshotId}: one snapshot of a volume."""

from tidemark import web
from tidemark.dialects.cloudca.answers import one_snapshot
from tidemark.dialects.cloudca.requests import environment_in, snapshot_in
from tidemark.dialects.cloudca.routes import SNAPSHOT
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.read_volume_snapshots import get_volume_snapshot


def get_snapshot(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    return one_snapshot(get_volume_snapshot(ports, environment_in(request), snapshot_in(request)))


handler = web.handler({f"GET {SNAPSHOT}": get_snapshot}, dialect="cloudca")
