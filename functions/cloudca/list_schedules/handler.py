"""GET /v1/services/{serviceCode}/{environmentName}/schedules: the schedules of an environment, or of one volume."""

from tidemark import web
from tidemark.dialects.cloudca.requests import environment_in, volume_filter
from tidemark.dialects.cloudca.routes import SCHEDULES
from tidemark.dialects.cloudca.schedules import schedule_list
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.telemetry import ENVIRONMENT, report_damage
from tidemark.usecases.volume_schedules import list_volume_schedules


def list_schedules(ports: Ports, request: Request) -> Response:
    """Answers 200, oldest first. Damaged records hide no others, and go to the log and the alarm."""
    environment = environment_in(request)
    found = list_volume_schedules(ports, environment, volume_id=volume_filter(request))
    report_damage((failure.message for failure in found.damage), **{ENVIRONMENT: environment})
    return schedule_list(found.schedules, ports.clock.now())


handler = web.handler({f"GET {SCHEDULES}": list_schedules}, dialect="cloudca")
