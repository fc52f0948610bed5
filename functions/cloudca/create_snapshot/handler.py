"""POST /v1/services/{serviceCode}/{environmentName}/snapshots: begin a snapshot of a volume."""

from tidemark import web
from tidemark.dialects.cloudca.answers import accepted
from tidemark.dialects.cloudca.requests import create_wanted, environment_in
from tidemark.dialects.cloudca.routes import SNAPSHOTS
from tidemark.dialects.idempotency import once
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot


@once
def create(ports: Ports, request: Request) -> Response:
    """Answers 202 with the task that makes it."""
    asked = create_wanted(request)
    wanted = Wanted(asked.volume_id, asked.name, keeps_source=asked.rapid)
    return accepted(create_volume_snapshot(ports, environment_in(request), wanted, asked=request.asked))


handler = web.handler({f"POST {SNAPSHOTS}": create}, dialect="cloudca")
