"""The schedule that the stack's parameters give every tenant: its record of each tenant, kept in step with them.

EventBridge Scheduler has one schedule for all tenants, which is the template's. So these records tell it nothing: they
are where a tenant's slots are claimed, what retention goes by, and what people see.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import STACK_SCHEDULE_ID, Schedule, ScheduleStatus
from tidemark.domain.schedule_expression import whole_minute
from tidemark.domain.tenant import Tenant
from tidemark.errors import RecordExists, ScheduleNotFound, ScheduleOfStack, StaleRecord
from tidemark.ports import Ports

_DESCRIPTION: Final = "{interval} backup of {date}"


@dataclass(frozen=True, slots=True)
class StackBackups:
    """What the parameters say: when, in which timezone, and what is kept; None where nothing is to be forgotten."""

    expression: str
    timezone: str
    retention: RetentionPolicy | None


def kept_in_step(ports: Ports, tenant: Tenant, wanted: StackBackups | None) -> Schedule | None:
    """The tenant's record as the parameters have it, made where there is none. Can be repeated.

    `wanted` is None where the stack has no such schedule: then a record that is there is paused, and none is made.
    Raises InvalidRequest where the parameters make no schedule, and CatalogCorrupt.
    """
    while True:
        try:
            present = ports.catalog.schedule(tenant, STACK_SCHEDULE_ID)
        except ScheduleNotFound:
            if wanted is None:
                return None
            with suppress(RecordExists):
                return ports.catalog.add_schedule(_new(ports, tenant, wanted))
            continue
        after = _changed(ports, present, wanted)
        if after == present:
            return present
        with suppress(StaleRecord, ScheduleNotFound):
            return ports.catalog.replace_schedule(after)


def refuse_change(schedule_id: str) -> None:
    """Raises ScheduleOfStack where the schedule is that of the stack."""
    if schedule_id == STACK_SCHEDULE_ID:
        raise ScheduleOfStack(
            f"schedule {schedule_id} is that of the stack, for all tenants: it can be read and previewed, and its "
            "operator alone changes it, by the stack's parameters BackupSchedule, BackupTimezone and BackupRetention"
        )


def _new(ports: Ports, tenant: Tenant, wanted: StackBackups) -> Schedule:
    now = ports.clock.now()
    return Schedule(
        tenant=tenant,
        id=STACK_SCHEDULE_ID,
        expression=wanted.expression,
        created_at=now,
        starts_at=whole_minute(now),
        timezone=wanted.timezone,
        description=_DESCRIPTION,
        retention=wanted.retention,
        status=ScheduleStatus.ACTIVE,
    ).checked()


def _changed(ports: Ports, present: Schedule, wanted: StackBackups | None) -> Schedule:
    if wanted is None:
        return replace(present, paused=True)
    after = _new(ports, present.tenant, wanted)
    same = (after.expression, after.timezone) == (present.expression, present.timezone)
    return replace(
        present,
        expression=after.expression,
        timezone=after.timezone,
        starts_at=present.starts_at if same else after.starts_at,
        description=after.description,
        retention=after.retention,
        paused=False,
        resumed_at=ports.clock.now() if present.paused else present.resumed_at,
    )
