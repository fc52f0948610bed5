"""GET /v1/services/{serviceCode}/{environmentName}/volumes: the volumes that snapshots can be taken of."""

from tidemark import web
from tidemark.dialects.cloudca.answers import volume_list
from tidemark.dialects.cloudca.requests import environment_in, volumes_wanted
from tidemark.dialects.cloudca.routes import VOLUMES
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases import read_volumes


def list_volumes(ports: Ports, request: Request) -> Response:
    """Answers 200, oldest first."""
    wanted = volumes_wanted(request)
    return volume_list(
        read_volumes.list_volumes(ports, environment_in(request), kind=wanted.kind, instance=wanted.instance_id)
    )


handler = web.handler({f"GET {VOLUMES}": list_volumes}, dialect="cloudca")
