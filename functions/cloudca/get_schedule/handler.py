"""GET /v1/services/{serviceCode}/{environmentName}/schedules/{scheduleId}: one schedule, its last and next slot."""

from tidemark import web
from tidemark.dialects.cloudca.requests import environment_in
from tidemark.dialects.cloudca.routes import SCHEDULE
from tidemark.dialects.cloudca.schedules import one_schedule, schedule_in
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.volume_schedules import get_volume_schedule


def get(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    schedule = get_volume_schedule(ports, environment_in(request), schedule_in(request))
    return one_schedule(schedule, ports.clock.now())


handler = web.handler({f"GET {SCHEDULE}": get}, dialect="cloudca")
