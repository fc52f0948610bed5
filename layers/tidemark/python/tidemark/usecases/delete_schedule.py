"""Delete a schedule. The snapshots that it made stay, and no policy concerns them any more."""

from tidemark.domain.schedule import parse_schedule_id
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt
from tidemark.ports import Ports
from tidemark.usecases import setting_schedules
from tidemark.usecases.stack_schedule import refuse_change


def delete_schedule(ports: Ports, tenant: Tenant, schedule_id: str) -> None:
    """From its beginning on, the schedule is not found and starts no backup. It can be repeated where it failed.

    One whose record is damaged can be deleted too: its id is all that has to be known. Raises ScheduleNotFound,
    ScheduleOfStack.
    """
    try:
        schedule = ports.catalog.schedule(tenant, schedule_id)
    except CatalogCorrupt:
        # First of all nothing is delivered any more: the record is where people find that something still is.
        ports.schedules.remove(parse_schedule_id(schedule_id))
        ports.catalog.remove_damaged_schedule(tenant, schedule_id)
        return
    refuse_change(schedule.id)
    setting_schedules.remove(ports, tenant, schedule_id)
