"""List, get and delete the schedules of an environment's volumes."""

from typing import NamedTuple

from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.schedule import DamagedSchedule, Schedule, ScheduleStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import VolumeId
from tidemark.ports import Ports
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.setting_schedules import wanted_schedule


class SchedulesFound(NamedTuple):
    """The schedules, oldest first, and why others can't be read, which may be of any volume."""

    schedules: list[Schedule]
    damage: list[Failure]


def list_volume_schedules(
    ports: Ports, environment_id: EnvironmentId, *, volume_id: VolumeId | None = None
) -> SchedulesFound:
    """The schedules of an environment: all, or those of one volume, which may be gone since.

    Raises EnvironmentNotFound.
    """
    found = SchedulesFound([], [])
    for one in ports.catalog.found_schedules(_owner(ports, environment_id)):
        if isinstance(one, DamagedSchedule):
            found.damage.append(one.failure)
        elif one.status is not ScheduleStatus.REMOVING and volume_id in {None, one.volume_id}:
            found.schedules.append(one)
    found.schedules.sort(key=lambda one: (one.created_at, one.id))
    return found


def get_volume_schedule(ports: Ports, environment_id: EnvironmentId, schedule_id: str) -> Schedule:
    """One schedule. Raises EnvironmentNotFound, ScheduleNotFound, CatalogCorrupt."""
    return wanted_schedule(ports, _owner(ports, environment_id), schedule_id)


def delete_volume_schedule(ports: Ports, environment_id: EnvironmentId, schedule_id: str) -> None:
    """End a schedule; the snapshots that it made stay. It can be repeated where it failed.

    Raises EnvironmentNotFound, ScheduleNotFound.
    """
    delete_schedule(ports, _owner(ports, environment_id), schedule_id)


def _owner(ports: Ports, environment_id: EnvironmentId) -> Tenant:
    return image_owner(ports.volumes.environment(environment_id).id)
