"""POST /v2/snapshots/import: begin a snapshot that will be made of uploaded files."""

from msgspec import to_builtins

from tidemark import web
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import exports, imports, snapshots
from tidemark.dialects.wire import Request, Response, json_response, parse_json
from tidemark.ports import Ports
from tidemark.usecases.import_snapshot import open_import, read_import


def begin(ports: Ports, request: Request) -> Response:
    """Answers 201 with the addresses to which the files are PUT; a repeat under a key gets new ones of the same."""
    expires_s = exports.expiry_s(request)
    kept = register(ports, request)
    told = parse_json(kept.body.encode())
    opened = read_import(ports, request.tenant, told["id"])
    document = {**to_builtins(imports.render(ports, opened, expires_s)), **told}
    return json_response(kept.status, document, snapshots.location(opened.snapshot.id))


@once
def register(ports: Ports, request: Request) -> Response:
    """The answer without its addresses: they are a permission, end, and are too many to be kept."""
    snapshot = open_import(ports, request.tenant, imports.parse_import(request.json()), asked=request.asked)
    return json_response(201, snapshots.summary(snapshot))


handler = web.handler({"POST /v2/snapshots/import": begin})
