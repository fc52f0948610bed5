"""GET /v2/schedules/{scheduleId}: one schedule, with its last and its next run."""

from tidemark import web
from tidemark.dialects.ngsi import schedules
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.ports import Ports
from tidemark.usecases.read_schedules import get_schedule


def get(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    schedule = get_schedule(ports, request.tenant, schedules.named(request))
    return json_response(200, schedules.render(schedule, ports.clock.now()))


handler = web.handler({"GET /v2/schedules/{scheduleId}": get})
