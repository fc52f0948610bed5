"""Change a schedule. Where EventBridge Scheduler refuses the change, the schedule stays what it was."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import Overlap, Schedule, ScheduleStatus
from tidemark.domain.schedule_expression import whole_minute
from tidemark.domain.tenant import Tenant
from tidemark.errors import ScheduleNotFound, StaleRecord, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases import setting_schedules
from tidemark.usecases.records import amend_schedule
from tidemark.usecases.stack_schedule import refuse_change
from tidemark.usecases.update_snapshot import UNSAID, Unsaid


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What to say anew. None takes away what a schedule may be without."""

    expression: str | Unsaid = UNSAID
    timezone: str | Unsaid = UNSAID
    window_minutes: int | Unsaid | None = UNSAID
    description: str | Unsaid = UNSAID
    labels: Mapping[str, str] | Unsaid = UNSAID
    interval: IntervalType | Unsaid | None = UNSAID
    retention: RetentionPolicy | Unsaid | None = UNSAID
    overlap: Overlap | Unsaid = UNSAID
    paused: bool | Unsaid = UNSAID


def update_schedule(ports: Ports, tenant: Tenant, schedule_id: str, change: ScheduleChange) -> Schedule:
    """The schedule with the change, delivered so from now on. It can be repeated.

    Raises ScheduleNotFound, ScheduleOfStack, InvalidRequest, SchedulingRefused; then, and where AWS fails, nothing has
    changed unless AWS fails again while it is told so: then the schedule is `SETTING` until somebody changes or deletes
    it.
    """
    while True:
        before = setting_schedules.wanted_schedule(ports, tenant, schedule_id)
        refuse_change(before.id)
        after = _changed(ports, before, change)
        if after == before and before.status is ScheduleStatus.ACTIVE:
            return before
        try:
            stored = ports.catalog.replace_schedule(replace(after, status=ScheduleStatus.SETTING))
        except StaleRecord:
            continue
        try:
            return setting_schedules.settle(ports, tenant, schedule_id)
        except TidemarkError as error:
            with suppress(TidemarkError):
                _put_back(ports, before, stored, unchanged=not error.retryable)
            raise


def _changed(ports: Ports, before: Schedule, change: ScheduleChange) -> Schedule:
    after = replace(
        before,
        expression=_said(change.expression, before.expression),
        timezone=_said(change.timezone, before.timezone),
        window_minutes=_said(change.window_minutes, before.window_minutes),
        description=_said(change.description, before.description),
        labels=_said(change.labels, before.labels),
        interval_given=_said(change.interval, before.interval_given),
        retention=_said(change.retention, before.retention),
        overlap=_said(change.overlap, before.overlap),
        paused=_said(change.paused, before.paused),
    )
    if (after.expression, after.timezone) != (before.expression, before.timezone):
        after = replace(after, starts_at=whole_minute(ports.clock.now()))
    if before.paused and not after.paused:
        after = replace(after, resumed_at=ports.clock.now())
    return after.checked()


def _put_back(ports: Ports, before: Schedule, stored: Schedule, *, unchanged: bool) -> None:
    """The settings as they were, unless somebody changed them since; a run that was noted meanwhile stays noted.
    `unchanged`: EventBridge Scheduler has it still so.
    """

    def put_back(present: Schedule) -> Schedule:
        if _settings(present) != _settings(stored):
            return present
        status = before.status if unchanged else ScheduleStatus.SETTING
        return replace(
            before,
            status=status,
            last_run=present.last_run,
            last_missed=present.last_missed,
            waiting=present.waiting,
            version=present.version,
        )

    with suppress(ScheduleNotFound):
        after = amend_schedule(ports.catalog, before.tenant, before.id, put_back)
        if not unchanged and _settings(after) == _settings(replace(before, status=ScheduleStatus.SETTING)):
            setting_schedules.settle(ports, before.tenant, before.id)


def _settings(schedule: Schedule) -> Schedule:
    """What people set of a schedule: all but what its runs note."""
    return replace(schedule, last_run=None, last_missed=None, waiting=(), version=0)


def _said[T](new: T | Unsaid, present: T) -> T:
    return present if isinstance(new, Unsaid) else new
