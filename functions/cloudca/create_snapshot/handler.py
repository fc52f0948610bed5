"""POST /v1/services/{serviceCode}/{environmentName}/snapshots: begin one of a volume, or of an image."""

from tidemark import web
from tidemark.dialects.cloudca.answers import accepted
from tidemark.dialects.cloudca.images import accepted_import
from tidemark.dialects.cloudca.requests import asks_for_import, create_wanted, environment_in, import_wanted
from tidemark.dialects.cloudca.routes import SNAPSHOTS
from tidemark.dialects.idempotency import once
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.import_volume_image import ImageWanted, import_volume_image


@once
def create(ports: Ports, request: Request) -> Response:
    """Answers 202 with the task that makes it."""
    if asks_for_import(request):
        image = ImageWanted(*import_wanted(request))
        return accepted_import(import_volume_image(ports, environment_in(request), image, asked=request.asked))
    asked = create_wanted(request)
    wanted = Wanted(asked.volume_id, asked.name, keeps_source=asked.rapid)
    return accepted(create_volume_snapshot(ports, environment_in(request), wanted, asked=request.asked))


handler = web.handler({f"POST {SNAPSHOTS}": create}, dialect="cloudca")
