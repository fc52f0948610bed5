"""Schedules in the NGSIv2 vocabulary: what requests say of them, and how answers show them.

`domain.schedule` and `domain.schedule_expression` say what the members mean and refuse what is not possible.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.errors import FailureBody, stored_failure
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.retention import RetentionBody, parse_policy, policy_body
from tidemark.dialects.ngsi.snapshot_metadata import description_in, labels_in
from tidemark.dialects.ngsi.snapshots import ScheduleName, Seconds, SnapshotName, seconds
from tidemark.dialects.wire import Request
from tidemark.domain.interval import IntervalType
from tidemark.domain.schedule import (
    DamagedSchedule,
    LastRun,
    Missed,
    Overlap,
    RunStatus,
    Schedule,
    ScheduleId,
    ScheduleStatus,
    parse_schedule_id,
)
from tidemark.errors import InvalidRequest
from tidemark.usecases.create_schedule import ScheduleWanted
from tidemark.usecases.update_schedule import ScheduleChange

_EXPRESSION: Final = "expression"
_MEMBERS: Final = (
    _EXPRESSION,
    "timezone",
    "windowMinutes",
    "description",
    "labels",
    "interval",
    "retention",
    "overlap",
    "paused",
)
# What null takes away.
_OPTIONAL: Final = ("windowMinutes", "interval", "retention")


class LastRunBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a schedule's last slot. `slotAt` is when it was due, `startedAt` when that was begun; one that was
    skipped or missed was not, and has a `reason`.
    """

    slot_at: Seconds
    started_at: Seconds | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    snapshot_id: SnapshotName | UnsetType = UNSET
    error: FailureBody | UnsetType = UNSET


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A schedule. Members that have no value yet are left out; `nextRun` also while it is paused.

    `status` is `setting` while EventBridge Scheduler is being told of it; where that was cut short, change it again.
    """

    id: ScheduleName
    status: Literal["active", "setting"]
    expression: str
    timezone: str
    window_minutes: Annotated[int, Meta(ge=1, le=1440)] | UnsetType = UNSET
    description: str
    labels: dict[str, str]
    interval: IntervalType | UnsetType = UNSET
    retention: RetentionBody | UnsetType = UNSET
    overlap: Overlap
    paused: bool
    created_at: Seconds
    last_run: LastRunBody | UnsetType = UNSET
    last_status: RunStatus | UnsetType = UNSET
    next_run: Seconds | UnsetType = UNSET
    error: FailureBody | UnsetType = UNSET


class DamagedScheduleBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Stands in lists for a schedule whose record is damaged: of it only what the record's place tells is known."""

    id: ScheduleName
    status: Literal["failed"] = "failed"
    error: FailureBody


def named(request: Request) -> ScheduleId:
    """The schedule in the path. Raises ScheduleNotFound at once where no schedule can have such an id."""
    return parse_schedule_id(request.path_parameter("scheduleId"))


def parse_create(document: object) -> ScheduleWanted:
    """The body of a create request. Raises InvalidRequest naming the member that is wrong."""
    said = members(document, _MEMBERS)
    if _EXPRESSION not in said:
        raise InvalidRequest(
            f"the member '{_EXPRESSION}' is missing: it says when backups are made, as in rate(12 hours) or "
            "cron(0 2 * * ? *)"
        )
    return ScheduleWanted(**_parsed(said))


def parse_update(document: object) -> ScheduleChange:
    """The body of an update request; null takes away. Raises InvalidRequest naming the member that is wrong."""
    said = members(document, _MEMBERS)
    if not said:
        raise InvalidRequest(f"the body changes nothing; it can have {', '.join(_MEMBERS)}")
    return ScheduleChange(**_parsed(said))


def render(schedule: Schedule, now: datetime) -> ScheduleBody:
    """A schedule as it stands at that moment."""
    interval, next_run, error = _due(schedule, now)
    last = schedule.latest()
    return ScheduleBody(
        id=schedule.id,
        status="active" if schedule.status is ScheduleStatus.ACTIVE else "setting",
        expression=schedule.expression,
        timezone=schedule.timezone,
        window_minutes=UNSET if schedule.window_minutes is None else schedule.window_minutes,
        description=schedule.description,
        labels=dict(schedule.labels),
        interval=interval,
        retention=UNSET if schedule.retention is None else policy_body(schedule.retention),
        overlap=schedule.overlap,
        paused=schedule.paused,
        created_at=seconds(schedule.created_at),
        last_run=UNSET if last is None else _run(last),
        last_status=UNSET if last is None else last.status,
        next_run=UNSET if next_run is None else seconds(next_run),
        error=error,
    )


def listed(found: Schedule | DamagedSchedule, now: datetime) -> ScheduleBody | DamagedScheduleBody:
    """A schedule in the list. One whose record is damaged says so, and of the rest only what its place tells."""
    if isinstance(found, Schedule):
        return render(found, now)
    return DamagedScheduleBody(id=found.id, error=stored_failure(found.failure))


def location(schedule_id: str) -> dict[str, str]:
    """The header that says where a schedule is."""
    return {"Location": f"/v2/schedules/{schedule_id}"}


def _due(
    schedule: Schedule, now: datetime
) -> tuple[IntervalType | UnsetType, datetime | None, FailureBody | UnsetType]:
    """Its interval and next run; or why there are none: its timezone may be gone from the database since."""
    try:
        return schedule.interval(), schedule.next_run(now), UNSET
    except InvalidRequest as error:
        return UNSET, None, FailureBody(error.code, error.message)


def _run(last: LastRun | Missed) -> LastRunBody:
    if isinstance(last, Missed):
        return LastRunBody(slot_at=seconds(last.slot_at), reason=last.reason)
    return LastRunBody(
        slot_at=seconds(last.slot_at),
        started_at=seconds(last.started_at),
        snapshot_id=UNSET if last.snapshot_id is None else last.snapshot_id,
        error=UNSET if last.failure is None else stored_failure(last.failure),
    )


def _parsed(said: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are there, by the names of the fields of `ScheduleWanted` and `ScheduleChange`."""
    found: dict[str, Any] = {}
    for name in said:
        if said[name] is None and name in _OPTIONAL:
            found[_FIELDS.get(name, name)] = None
            continue
        match name:
            case "windowMinutes":
                found["window_minutes"] = _whole(said[name], name)
            case "description":
                found[name] = description_in(said)
            case "labels":
                found[name] = labels_in(said)
            case "interval":
                found[name] = _one_of(said[name], name, IntervalType)
            case "retention":
                found[name] = parse_policy(said[name])
            case "overlap":
                found[name] = _one_of(said[name], name, Overlap)
            case "paused":
                found[name] = _boolean(said[name], name)
            case _:
                found[name] = _text(said[name], name)
    return found


_FIELDS: Final = {"windowMinutes": "window_minutes"}


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"the member {name!r} must be a string; it is {json_type(value)}")
    return value


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        shown = "a fraction" if isinstance(value, float) else json_type(value)
        raise InvalidRequest(f"the member {name!r} must be a whole number of minutes, 1 to 1440; it is {shown}")
    return value


def _boolean(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"the member {name!r} must be true or false; it is {json_type(value)}")
    return value


def _one_of[E: StrEnum](value: object, name: str, kind: type[E]) -> E:
    text = _text(value, name)
    known = [one.value for one in kind if one is not IntervalType.MANUAL]
    if text not in known:
        raise InvalidRequest(f"the member {name!r} must be one of {', '.join(known)}; it is {text[:40]!r}")
    return kind(text)
