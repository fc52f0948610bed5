"""GET /v1/services/{serviceCode}/{environmentName}/volumes/{volumeId}: one volume, as EC2 has it at this moment."""

from tidemark import web
from tidemark.dialects.cloudca.answers import one_volume
from tidemark.dialects.cloudca.requests import environment_in, volume_in
from tidemark.dialects.cloudca.routes import VOLUME
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases import read_volumes


def get_volume(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    return one_volume(read_volumes.get_volume(ports, environment_in(request), volume_in(request)))


handler = web.handler({f"GET {VOLUME}": get_volume}, dialect="cloudca")
