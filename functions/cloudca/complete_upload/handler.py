"""POST /v1/services/{serviceCode}/{environmentName}/snapshots/{snapshotId}/uploads: all parts were sent."""

from tidemark import web
from tidemark.dialects.cloudca.answers import accepted
from tidemark.dialects.cloudca.requests import complete_wanted, environment_in, snapshot_in
from tidemark.dialects.cloudca.routes import UPLOADS
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.import_volume_image import complete_upload


def complete(ports: Ports, request: Request) -> Response:
    """Answers 202 with the task of the import; 400 naming the part that is missing."""
    digest = complete_wanted(request)
    return accepted(complete_upload(ports, environment_in(request), snapshot_in(request), digest=digest).task)


handler = web.handler({f"POST {UPLOADS}": complete}, dialect="cloudca")
