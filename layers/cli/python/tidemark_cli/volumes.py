"""`tidemark volumes list` and `task`: the volumes of an environment, and how what was asked for stands."""

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from tidemark_cli import areas, shown
from tidemark_cli.areas import EnvironmentOption
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import QuietOption
from tidemark_cli.waiting import DEFAULT_TIMEOUT_S, TimeoutOption


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "list")(list_)
    operation(group, "task")(task)


def list_(
    session: Session,
    *,
    kind: Annotated[str | None, typer.Option("--type", help="os or data.")] = None,
    instance: Annotated[str | None, typer.Option("--instance", metavar="ID", help="Those of one instance.")] = None,
    environment: EnvironmentOption = None,
    quiet: QuietOption = False,
) -> None:
    """List the volumes of an environment."""
    answer = session.api.get(areas.place(environment, "volumes"), {"type": kind, "instance_id": instance})
    areas.tell_all(session, answer, _listed, quiet=quiet)


def task(
    session: Session,
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.")],
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is over.")] = False,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
) -> None:
    """Tell how a task stands; exit code 1 where it has failed."""
    answer = areas.task(session, task_id)
    if wait:
        answer = areas.over(session, answer, timeout_s=timeout, doing="Waiting for the task")
    session.tell(
        answer, lambda told: shown.card({"task": told["taskId"], "status": told["taskStatus"], **_result(told)})
    )
    areas.check_succeeded(answer.json())


def _result(told: Any) -> dict[str, Any]:  # noqa: ANN401 - an answer
    return {"result": told["data"]["result"]} if "result" in told["data"] else {}


def _listed(told: Any) -> RenderableType:  # noqa: ANN401 - an answer
    rows = [
        (one["id"], one["name"], one["type"], one["state"], one["sizeInGb"], one.get("instanceName", ""))
        for one in told["data"]
    ]
    return shown.table(("id", "name", "type", "state", "GiB", "instance"), rows, right=("GiB",))
