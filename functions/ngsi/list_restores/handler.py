"""GET /v2/restores: the tenant's restores, newest first."""

from tidemark import web
from tidemark.dialects.ngsi import restores
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.read_restores import list_restores


def list_page(ports: Ports, request: Request) -> Response:
    """Answers 200 with an array."""
    page = page_wanted(request)
    listing = list_restores(ports, request.tenant, limit=page.limit, offset=page.offset)
    return json_response(200, [restores.render(progress) for progress in listing.items], page.headers(listing.total))


handler = web.handler({"GET /v2/restores": list_page})
