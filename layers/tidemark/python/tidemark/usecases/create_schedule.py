"""Create a schedule of backups. Where EventBridge Scheduler refuses it, nothing is left of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tidemark.domain.asked import KEPT_FOR, Asked
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import (
    ID_BYTES,
    STACK_SCHEDULE_ID,
    Overlap,
    Schedule,
    ScheduleStatus,
    new_schedule_id,
)
from tidemark.domain.schedule_expression import whole_minute
from tidemark.domain.tenant import Tenant
from tidemark.domain.zones import UTC_NAME
from tidemark.errors import KeyReused, ScheduleQuotaReached, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases import setting_schedules

MAX_SCHEDULES: Final = 10


@dataclass(frozen=True, slots=True)
class ScheduleWanted:
    """What a schedule is to be; see `domain.schedule.Schedule`."""

    expression: str
    timezone: str = UTC_NAME
    window_minutes: int | None = None
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    interval: IntervalType | None = None
    retention: RetentionPolicy | None = None
    overlap: Overlap = Overlap.SKIP
    paused: bool = False


def create_schedule(
    ports: Ports, tenant: Tenant, wanted: ScheduleWanted, *, asked: Asked | None = None, quota: int = MAX_SCHEDULES
) -> Schedule:
    """The schedule, which EventBridge Scheduler has. What was `asked` for before, by a request that died, is not made
    again.

    Raises InvalidRequest, KeyReused, ScheduleQuotaReached, SchedulingRefused.
    """
    made = None if asked is None else _asked_for(ports, tenant, asked)
    if made is not None:
        return setting_schedules.settle(ports, tenant, made.id)
    now = ports.clock.now()
    schedule = Schedule(
        tenant=tenant,
        id=new_schedule_id(ports.entropy.token_bytes(ID_BYTES)),
        expression=wanted.expression,
        created_at=now,
        starts_at=whole_minute(now),
        timezone=wanted.timezone,
        window_minutes=wanted.window_minutes,
        description=wanted.description,
        labels=dict(wanted.labels),
        interval_given=wanted.interval,
        retention=wanted.retention,
        overlap=wanted.overlap,
        paused=wanted.paused,
        asked=asked,
    ).checked()
    ports.catalog.add_tenant(tenant)
    return register(ports, schedule, lambda _registered: keep_to_quota(ports, tenant, quota, f"tenant {tenant}"))


def register(ports: Ports, schedule: Schedule, check: Callable[[Schedule], None]) -> Schedule:
    """The schedule, registered, and told to EventBridge Scheduler; nothing is left of it where `check`, which is made
    once it is registered, or EventBridge Scheduler refuses it.
    """
    setting_schedules.finish_removals(ports, schedule.tenant)
    registered = ports.catalog.add_schedule(schedule)
    try:
        check(registered)
        return setting_schedules.settle(ports, registered.tenant, registered.id)
    except TidemarkError:
        # What this fails at is finished by whoever creates or deletes a schedule of the tenant next.
        with suppress(TidemarkError):
            setting_schedules.remove(ports, registered.tenant, registered.id)
        raise


def keep_to_quota(ports: Ports, owner: Tenant, quota: int, called: str) -> None:
    """Counted with the new one among them, so that two that come at once can't both be the last. That of the stack does
    not count: the tenant can't do without it. Raises ScheduleQuotaReached, with what the owner is called.
    """
    if sum(one.id != STACK_SCHEDULE_ID for one in ports.catalog.found_schedules(owner)) > quota:
        raise ScheduleQuotaReached(
            f"{called} has {quota} schedules, which is all it may have: delete one, or let the operator of this "
            "service allow more"
        )


def _asked_for(ports: Ports, tenant: Tenant, asked: Asked) -> Schedule | None:
    """The schedule that the request has registered. Raises KeyReused."""
    since = ports.clock.now() - KEPT_FOR
    for one in ports.catalog.found_schedules(tenant):
        if not isinstance(one, Schedule) or one.asked is None or one.created_at < since:
            continue
        if one.asked.key == asked.key and one.status is not ScheduleStatus.REMOVING:
            if one.asked.content != asked.content:
                raise KeyReused("another request was made with this key; use a new key for each request")
            return one
    return None
