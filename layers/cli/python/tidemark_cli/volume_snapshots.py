"""`tidemark volumes snapshots`: list, create, get, delete, restore and template."""

from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli import areas, shown
from tidemark_cli.areas import EnvironmentOption, OfVolumeOption, VolumeArgument
from tidemark_cli.sending import Answer
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import QuietOption, SnapshotArgument, print_ids
from tidemark_cli.waiting import DEFAULT_TIMEOUT_S, TimeoutOption, WaitOption

_COLUMNS: Final = ("id", "name", "state", "interval", "volume", "type")


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "list")(list_)
    operation(group, "create")(create)
    operation(group, "get")(get)
    operation(group, "delete")(delete)
    operation(group, "restore")(restore)
    operation(group, "template")(template)


def list_(
    session: Session,
    *,
    volume: OfVolumeOption = None,
    environment: EnvironmentOption = None,
    quiet: QuietOption = False,
) -> None:
    """List the snapshots of volumes of an environment, newest first."""
    answer = session.api.get(areas.place(environment, "snapshots"), {"volume_id": volume})
    areas.tell_all(session, answer, _listed, quiet=quiet)


def create(
    session: Session,
    volume: VolumeArgument,
    *,
    name: Annotated[str | None, typer.Option(help="What it is to be called.")] = None,
    rapid: Annotated[bool, typer.Option("--rapid", help="Keep EC2's own snapshot beside it.")] = False,
    environment: EnvironmentOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Take a snapshot of a volume as it is now."""
    document = {"volumeId": volume, **({"name": name} if name else {}), **({"rapid": True} if rapid else {})}
    where = areas.place(environment, "snapshots")
    begun = session.api.post(where, document, {"operation": "create"}, once=True)
    follow(session, begun, "Taking the snapshot", wait=wait, timeout_s=timeout, quiet=quiet)


def get(session: Session, snapshot: SnapshotArgument, *, environment: EnvironmentOption = None) -> None:
    """Show one snapshot of a volume."""
    answer = session.api.get(areas.place(environment, "snapshots", snapshot))
    session.tell(answer, lambda told: shown.card(told["data"]))


def delete(
    session: Session,
    snapshot: SnapshotArgument,
    *,
    environment: EnvironmentOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
) -> None:
    """Delete a snapshot of a volume for good, or give up an import that waits for its parts."""
    begun = session.api.delete(areas.place(environment, "snapshots", snapshot))
    if not wait:
        _tell_begun(session, begun)
        return
    session.tell(areas.over(session, begun, timeout_s=timeout, doing="Deleting the snapshot"), lambda _: None)
    session.note(f"Deleted {snapshot}.")


def restore(
    session: Session,
    snapshot: SnapshotArgument,
    *,
    name: Annotated[str | None, typer.Option(help="What the volume is to be called.")] = None,
    zone: Annotated[
        str | None, typer.Option(help="The zone that it is to be in, such as eu-west-1a (default: that of the volume).")
    ] = None,
    environment: EnvironmentOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Make a new volume of a snapshot; the volume that it is of stays as it is."""
    begun = _operate(session, environment, snapshot, "restore", {"name": name, "zone": zone})
    follow(session, begun, "Making the volume", wait=wait, timeout_s=timeout, quiet=quiet)


def template(
    session: Session,
    snapshot: SnapshotArgument,
    *,
    name: Annotated[str | None, typer.Option(help="What the image is to be called.")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What it is for.")] = None,
    environment: EnvironmentOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = DEFAULT_TIMEOUT_S,
    quiet: QuietOption = False,
) -> None:
    """Register a machine image of a snapshot, from which instances can be started."""
    begun = _operate(session, environment, snapshot, "createTemplate", {"name": name, "description": description})
    follow(session, begun, "Registering the image", wait=wait, timeout_s=timeout, quiet=quiet)


def follow(session: Session, begun: Answer, doing: str, *, wait: bool, timeout_s: float, quiet: bool) -> None:
    """Tell of what a task makes: what came of it, once it is over, where that is waited for."""
    if not wait:
        _tell_begun(session, begun)
        return
    answer = areas.over(session, begun, timeout_s=timeout_s, doing=doing)
    if quiet and not session.json:
        print_ids([areas.made(answer.json())])
        return
    session.tell(answer, lambda told: shown.card(areas.made(told)))


def _tell_begun(session: Session, begun: Answer) -> None:
    session.tell(begun, lambda told: shown.card({"task": told["taskId"], "status": told["taskStatus"]}))
    session.note(f"Follow it with: tidemark volumes task {begun.json()['taskId']} --wait")


def _operate(
    session: Session, environment: str | None, snapshot: str, operation_: str, members: dict[str, str | None]
) -> Answer:
    document = {member: value for member, value in members.items() if value is not None}
    where = areas.place(environment, "snapshots", snapshot)
    return session.api.post(where, document, {"operation": operation_}, once=True)


def _listed(told: Any) -> RenderableType:  # noqa: ANN401 - an answer
    rows = [
        (one["id"], one["name"], one["state"], one["intervalType"], one["volume"], one["volumeType"])
        for one in told["data"]
    ]
    return shown.table(_COLUMNS, rows)
