"""GET /v1/services/{serviceCode}/{environmentName}/snapshots/{snapshotId}/image: what an image is put together from."""

from datetime import timedelta

from tidemark import web
from tidemark.dialects.addresses import expiry_s
from tidemark.dialects.cloudca.images import one_image
from tidemark.dialects.cloudca.requests import environment_in, snapshot_in
from tidemark.dialects.cloudca.routes import IMAGE
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.export_volume_image import export_volume_image


def get_image(ports: Ports, request: Request) -> Response:
    """Answers 200 with addresses, whose objects stay there while they are good."""
    until = ports.clock.now() + timedelta(seconds=expiry_s(request))
    return one_image(
        ports, request, export_volume_image(ports, environment_in(request), snapshot_in(request), until=until)
    )


handler = web.handler({f"GET {IMAGE}": get_image}, dialect="cloudca")
