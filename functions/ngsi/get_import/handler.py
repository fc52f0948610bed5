"""GET /v2/snapshots/{snapshotId}/import: new addresses of the parts that an import still waits for."""

from tidemark import web
from tidemark.dialects import addresses
from tidemark.dialects.ngsi import imports, snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.import_snapshot import open_again


def show(ports: Ports, request: Request) -> Response:
    """Answers 200; 409 once the import has begun."""
    expires_s = addresses.expiry_s(request)
    opened = open_again(ports, request.tenant, snapshots.named(request))
    return json_response(200, imports.render(ports, opened, expires_s))


handler = web.handler({"GET /v2/snapshots/{snapshotId}/import": show})
