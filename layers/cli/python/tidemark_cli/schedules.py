"""`tidemark schedules`: create, list, show, update, pause, resume and delete schedules of backups."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.retention import (
    DailyOption,
    HourlyOption,
    KeepLastOption,
    KeepWithinOption,
    MonthlyOption,
    ScheduleArgument,
    WeeklyOption,
    YearlyOption,
    policy,
)
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import (
    LimitOption,
    OffsetOption,
    QuietOption,
    labels_changed,
    labels_given,
    print_ids,
    tell_page,
)

_COLUMNS: Final = ("id", "when", "last run", "next run", "keeps")
_LONGEST_WINDOW_MINUTES: Final = 1440
_NO_CHANGE: Final = (
    "say what to change: --expression, --timezone, --window, --no-window, --description, --label, --remove-label, "
    "--interval, --no-interval, --overlap, rules of retention such as --daily, or --no-retention"
)


class Interval(StrEnum):
    """What the snapshots say of the schedule that made them."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Overlap(StrEnum):
    """What becomes of a run that is due while the last one goes on."""

    SKIP = "skip"
    QUEUE = "queue"


WindowOption = Annotated[
    int | None,
    typer.Option(
        "--window",
        min=1,
        max=_LONGEST_WINDOW_MINUTES,
        metavar="MINUTES",
        help="It may begin so much later, where that spreads the load.",
    ),
]
IntervalOption = Annotated[
    Interval | None, typer.Option("--interval", help="What its snapshots are, if not what the expression makes.")
]
OverlapOption = Annotated[
    Overlap | None, typer.Option("--overlap", help="A run that is due while the last goes on: leave it out, or wait.")
]
TimezoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="NAME", help="Where it is that time: Europe/Paris; else in UTC.")
]


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    operation(group, "create")(create)
    operation(group, "list")(list_)
    operation(group, "show")(show)
    operation(group, "update")(update)
    operation(group, "pause")(pause)
    operation(group, "resume")(resume)
    operation(group, "delete")(delete)


def create(
    session: Session,
    *,
    expression: Annotated[
        str,
        typer.Option(
            "--expression", "-e", help="When: rate(1 hour), cron(0 2 * * ? *), or once: at(2026-02-01T02:00:00)."
        ),
    ],
    timezone: TimezoneOption = None,
    window: WindowOption = None,
    description: Annotated[
        str | None,
        typer.Option("--description", "-d", help="Of its snapshots; {tenant}, {date} and {interval} are filled in."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Of its snapshots; may be repeated.")
    ] = None,
    interval: IntervalOption = None,
    overlap: OverlapOption = None,
    paused: Annotated[bool, typer.Option("--paused", help="It starts nothing until it is resumed.")] = False,
    keep_last: KeepLastOption = None,
    keep_within: KeepWithinOption = None,
    hourly: HourlyOption = None,
    daily: DailyOption = None,
    weekly: WeeklyOption = None,
    monthly: MonthlyOption = None,
    yearly: YearlyOption = None,
    quiet: QuietOption = False,
) -> None:
    """Have snapshots taken on a schedule. Without a rule of retention all of them stay."""
    wanted = {
        "expression": expression,
        "timezone": timezone,
        "windowMinutes": window,
        "description": description,
        "labels": labels_given(label or []) or None,
        "interval": interval,
        "retention": policy(keep_last, keep_within, hourly, daily, weekly, monthly, yearly) or None,
        "overlap": overlap,
        "paused": paused or None,
    }
    answer = session.api.post("/v2/schedules", _said(wanted), once=True)
    if quiet and not session.json:
        print_ids([answer.json()])
        return
    session.tell(answer, shown.card)


def list_(session: Session, *, limit: LimitOption = 20, offset: OffsetOption = 0, quiet: QuietOption = False) -> None:
    """List schedules, oldest first: what they did last, and when they are due next."""
    answer = session.api.get("/v2/schedules", {"limit": limit, "offset": offset, "options": "count"})
    tell_page(session, answer, _listed, offset, quiet=quiet)


def show(session: Session, schedule: ScheduleArgument) -> None:
    """Show everything that is known about one schedule."""
    session.tell(session.api.get(path("schedules", schedule)), shown.card)


def update(
    session: Session,
    schedule: ScheduleArgument,
    *,
    expression: Annotated[str | None, typer.Option("--expression", "-e", help="When, from now on.")] = None,
    timezone: TimezoneOption = None,
    window: WindowOption = None,
    no_window: Annotated[bool, typer.Option("--no-window", help="It begins on time.")] = False,
    description: Annotated[str | None, typer.Option("--description", "-d", help="Of snapshots from now on.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Add or change; may be repeated.")
    ] = None,
    remove_label: Annotated[
        list[str] | None, typer.Option("--remove-label", metavar="KEY", help="May be repeated.")
    ] = None,
    interval: IntervalOption = None,
    no_interval: Annotated[bool, typer.Option("--no-interval", help="What the expression makes.")] = False,
    overlap: OverlapOption = None,
    keep_last: KeepLastOption = None,
    keep_within: KeepWithinOption = None,
    hourly: HourlyOption = None,
    daily: DailyOption = None,
    weekly: WeeklyOption = None,
    monthly: MonthlyOption = None,
    yearly: YearlyOption = None,
    no_retention: Annotated[bool, typer.Option("--no-retention", help="All of its snapshots stay.")] = False,
) -> None:
    """Change a schedule. What is not named stays as it is; rules of retention are one policy, said as a whole."""
    retention = policy(keep_last, keep_within, hourly, daily, weekly, monthly, yearly)
    for name, value, taken_away in (
        ("window", window, no_window),
        ("interval", interval, no_interval),
        ("retention", retention or None, no_retention),
    ):
        if value is not None and taken_away:
            raise Failed(ExitCode.USAGE, f"--no-{name} takes away what another option sets; give one of them")
    change = _said(
        {
            "expression": expression,
            "timezone": timezone,
            "windowMinutes": window,
            "description": description,
            "interval": interval,
            "retention": retention or None,
            "overlap": overlap,
        }
    )
    gone = {"windowMinutes": no_window, "interval": no_interval, "retention": no_retention}
    change |= {name: None for name, wanted in gone.items() if wanted}
    where = path("schedules", schedule)
    if label or remove_label:
        change["labels"] = labels_changed(session, where, label or [], remove_label or [])
    if not change:
        raise Failed(ExitCode.USAGE, _NO_CHANGE)
    _change(session, schedule, change, f"Changed {schedule}: tidemark schedules show {schedule}")
    if retention:
        session.note(f"What its policy will forget: tidemark retention preview {schedule} --only forget")


def pause(session: Session, schedule: ScheduleArgument) -> None:
    """Let a schedule start nothing until it is resumed. What is due meanwhile is left out, and nothing is forgotten."""
    _change(session, schedule, {"paused": True}, f"Paused {schedule}. To go on: tidemark schedules resume {schedule}")


def resume(session: Session, schedule: ScheduleArgument) -> None:
    """Let a paused schedule go on with its next run."""
    _change(session, schedule, {"paused": False}, f"{schedule} goes on. When: tidemark schedules show {schedule}")


def delete(
    session: Session,
    schedule: ScheduleArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a schedule. Its snapshots stay, and no policy forgets them any more."""
    where = path("schedules", schedule)
    confirm_deletion(session, schedule, "Its snapshots stay, and no policy forgets them any more.", yes=yes)
    session.tell(session.api.delete(where), lambda _: None)
    session.note(f"Deleted {schedule}. Its snapshots: tidemark snapshots list --schedule {schedule}")


def confirm_deletion(session: Session, schedule: str, meaning: str, *, yes: bool) -> None:
    """Ask whether a schedule is to be deleted, unless that was said. Raises Failed where it is not to be, or nobody is
    there to say so.
    """
    if yes:
        return
    if not session.around.interactive():
        raise Failed(ExitCode.USAGE, "nobody is there to confirm the deletion; say --yes to delete without asking")
    if not typer.confirm(f"Delete {shown.clean(schedule)}? {meaning}", err=True):
        raise Failed(ExitCode.FAILED, "nothing was deleted")


def _change(session: Session, schedule: str, change: Mapping[str, Any], note: str) -> None:
    session.tell(session.api.patch(path("schedules", schedule), change), lambda _: None)
    session.note(shown.clean(note))


def _said(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}


def _listed(documents: Any) -> RenderableType:  # noqa: ANN401 - an answer
    return shown.table(_COLUMNS, [(one["id"], *_told(one)) for one in documents])


def _told(one: Any) -> tuple[str, ...]:  # noqa: ANN401 - a part of an answer
    """Its row, in words that may be broken between lines."""
    if "expression" not in one:
        # Of one whose record is damaged, no more than this is known.
        return "", "", one["status"], ""
    last = f"{_moment(one['lastRun']['slotAt'])} {one['lastStatus']}" if "lastRun" in one else ""
    following = _moment(one["nextRun"]) if "nextRun" in one else "never"
    if one["paused"]:
        following = "paused"
    elif one["status"] != "active":
        following = one["status"]
    kept = " ".join(f"{rule}={value}" for rule, value in one.get("retention", {}).items())
    return f"{one['expression']} {one['timezone']}", last, following, kept or "everything"


def _moment(text: str) -> str:
    return text.replace("T", " ")
