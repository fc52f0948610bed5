"""POST /v2/snapshots/import: begin a snapshot that will be made of uploaded files."""

from tidemark import web
from tidemark.dialects.ngsi import exports, imports, snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.import_snapshot import open_import


def begin(ports: Ports, request: Request) -> Response:
    """Answers 201 with the addresses to which the files are PUT."""
    expires_s = exports.expiry_s(request)
    opened = open_import(ports, request.tenant, imports.parse_import(request.json()))
    return json_response(201, imports.render(ports, opened, expires_s), snapshots.location(opened.snapshot.id))


handler = web.handler({"POST /v2/snapshots/import": begin})
