"""Schedules of volumes: what requests say of them, and how answers show them.

The documents have none. The model is Apache CloudStack's `createSnapshotPolicy`: an interval type, how many snapshots
are kept, a moment, a timezone and a volume; a volume has one of each interval type, which asking again changes. All of
it is said each time: what is left out is what it is unless given, so one that was paused runs again unless `paused` is.
What has no value is left out, and each answer to a change says that it is done; see `dialects.cloudca.answers`.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.cloudca.answers import Listed, Metadata, Moment, One, Uuid, moment
from tidemark.dialects.cloudca.bodies import members
from tidemark.dialects.cloudca.errors import ErrorItem, stored_error
from tidemark.dialects.cloudca.words import INTERVALS, TASKS
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import MAX_COUNT
from tidemark.domain.schedule import LastRun, Missed, RunStatus, Schedule, ScheduleId, ScheduleStatus, parse_schedule_id
from tidemark.domain.task import TaskStatus
from tidemark.domain.volume import parse_volume_id
from tidemark.domain.volume_schedule import Timing, timing_of
from tidemark.domain.zones import UTC_NAME
from tidemark.errors import InvalidRequest
from tidemark.usecases.set_volume_schedule import VolumeScheduleWanted

_CREATE: Final = "create"
_MEMBERS: Final = ("volumeId", "intervalType", "keep", "minute", "time", "day", "timezone", "paused")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_TYPES: Final = {word: interval for interval, word in INTERVALS.items() if interval is not IntervalType.MANUAL}
_DAYS: Final = {IntervalType.WEEKLY: "1 (Sunday) to 7", IntervalType.MONTHLY: "1 to 28"}

Name = Annotated[str, Meta(pattern="^schedule_[0-9a-f]{16}$", examples=["schedule_9f86d081884c7d65"])]


class SlotBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the last moment at which a snapshot was due. `reason` is why nothing was begun, `errors` what
    failed.
    """

    due: Moment
    state: Annotated[str, Meta(extra_json_schema={"enum": [one.name for one in RunStatus]})]
    snapshot_id: Uuid | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    errors: list[ErrorItem] | UnsetType = UNSET


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A schedule of a volume. An hourly one has a `minute`, others a `time`; weekly and monthly ones a `day`."""

    id: Name
    volume_id: Uuid
    interval_type: Annotated[str, Meta(extra_json_schema={"enum": list(_TYPES)})]
    keep: Annotated[int, Meta(ge=1, le=MAX_COUNT, description="How many of the snapshots that it makes stay.")]
    minute: Annotated[int, Meta(ge=0, le=59)] | UnsetType = UNSET
    time: Annotated[str, Meta(pattern=f"^{_TIME.pattern}$", examples=["02:30"])] | UnsetType = UNSET
    day: Annotated[int, Meta(ge=1, le=28, description="Of the week, from Sunday on, or of the month.")] | UnsetType = (
        UNSET
    )
    timezone: str
    paused: Annotated[bool, Meta(description="Whether it takes no snapshots until it is set again without this.")]
    state: Annotated[
        str,
        Meta(
            description="SETTING while EventBridge Scheduler is being told; where that was cut short, ask again.",
            extra_json_schema={"enum": [ScheduleStatus.SETTING.name, ScheduleStatus.ACTIVE.name]},
        ),
    ]
    created: Moment
    next_due: Moment | UnsetType = UNSET
    last: SlotBody | UnsetType = UNSET


class Done(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The envelope of a change that is done: clients take its `data` for what they asked for, and ask no more."""

    task_status: str = TASKS[TaskStatus.SUCCESS]
    data: ScheduleBody | UnsetType = UNSET


def schedule_in(request: Request) -> ScheduleId:
    """The schedule in the path. Raises ScheduleNotFound at once where no schedule can have such an id."""
    return parse_schedule_id(request.path_parameter("scheduleId"))


def schedule_wanted(request: Request) -> VolumeScheduleWanted:
    """What is asked for by a request to the list of schedules. Raises InvalidRequest naming what is wrong."""
    operation = request.query.get("operation", _CREATE)
    if operation != _CREATE:
        raise InvalidRequest(f"the parameter operation must be {_CREATE}; it is {operation[:60]!r}")
    document = members(request, _MEMBERS)
    volume_id = document.get("volumeId")
    if not isinstance(volume_id, str):
        raise InvalidRequest("the member 'volumeId' must be the id of a volume, as a string")
    word = document.get("intervalType")
    if not isinstance(word, str) or word.upper() not in _TYPES:
        raise InvalidRequest(f"the member 'intervalType' must be one of {', '.join(_TYPES)}")
    if "keep" not in document:
        raise InvalidRequest("the member 'keep' must say how many of the snapshots stay, such as 7")
    timezone = document.get("timezone", UTC_NAME)
    if not isinstance(timezone, str):
        raise InvalidRequest("the member 'timezone' must be a string such as America/Toronto")
    paused = document.get("paused", False)
    if not isinstance(paused, bool):
        raise InvalidRequest("the member 'paused' must be true or false")
    keep = _whole(document, "keep", 1, MAX_COUNT)
    timing = _timing(document, _TYPES[word.upper()])
    return VolumeScheduleWanted(parse_volume_id(volume_id), timing, keep, timezone, paused)


def schedule_list(schedules: Iterable[Schedule], now: datetime) -> Response:
    """The answer that lists schedules, in their order."""
    bodies = [schedule_body(schedule, now) for schedule in schedules]
    return json_response(HTTPStatus.OK, Listed(bodies, Metadata(len(bodies))))


def one_schedule(schedule: Schedule, now: datetime) -> Response:
    """The answer that is one schedule."""
    return json_response(HTTPStatus.OK, One(schedule_body(schedule, now)))


def done(schedule: Schedule | None, now: datetime) -> Response:
    """The answer to a change: the schedule as it is now; None where it is gone."""
    return json_response(HTTPStatus.OK, Done(data=UNSET if schedule is None else schedule_body(schedule, now)))


def schedule_body(schedule: Schedule, now: datetime) -> ScheduleBody:
    """A schedule as it stands at that moment."""
    interval = schedule.interval_given or IntervalType.MANUAL
    timing = timing_of(schedule.expression, interval) or Timing(interval, 0)
    last = schedule.latest()
    due = _next_due(schedule, now)
    return ScheduleBody(
        id=schedule.id,
        volume_id=schedule.volume_id or "",
        interval_type=INTERVALS[interval],
        keep=(schedule.retention and schedule.retention.last) or 0,
        minute=timing.minute if timing.hour is None else UNSET,
        time=UNSET if timing.hour is None else f"{timing.hour:02}:{timing.minute:02}",
        day=UNSET if timing.day is None else timing.day,
        timezone=schedule.timezone,
        paused=schedule.paused,
        state=schedule.status.name,
        created=moment(schedule.created_at),
        next_due=UNSET if due is None else moment(due),
        last=UNSET if last is None else _slot(last),
    )


def _next_due(schedule: Schedule, now: datetime) -> datetime | None:
    """None also where its timezone is gone from the database since."""
    try:
        return schedule.next_run(now)
    except InvalidRequest:
        return None


def _slot(last: LastRun | Missed) -> SlotBody:
    if isinstance(last, Missed):
        return SlotBody(due=moment(last.slot_at), state=last.status.name, reason=last.reason)
    return SlotBody(
        due=moment(last.slot_at),
        state=last.status.name,
        snapshot_id=UNSET if last.snapshot_id is None else last.snapshot_id,
        errors=UNSET if last.failure is None else [stored_error(last.failure)],
    )


def _timing(document: dict[str, Any], interval: IntervalType) -> Timing:
    """When it is due. What a kind of schedule does not have is refused, as it would mean something else to its sender.

    The first moment of the interval where nothing is said, but a day has to be.
    """
    unknown = [name for name in ("minute", "time", "day") if name in document and name not in _moments_of(interval)]
    if unknown:
        raise InvalidRequest(
            f"a schedule that is {INTERVALS[interval]} has no member {unknown[0]!r}; it has "
            f"{' and '.join(map(repr, _moments_of(interval)))}"
        )
    if interval is IntervalType.HOURLY:
        return Timing(interval, _whole(document, "minute", 0, 59))
    time = document.get("time", "00:00")
    match = _TIME.fullmatch(time) if isinstance(time, str) else None
    if match is None:
        raise InvalidRequest("the member 'time' must be a time of day from 00:00 to 23:59, such as '02:30'")
    day = None
    if interval in _DAYS:
        if "day" not in document:
            raise InvalidRequest(f"the member 'day' is missing: {_DAYS[interval]} where it is {INTERVALS[interval]}")
        day = _whole(document, "day", 1, 7 if interval is IntervalType.WEEKLY else 28)
    return Timing(interval, int(match[2]), int(match[1]), day)


def _moments_of(interval: IntervalType) -> tuple[str, ...]:
    if interval is IntervalType.HOURLY:
        return ("minute",)
    return ("time", "day") if interval in _DAYS else ("time",)


def _whole(document: dict[str, Any], name: str, least: int, most: int) -> int:
    value = document.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidRequest(f"the member {name!r} must be a whole number from {least} to {most}")
    return value
