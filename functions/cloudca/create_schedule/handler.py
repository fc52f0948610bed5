"""POST /v1/services/{serviceCode}/{environmentName}/schedules: have snapshots of a volume taken on a schedule."""

from tidemark import bootstrap, web
from tidemark.dialects.cloudca.requests import environment_in
from tidemark.dialects.cloudca.routes import SCHEDULES
from tidemark.dialects.cloudca.schedules import done, schedule_wanted
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.set_volume_schedule import set_volume_schedule


def create(ports: Ports, request: Request) -> Response:
    """Answers 200 once EventBridge Scheduler has it: a new one, or the one of that interval type, changed."""
    wanted, quota = schedule_wanted(request), bootstrap.settings().schedules_per_environment
    schedule = set_volume_schedule(ports, environment_in(request), wanted, quota=quota)
    return done(schedule, ports.clock.now())


handler = web.handler({f"POST {SCHEDULES}": create}, dialect="cloudca")
