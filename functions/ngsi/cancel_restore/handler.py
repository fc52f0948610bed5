"""DELETE /v2/restores/{restoreId}: cancel a restore that has not been cut over."""

from tidemark import web
from tidemark.dialects.ngsi import restores
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.cancel_restore import cancel_restore


def cancel(ports: Ports, request: Request) -> Response:
    """Answers 202: the state machine rolls back what was staged."""
    progress = cancel_restore(ports, request.tenant, restores.named(request))
    return json_response(202, restores.render(progress), restores.location(progress.restore.id))


handler = web.handler({"DELETE /v2/restores/{restoreId}": cancel})
