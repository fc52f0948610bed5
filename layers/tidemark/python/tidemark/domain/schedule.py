"""Schedules: the catalog record, the identity of their slots, and what the snapshots they make are called.

EventBridge Scheduler delivers a slot at least once, late, and out of order. Every delivery names its slot by the moment
that was scheduled, so a slot's id is what a snapshot of it is made under: once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from tidemark.domain.asked import Asked
from tidemark.domain.cron import Cron
from tidemark.domain.interval import IntervalType, interval_of
from tidemark.domain.periods import Period
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule_expression import Expression, Once, Rate, parse
from tidemark.domain.snapshot import MAX_DESCRIPTION_CHARS, Failure, SnapshotId, stamp
from tidemark.domain.tenant import MAX_TENANT_CHARS, Tenant
from tidemark.domain.zones import UTC_NAME
from tidemark.errors import InvalidRequest, ScheduleNotFound

ScheduleId = NewType("ScheduleId", str)
SlotId = NewType("SlotId", str)

# What EventBridge Scheduler takes.
MIN_WINDOW_MINUTES: Final = 1
MAX_WINDOW_MINUTES: Final = 1440
# What EventBridge Scheduler puts a slot's moment in the place of.
SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
_ID_PREFIX: Final = "schedule_"
ID_BYTES: Final = 8
# The schedule of every tenant that the stack's parameters make. No other schedule can have its id.
STACK_SCHEDULE_ID: Final = ScheduleId(f"{_ID_PREFIX}{'0' * 2 * ID_BYTES}")
_ID: Final = re.compile(rf"{_ID_PREFIX}[0-9a-f]{{{2 * ID_BYTES}}}")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS: Final = ("tenant", "date", "interval")


class Overlap(StrEnum):
    """What becomes of a slot that is due while the schedule's last run still goes on."""

    SKIP = "skip"
    QUEUE = "queue"


class RunStatus(StrEnum):
    """How a slot ended, or that it has not. `SKIPPED`: by the overlap policy; `MISSED`: not begun in time."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"


class ScheduleStatus(StrEnum):
    """Whether EventBridge Scheduler has the schedule as its record says. `SETTING`: it is being told; `REMOVING`: it is
    being told that there is none any more, and the record goes last.
    """

    SETTING = "setting"
    ACTIVE = "active"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class LastRun:
    """What a schedule did last: for which slot, since when, and what came of it.

    `owner` is the execution that runs it, which alone may go on with the slot; it was last heard of at `seen_at`.
    `snapshot_id` is the id of a volume's snapshot where the schedule is of a volume.
    """

    slot_at: datetime
    started_at: datetime
    status: RunStatus
    snapshot_id: SnapshotId | None = None
    failure: Failure | None = None
    owner: str = ""
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A slot that was not run: `SKIPPED` by the overlap policy, or `MISSED`, since it was not begun long after it was
    due. A missed one that is delivered after all is run, unless a later one was.
    """

    slot_at: datetime
    status: RunStatus
    reason: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A slot in the queue: its execution waits for those before it, and was last heard of at `seen_at`."""

    slot_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """The catalog record of one schedule. `version` is the compare-and-swap token of the record.

    `id` is unique in the stack, since it names a schedule of EventBridge Scheduler. `expression` is as that takes it,
    and `starts_at` is when it came into force: a whole minute at or after the request that set it, not `created_at`,
    once the expression was changed. A slot is delivered at most `window_minutes` after it; None: at once. `description`
    is a template (see `render_description`). `interval_given` is None where the expression decides; `retention` where
    nothing is to be forgotten. `resumed_at` is when it was last paused no more. `last_missed` is the last slot that was
    not run, `waiting` are the earliest of those that are in the queue. `asked` is the request that made it, where that
    can be sent again. Where it is of a volume, `volume_id` says of which, and `tenant` is the owner of the images of
    its environment (see `domain.environment`).
    """

    tenant: Tenant
    id: ScheduleId
    expression: str
    created_at: datetime
    starts_at: datetime
    timezone: str = UTC_NAME
    window_minutes: int | None = None
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    interval_given: IntervalType | None = None
    retention: RetentionPolicy | None = None
    overlap: Overlap = Overlap.SKIP
    paused: bool = False
    status: ScheduleStatus = ScheduleStatus.SETTING
    last_run: LastRun | None = None
    last_missed: Missed | None = None
    waiting: tuple[Waiting, ...] = ()
    resumed_at: datetime | None = None
    asked: Asked | None = None
    volume_id: str | None = None
    version: int = 0

    def timetable(self) -> Expression:
        """When it is due.

        Raises InvalidRequest where a stored expression is none any more: its timezone was taken out of the database.
        """
        return parse(self.expression, self.timezone, self.starts_at)

    def interval(self) -> IntervalType:
        """The type of the snapshots it makes. Raises InvalidRequest as `timetable` does."""
        return self.interval_given or interval_of(self.timetable().shortest_gap())

    def checked(self) -> "Schedule":
        """The schedule with its expression as EventBridge Scheduler takes it. Raises InvalidRequest where something is
        wrong with it, naming that.
        """
        timetable = self.timetable()
        check_window(self.window_minutes)
        check_interval(self.interval_given)
        check_description(self.description)
        if self.retention is not None:
            check_retention(self.retention, self.interval())
        return replace(self, expression=timetable.text)

    def next_run(self, now: datetime) -> datetime | None:
        """The next slot that will be delivered; None while it is paused, and where none will ever come. Raises
        InvalidRequest as `timetable` does.
        """
        return None if self.paused else self.timetable().next_slot(now)

    def start_from(self, now: datetime) -> datetime | None:
        """From when on EventBridge Scheduler is to run it, where that has to be said. None: at once, or the expression
        says it all.

        It takes no start that is more than five minutes ago. So a rate that has begun starts with its next slot, which
        keeps its step, and a cron without a start.
        """
        timetable = self.timetable()
        match timetable.rule:
            case Rate():
                return timetable.next_slot(now)
            case Cron():
                return self.starts_at if self.starts_at > now else None
            case Once():
                return None

    def due_by(self, slot_at: datetime) -> datetime:
        """The latest moment at which EventBridge Scheduler begins to deliver a slot, if all is well."""
        return slot_at + timedelta(minutes=1 + (self.window_minutes or 0))

    def latest(self) -> LastRun | Missed | None:
        """What became of its latest slot of which anything is known."""
        ran, missed = self.last_run, self.last_missed
        if ran is None or missed is None:
            return ran or missed
        return missed if missed.slot_at > ran.slot_at else ran

    def overdue_slot(self, now: datetime, grace: timedelta) -> datetime | None:
        """The latest slot that should have begun by now, and of which nothing is known; None where there is none.

        A slot may begin late by `grace`: after it was due, after the last run was heard of, which it may have had to
        wait for, and after the schedule came into force. One that is `SETTING` for so long was left half set by a
        process that died. Raises InvalidRequest as `timetable` does.
        """
        if self.paused or self.status is ScheduleStatus.REMOVING:
            return None
        ran = self.last_run
        if ran is not None and (ran.status is RunStatus.RUNNING or now - (ran.seen_at or ran.started_at) < grace):
            return None
        slot_at = self.timetable().previous_slot(now - grace - (self.due_by(now) - now))
        known = self.latest()
        if slot_at is None or (known is not None and slot_at <= known.slot_at):
            return None
        return None if self.resumed_at is not None and slot_at < self.resumed_at else slot_at

    def newer(self, slot_at: datetime) -> bool:
        """Whether a slot is later than all that it has run; a delivery of another one is late or out of order."""
        return self.last_run is None or slot_at > self.last_run.slot_at


@dataclass(frozen=True, slots=True)
class DamagedSchedule:
    """Stands for a schedule whose catalog record is not what was stored. `id` is what the record's place says."""

    id: ScheduleId
    failure: Failure


def new_schedule_id(random_bytes: bytes) -> ScheduleId:
    """An id that is unique in the stack if the bytes are: `schedule_` and their hexadecimal digits."""
    return ScheduleId(f"{_ID_PREFIX}{random_bytes.hex()}")


def parse_schedule_id(text: str) -> ScheduleId:
    """The id. Raises ScheduleNotFound: a malformed one names nothing."""
    if _ID.fullmatch(text) is None:
        raise ScheduleNotFound(f"no schedule {text[:100]!r}: an id looks like schedule_9f86d081884c7d65")
    return ScheduleId(text)


def slot_id(schedule: ScheduleId, slot_at: datetime) -> SlotId:
    """What a slot is known by, however often and whenever it is delivered: `{schedule}_2026-01-15T10-00-00Z`.

    Its characters may stand in names of executions.
    """
    return SlotId(f"{schedule}_{stamp(slot_at)}")


def parse_scheduled_time(text: str) -> datetime:
    """The slot that a delivery of EventBridge Scheduler is for: `2022-03-22T18:59:43Z`, as its user guide has it.

    Fractions of a second, which the guide doesn't show, are dropped, and other offsets from UTC are taken: both name
    the same slot. Raises InvalidRequest for anything that is no moment, such as a placeholder that nobody replaced.
    """
    refusal = InvalidRequest(
        f"{text[:60]!r} is no scheduled time: the target's input has to hold {SCHEDULED_TIME}, which EventBridge "
        "Scheduler replaces by one such as 2022-03-22T18:59:43Z"
    )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refusal from None
    if moment.tzinfo is None:
        raise refusal
    return moment.astimezone(UTC).replace(microsecond=0)


def check_window(minutes: int | None) -> None:
    """Raises InvalidRequest unless the flexible window is one that EventBridge Scheduler takes; None: there is none."""
    if minutes is not None and not MIN_WINDOW_MINUTES <= minutes <= MAX_WINDOW_MINUTES:
        raise InvalidRequest(
            f"a flexible window of {minutes} minutes is not possible: it is {MIN_WINDOW_MINUTES} to "
            f"{MAX_WINDOW_MINUTES} minutes, or is left out for none"
        )


def check_interval(interval: IntervalType | None) -> None:
    """Raises InvalidRequest where a schedule is to make snapshots that look as if somebody had asked for each."""
    if interval is IntervalType.MANUAL:
        others = ", ".join(one for one in IntervalType if one is not interval)
        raise InvalidRequest(
            f"the interval of a schedule can't be '{interval}', which is what snapshots are called that are asked for: "
            f"use one of {others}"
        )


def check_retention(policy: RetentionPolicy, interval: IntervalType) -> None:
    """Raises InvalidRequest where a rule counts shorter periods than those that the schedule makes a snapshot of."""
    if interval is IntervalType.MANUAL:
        return
    every = Period(interval.value)
    for period in Period:
        if policy.count(period) is not None and period.shorter_than(every):
            raise InvalidRequest(
                f"the rule '{period}' of the retention policy contradicts a schedule that makes {every} snapshots: "
                f"there are no {period} ones to keep; use 'keepLast' or '{every}'"
            )


def check_description(template: str) -> None:
    """Raises InvalidRequest for a template with an unknown placeholder, a brace that belongs to none, or more
    characters than a description may have once it is filled in.
    """
    known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
    for name in _PLACEHOLDER.findall(template):
        if name not in _PLACEHOLDERS:
            raise InvalidRequest(f"the description has no placeholder {{{name[:60]}}}: use {known}")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        raise InvalidRequest(f"the description has a single brace: braces are for placeholders, which are {known}")
    longest = {"tenant": "t" * MAX_TENANT_CHARS, "date": "2026-01-15", "interval": max(IntervalType, key=len).value}
    if len(_filled(template, longest)) > MAX_DESCRIPTION_CHARS:
        raise InvalidRequest(
            f"the description may have more than {MAX_DESCRIPTION_CHARS} characters once its placeholders are filled "
            "in: shorten it"
        )


def render_description(
    template: str, tenant: Tenant, slot_at: datetime, expression: Expression, kind: IntervalType
) -> str:
    """The description of the snapshot of a slot. The date is the slot's, in the schedule's timezone.

    The template must have passed `check_description`.
    """
    date = slot_at.astimezone(expression.zone).date().isoformat()
    return _filled(template, {"tenant": tenant, "date": date, "interval": kind.value})


def _filled(template: str, values: Mapping[str, str]) -> str:
    # Not str.format, whose placeholders reach into what they are filled with.
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)
