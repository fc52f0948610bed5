"""GET /v1/tasks/{taskId}: how a task stands, whatever environment of the key's it is of."""

from tidemark import web
from tidemark.dialects.cloudca.answers import one_task
from tidemark.dialects.cloudca.requests import task_in
from tidemark.dialects.cloudca.routes import TASK
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases import read_volume_snapshots


def get_task(ports: Ports, request: Request) -> Response:
    """Answers 200."""
    found = read_volume_snapshots.get_task(ports, request.held_environments, task_in(request))
    return one_task(found.task, found.made)


handler = web.handler({f"GET {TASK}": get_task}, dialect="cloudca")
