"""Get and list schedules. Only the catalog is read."""

from collections.abc import Iterator

from tidemark.domain.schedule import DamagedSchedule, Schedule, ScheduleStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.listing import Listing, page_of
from tidemark.usecases.setting_schedules import wanted_schedule


def get_schedule(ports: Ports, tenant: Tenant, schedule_id: str) -> Schedule:
    """One schedule. Raises ScheduleNotFound."""
    return wanted_schedule(ports, tenant, schedule_id)


def list_schedules(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[Schedule | DamagedSchedule]:
    """Schedules, oldest first, and behind them those of which nothing else can be told: their record is damaged."""
    found = list(_found(ports, tenant))
    damaged = [one for one in found if isinstance(one, DamagedSchedule)]
    sound = [one for one in found if isinstance(one, Schedule)]
    ordered: list[Schedule | DamagedSchedule] = [*sorted(sound, key=lambda one: (one.created_at, one.id)), *damaged]
    page = page_of(ordered, limit=limit, offset=offset)
    damage: tuple[Failure, ...] = tuple(one.failure for one in damaged)
    return Listing(page.items, page.total, damage)


def _found(ports: Ports, tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
    for one in ports.catalog.found_schedules(tenant):
        if isinstance(one, DamagedSchedule) or one.status is not ScheduleStatus.REMOVING:
            yield one
