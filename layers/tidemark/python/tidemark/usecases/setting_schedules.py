"""Bring EventBridge Scheduler and the catalog's records of schedules to agree, whoever died half-way.

A record is stored first, as `SETTING` or `REMOVING`, and says what is wanted; then EventBridge Scheduler is told, as
often as it takes; then the record says that it was. So a schedule that is delivered always has a record, and what a
dead process left is done by the next one that touches it.
"""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.schedule import Schedule, ScheduleStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import ScheduleNotFound, StaleRecord, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.records import amend_schedule


def settle(ports: Ports, tenant: Tenant, schedule_id: str) -> Schedule:
    """The schedule, delivered as its record says. Somebody else's change in the meantime is obeyed, too.

    Raises what `ports.Schedules` does, and ScheduleNotFound where it was deleted meanwhile.
    """
    while True:
        schedule = wanted_schedule(ports, tenant, schedule_id)
        now = ports.clock.now()
        if schedule.timetable().next_slot(now) is None:
            # EventBridge Scheduler refuses what will never be due, and has deleted it itself.
            ports.schedules.remove(schedule.id)
        else:
            ports.schedules.put(schedule, now=now)
        try:
            return ports.catalog.replace_schedule(replace(schedule, status=ScheduleStatus.ACTIVE))
        except StaleRecord:
            continue
        except ScheduleNotFound:
            # Whoever deleted it may have told EventBridge Scheduler so before it was told of it here.
            ports.schedules.remove(schedule.id)
            raise


def remove(ports: Ports, tenant: Tenant, schedule_id: str) -> None:
    """Let the schedule be delivered no more, then forget it. It can be repeated until ScheduleNotFound is raised."""

    def removing(schedule: Schedule) -> Schedule:
        return replace(schedule, status=ScheduleStatus.REMOVING)

    while True:
        schedule = amend_schedule(ports.catalog, tenant, schedule_id, removing)
        ports.schedules.remove(schedule.id)
        try:
            return ports.catalog.remove_schedule(schedule)
        except StaleRecord:
            continue


def finish_removals(ports: Ports, tenant: Tenant) -> None:
    """Remove what a process left half removed. What can't be removed now either is left to the next one."""
    for one in list(ports.catalog.found_schedules(tenant)):
        if isinstance(one, Schedule) and one.status is ScheduleStatus.REMOVING:
            with suppress(TidemarkError):
                remove(ports, tenant, one.id)


def wanted_schedule(ports: Ports, tenant: Tenant, schedule_id: str) -> Schedule:
    """The schedule, unless it is being removed. Raises ScheduleNotFound."""
    schedule = ports.catalog.schedule(tenant, schedule_id)
    if schedule.status is ScheduleStatus.REMOVING:
        raise ScheduleNotFound(f"no schedule {schedule_id}: it was deleted")
    return schedule
