"""DELETE /v1/services/{serviceCode}/{environmentName}/schedules/{scheduleId}: end a schedule. Its snapshots stay."""

from tidemark import web
from tidemark.dialects.cloudca.requests import check_bare, environment_in
from tidemark.dialects.cloudca.routes import SCHEDULE
from tidemark.dialects.cloudca.schedules import done, schedule_in
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.volume_schedules import delete_volume_schedule


def delete(ports: Ports, request: Request) -> Response:
    """Answers 200: it is done."""
    check_bare(request)
    delete_volume_schedule(ports, environment_in(request), schedule_in(request))
    return done(None, ports.clock.now())


handler = web.handler({f"DELETE {SCHEDULE}": delete}, dialect="cloudca")
