"""POST /v2/snapshots/import: begin a snapshot that will be made of uploaded files."""

from tidemark import web
from tidemark.dialects import addresses
from tidemark.dialects.idempotency import once
from tidemark.dialects.ngsi import imports, snapshots
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.import_snapshot import open_import, read_import


def begin(ports: Ports, request: Request) -> Response:
    """Answers 201 with the addresses to which the files are PUT; a repeat under a key gets new ones of the same."""
    expires_s = addresses.expiry_s(request)
    kept = register(ports, request)
    told = imports.registered(kept.body)
    opened = read_import(ports, request.tenant, told.id)
    return json_response(kept.status, imports.render(ports, opened, expires_s, told), snapshots.location(told.id))


@once
def register(ports: Ports, request: Request) -> Response:
    """The answer without its addresses: they are a permission, end, and are too many to be kept."""
    snapshot = open_import(ports, request.tenant, imports.parse_import(request.json()), asked=request.asked)
    return json_response(201, snapshots.summary(snapshot))


handler = web.handler({"POST /v2/snapshots/import": begin})
