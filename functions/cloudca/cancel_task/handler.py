"""DELETE /v1/tasks/{taskId}: cancel a task that makes a volume or a template of a snapshot."""

from tidemark import web
from tidemark.dialects.cloudca import answers
from tidemark.dialects.cloudca.requests import task_in
from tidemark.dialects.cloudca.routes import TASK
from tidemark.dialects.wire import Request, Response
from tidemark.ports import Ports
from tidemark.usecases.cancel_task import cancel_task


def cancel(ports: Ports, request: Request) -> Response:
    """Answers 200 with the task, which has failed with the reason that it was cancelled."""
    return answers.one_task(cancel_task(ports, request.held_environments, task_in(request)))


handler = web.handler({f"DELETE {TASK}": cancel}, dialect="cloudca")
