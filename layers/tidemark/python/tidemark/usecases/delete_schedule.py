"""Delete a schedule. The snapshots that it made stay, and no policy concerns them any more."""

from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases import setting_schedules


def delete_schedule(ports: Ports, tenant: Tenant, schedule_id: str) -> None:
    """From its beginning on, the schedule is not found and starts no backup. It can be repeated where it failed.

    Raises ScheduleNotFound.
    """
    setting_schedules.remove(ports, tenant, schedule_id)
