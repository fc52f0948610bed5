"""`tidemark retention preview`, and the options that are a retention policy wherever one is said."""

from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType

from tidemark_cli import shown
from tidemark_cli.api import path
from tidemark_cli.session import Session, operation
from tidemark_cli.snapshots import OffsetOption, note_more

_PANEL: Final = "Retention: a snapshot stays if one rule or more keeps it"
# An id says when the snapshot was made.
_COLUMNS: Final = ("snapshot", "decision", "why")

ScheduleArgument = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Id of the schedule.")]
KeepLastOption = Annotated[
    int | None,
    typer.Option("--keep-last", min=1, metavar="N", help="Keep the newest N.", rich_help_panel=_PANEL),
]
KeepWithinOption = Annotated[
    str | None,
    typer.Option(
        "--keep-within",
        metavar="DURATION",
        help="Keep what is no older than that before the newest: P2D, PT12H.",
        rich_help_panel=_PANEL,
    ),
]
HourlyOption = Annotated[
    int | None,
    typer.Option(
        "--hourly", min=1, metavar="N", help="Keep the newest of each of N hours that have any.", rich_help_panel=_PANEL
    ),
]
DailyOption = Annotated[
    int | None, typer.Option("--daily", min=1, metavar="N", help="The same for days.", rich_help_panel=_PANEL)
]
WeeklyOption = Annotated[
    int | None, typer.Option("--weekly", min=1, metavar="N", help="The same for weeks.", rich_help_panel=_PANEL)
]
MonthlyOption = Annotated[
    int | None, typer.Option("--monthly", min=1, metavar="N", help="The same for months.", rich_help_panel=_PANEL)
]
YearlyOption = Annotated[
    int | None, typer.Option("--yearly", min=1, metavar="N", help="The same for years.", rich_help_panel=_PANEL)
]


class Verdict(StrEnum):
    """What becomes of a snapshot: `leave` where the policy does not concern it."""

    KEEP = "keep"
    FORGET = "forget"
    LEAVE = "leave"


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    operation(group, "preview")(preview)


def preview(
    session: Session,
    schedule: ScheduleArgument,
    *,
    keep_last: KeepLastOption = None,
    keep_within: KeepWithinOption = None,
    hourly: HourlyOption = None,
    daily: DailyOption = None,
    weekly: WeeklyOption = None,
    monthly: MonthlyOption = None,
    yearly: YearlyOption = None,
    only: Annotated[Verdict | None, typer.Option("--only", help="List these alone; the counts are of all.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=1000, help="How many at most (default: all).")
    ] = None,
    offset: OffsetOption = 0,
) -> None:
    """Show which snapshots of a schedule stay, which are forgotten, and why, and change nothing.

    It is the schedule's own policy that is looked at, or the one that is given, which takes its place as a whole.
    """
    tried = policy(keep_last, keep_within, hourly, daily, weekly, monthly, yearly)
    answer = session.api.post(
        path("schedules", schedule, "retention", "preview"),
        {"retention": tried} if tried else {},
        {"limit": limit, "offset": offset or None},
        safe=True,
    )
    session.tell(answer, lambda told: _decided(told, only))
    told = answer.json()
    note_more(session, str(sum(told["counts"].values())), offset, len(told["decisions"]))


def policy(
    keep_last: int | None,
    keep_within: str | None,
    hourly: int | None,
    daily: int | None,
    weekly: int | None,
    monthly: int | None,
    yearly: int | None,
) -> dict[str, Any]:
    """The rules that were given, as the service takes them; empty where there was none."""
    rules = {
        "keepLast": keep_last,
        "keepWithin": keep_within,
        "hourly": hourly,
        "daily": daily,
        "weekly": weekly,
        "monthly": monthly,
        "yearly": yearly,
    }
    return {name: value for name, value in rules.items() if value is not None}


def _decided(told: Any, only: Verdict | None) -> RenderableType:  # noqa: ANN401 - an answer
    decisions = [one for one in told["decisions"] if only is None or one["decision"] == only]
    rows = [
        (one["id"] if number == 0 else "", one["decision"] if number == 0 else "", reason["text"])
        for one in decisions
        for number, reason in enumerate(one["reasons"])
    ]
    said = shown.clean(_summed(told))
    return Group(shown.table(_COLUMNS, rows, whole=_COLUMNS[:2]), said) if rows else said


def _summed(told: Any) -> str:  # noqa: ANN401 - an answer
    counts = told["counts"]
    kept, forgotten, left = (f"{counts[verdict]:,}" for verdict in Verdict)
    return f"{kept} kept, {forgotten} to be forgotten, {left} left alone, by {shown.clean(told['retention'])}."
