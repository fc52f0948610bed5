"""`tidemark volumes schedules`: list, create, get, pause, resume and delete."""

from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli import areas, shown
from tidemark_cli.areas import EnvironmentOption, OfVolumeOption, VolumeArgument
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.retention import ScheduleArgument
from tidemark_cli.schedules import Interval, TimezoneOption, confirm_deletion
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import QuietOption, print_ids

_COLUMNS: Final = ("id", "volume", "when", "keeps", "last slot", "next slot")
# What is said of a schedule each time that it is asked for, and shown of it alike.
_SETTINGS: Final = ("volumeId", "intervalType", "keep", "minute", "time", "day", "timezone")


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "list")(list_)
    operation(group, "create")(create)
    operation(group, "get")(get)
    operation(group, "pause")(pause)
    operation(group, "resume")(resume)
    operation(group, "delete")(delete)


def list_(
    session: Session,
    *,
    volume: OfVolumeOption = None,
    environment: EnvironmentOption = None,
    quiet: QuietOption = False,
) -> None:
    """List the schedules of volumes of an environment, oldest first."""
    answer = session.api.get(areas.place(environment, "schedules"), {"volume_id": volume})
    areas.tell_all(session, answer, _listed, quiet=quiet)


def create(
    session: Session,
    volume: VolumeArgument,
    *,
    interval: Annotated[Interval, typer.Option("--interval", help="How often; a volume has one schedule of each.")],
    keep: Annotated[int, typer.Option("--keep", min=1, metavar="N", help="How many of its snapshots stay.")],
    minute: Annotated[
        int | None, typer.Option("--minute", min=0, max=59, help="Of each hour, of an hourly one (default: 0).")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="HH:MM", help="Of the day, of others: 02:30 (default: 00:00).")
    ] = None,
    day: Annotated[
        int | None,
        typer.Option(
            "--day", min=1, max=28, help="1 (Sunday) to 7 of the week, of a weekly one; 1 to 28, of a monthly one."
        ),
    ] = None,
    timezone: TimezoneOption = None,
    paused: Annotated[bool, typer.Option("--paused", help="It starts nothing until it is resumed.")] = False,
    environment: EnvironmentOption = None,
    quiet: QuietOption = False,
) -> None:
    """Have snapshots of a volume taken on a schedule. Where it has one of that interval, this changes it: what is not
    said is then as it is by default.
    """
    wanted = {
        "volumeId": volume,
        "intervalType": interval.upper(),
        "keep": keep,
        "minute": minute,
        "time": time,
        "day": day,
        "timezone": timezone,
        "paused": paused or None,
    }
    document = {name: value for name, value in wanted.items() if value is not None}
    # A repeat asks for the same schedule.
    answer = session.api.post(areas.place(environment, "schedules"), document, safe=True)
    if quiet and not session.json:
        print_ids([answer.json()["data"]])
        return
    session.tell(answer, lambda told: shown.card(told["data"]))


def get(session: Session, schedule: ScheduleArgument, *, environment: EnvironmentOption = None) -> None:
    """Show one schedule of a volume, with what became of its last slot and when it is due next."""
    answer = session.api.get(areas.place(environment, "schedules", schedule))
    session.tell(answer, lambda told: shown.card(told["data"]))


def pause(session: Session, schedule: ScheduleArgument, *, environment: EnvironmentOption = None) -> None:
    """Let a schedule start nothing until it is resumed. What is due meanwhile is left out, and nothing is deleted."""
    _set(session, environment, schedule, paused=True)
    session.note(shown.clean(f"Paused {schedule}. To go on: tidemark volumes schedules resume {schedule}"))


def resume(session: Session, schedule: ScheduleArgument, *, environment: EnvironmentOption = None) -> None:
    """Let a paused schedule go on with its next slot."""
    _set(session, environment, schedule, paused=False)
    session.note(shown.clean(f"{schedule} goes on. When: tidemark volumes schedules get {schedule}"))


def delete(
    session: Session,
    schedule: ScheduleArgument,
    *,
    environment: EnvironmentOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a schedule of a volume. Its snapshots stay, until somebody deletes them."""
    where = areas.place(environment, "schedules", schedule)
    confirm_deletion(session, schedule, "Its snapshots stay, until somebody deletes them.", yes=yes)
    session.tell(session.api.delete(where), lambda _: None)
    session.note(shown.clean(f"Deleted {schedule}. Snapshots of volumes: tidemark volumes snapshots list"))


def _set(session: Session, environment: str | None, schedule: str, *, paused: bool) -> None:
    """The API has no change of one member: the schedule is asked for again as it is now."""
    present = session.api.get(areas.place(environment, "schedules", schedule)).json()["data"]
    document = {name: present[name] for name in _SETTINGS if name in present} | {"paused": paused}
    answer = session.api.post(areas.place(environment, "schedules"), document, safe=True)
    made = answer.json()["data"]["id"]
    if made != schedule:
        raise Failed(
            ExitCode.CONFLICT,
            f"{schedule} was deleted at the same moment, so this made {made} in its place; to delete it, too: "
            f"tidemark volumes schedules delete {made}",
        )
    session.tell(answer, lambda _: None)


def _listed(told: Any) -> RenderableType:  # noqa: ANN401 - an answer
    return shown.table(_COLUMNS, [_row(one) for one in told["data"]], right=("keeps",))


def _row(one: Any) -> tuple[object, ...]:  # noqa: ANN401 - a part of an answer
    """In words that may be broken between lines."""
    last = f"{_moment(one['last']['due'])} {one['last']['state'].lower()}" if "last" in one else ""
    following = _moment(one["nextDue"]) if "nextDue" in one else "never"
    if one["paused"]:
        following = "paused"
    elif one["state"] != "ACTIVE":
        following = one["state"].lower()
    return one["id"], one["volumeId"], _when(one), one["keep"], last, following


def _when(one: Any) -> str:  # noqa: ANN401 - a part of an answer
    at = f":{one['minute']:02}" if "minute" in one else one["time"]
    day = f" day {one['day']}" if "day" in one else ""
    return f"{one['intervalType'].lower()}{day} {at} {one['timezone']}"


def _moment(text: str) -> str:
    return text.replace("T", " ").replace("+0000", "Z")
