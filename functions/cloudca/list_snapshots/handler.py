"""GET /v1/services/{serviceCode}/{environmentName}/snapshots: the snapshots of an environment, or of one volume."""

from tidemark import web
from tidemark.dialects.cloudca.answers import snapshot_list
from tidemark.dialects.cloudca.requests import environment_in, volume_filter
from tidemark.dialects.cloudca.routes import SNAPSHOTS
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.telemetry import ENVIRONMENT, report_damage
from tidemark.usecases.read_volume_snapshots import list_volume_snapshots


def list_snapshots(ports: Ports, request: Request) -> Response:
    """Answers 200, newest first. Damaged records hide no others, and go to the log and the alarm."""
    environment = environment_in(request)
    found = list_volume_snapshots(ports, environment, volume_id=volume_filter(request))
    report_damage((one.failure.message for one in found.damaged), **{ENVIRONMENT: environment})
    return snapshot_list(found.snapshots)


handler = web.handler({f"GET {SNAPSHOTS}": list_snapshots}, dialect="cloudca")
