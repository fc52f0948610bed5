"""GET /v1/services/{serviceCode}/{environmentName}/snapshots/{snapshotId}/uploads: where the parts of an import go."""

from tidemark import web
from tidemark.dialects.cloudca.images import one_upload
from tidemark.dialects.cloudca.requests import environment_in, snapshot_in
from tidemark.dialects.cloudca.routes import UPLOADS
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.import_volume_image import open_upload


def list_uploads(ports: Ports, request: Request) -> Response:
    """Answers 200 with addresses; 400 once the import has begun."""
    return one_upload(ports, request, open_upload(ports, environment_in(request), snapshot_in(request)))


handler = web.handler({f"GET {UPLOADS}": list_uploads}, dialect="cloudca")
