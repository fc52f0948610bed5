"""DELETE /v2/schedules/{scheduleId}: end a schedule. The snapshots that it made stay."""

from tidemark import web
from tidemark.dialects.ngsi import schedules
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.delete_schedule import delete_schedule


def delete(ports: Ports, request: Request) -> Response:
    """Answers 204."""
    delete_schedule(ports, request.tenant, schedules.named(request))
    return Response(204)


handler = web.handler({"DELETE /v2/schedules/{scheduleId}": delete})
