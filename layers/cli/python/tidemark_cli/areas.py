"""What commands about volumes have in common: the environment that they are about, its paths, and its tasks."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli.api import path
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session
from tidemark_cli.snapshots import print_ids
from tidemark_cli.waiting import detached, until_over, waiting_for

_BASE: Final = "/v1"

EnvironmentOption = Annotated[
    str | None,
    typer.Option(
        "--environment",
        envvar="TIDEMARK_ENVIRONMENT",
        metavar="SERVICE/NAME",
        help="The environment: compute-on/test_area.",
    ),
]

VolumeArgument = Annotated[str, typer.Argument(metavar="VOLUME", help="Id of the volume.")]
OfVolumeOption = Annotated[str | None, typer.Option("--volume", metavar="ID", help="Those of one volume.")]


def place(environment: str | None, *segments: str) -> str:
    """A path in the environment. Raises Failed where none is said."""
    service, slash, name = (environment or "").partition("/")
    if not service or not slash or not name or "/" in name:
        raise Failed(ExitCode.USAGE, "set TIDEMARK_ENVIRONMENT, or give --environment, as in compute-on/test_area")
    return path("services", service, name, *segments, base=_BASE)


def tell_all(session: Session, answer: Answer, render: Callable[[Any], RenderableType], *, quiet: bool) -> None:
    """Show a list of an environment, or the ids on it alone."""
    if quiet and not session.json:
        print_ids(answer.json()["data"])
        return
    session.tell(answer, render)


def task(session: Session, task_id: str) -> Answer:
    """How a task stands. Raises Failed."""
    return session.api.get(path("tasks", task_id, base=_BASE))


def over(session: Session, begun: Answer, *, timeout_s: float, doing: str) -> Answer:
    """The task that an answer says was begun, once it is over. Raises Failed when it fails, or takes too long."""
    task_id: str = begun.json()["taskId"]
    goes_on = f"it goes on: tidemark volumes task {task_id}"
    with detached(session, goes_on), waiting_for(session, doing):
        answer = until_over(
            session,
            lambda: task(session, task_id),
            lambda told: told["taskStatus"] != "PENDING",
            timeout_s=timeout_s,
            goes_on=goes_on,
        )
    check_succeeded(answer.json())
    return answer


def check_succeeded(told: Any) -> None:  # noqa: ANN401 - an answer
    """Raises Failed for a task that has failed."""
    if told["taskStatus"] == "FAILED":
        reasons = "; ".join(one["message"] for one in told.get("errors", [])) or "it gives no reason"
        raise Failed(ExitCode.FAILED, f"task {told['taskId']} failed: {reasons}")


def made(told: Any) -> Any:  # noqa: ANN401 - an answer, and a part of it
    """What a task has made or changed, as it is shown; where it has made nothing that is still there, the task."""
    return told["data"].get("result", told["data"])
