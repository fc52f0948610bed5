"""GET /v2/restores/{restoreId}: how far a restore is, or how it ended."""

from tidemark import web
from tidemark.dialects.ngsi import restores
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.read_restores import get_restore


def get(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    return json_response(200, restores.render(get_restore(ports, request.tenant, restores.named(request))))


handler = web.handler({"GET /v2/restores/{restoreId}": get})
