"""Have snapshots of a volume taken on a schedule. A volume has one of each interval type: who asks for another one
changes it.

Source: Apache CloudStack, `createSnapshotPolicy`, which does the same.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import ID_BYTES, Schedule, ScheduleStatus, new_schedule_id
from tidemark.domain.schedule_expression import whole_minute
from tidemark.domain.volume import VolumeId
from tidemark.domain.volume_schedule import Timing
from tidemark.domain.zones import UTC_NAME
from tidemark.errors import ScheduleNotFound, WriteConflict
from tidemark.ports import Ports
from tidemark.usecases import setting_schedules
from tidemark.usecases.create_schedule import keep_to_quota, register
from tidemark.usecases.read_volumes import get_volume
from tidemark.usecases.update_schedule import ScheduleChange, update_schedule

MAX_SCHEDULES: Final = 100
# Each time somebody else was faster.
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class VolumeScheduleWanted:
    """Of which volume, when, in which timezone, how many of the snapshots that it makes stay, and whether it is to make
    any at present.
    """

    volume_id: VolumeId
    timing: Timing
    keep: int
    timezone: str = UTC_NAME
    paused: bool = False


def set_volume_schedule(
    ports: Ports, environment_id: EnvironmentId, wanted: VolumeScheduleWanted, *, quota: int = MAX_SCHEDULES
) -> Schedule:
    """The schedule of the volume of that interval type, new or changed, which EventBridge Scheduler has. It can be
    repeated.

    Raises EnvironmentNotFound, VolumeNotFound, InvalidRequest, ScheduleQuotaReached, SchedulingRefused; and
    WriteConflict where others were faster again and again.
    """
    expression, retention = wanted.timing.expression(), RetentionPolicy(last=wanted.keep)
    volume = get_volume(ports, environment_id, wanted.volume_id)
    change = ScheduleChange(expression=expression, timezone=wanted.timezone, retention=retention, paused=wanted.paused)
    for _ in range(_ATTEMPTS):
        present = _present(ports, environment_id, wanted)
        with suppress(ScheduleNotFound, WriteConflict):
            if present:
                first, *others = present
                _remove(ports, others)
                return update_schedule(ports, first.tenant, first.id, change)
            now = ports.clock.now()
            new = Schedule(
                tenant=image_owner(environment_id),
                id=new_schedule_id(ports.entropy.token_bytes(ID_BYTES)),
                expression=expression,
                created_at=now,
                starts_at=whole_minute(now),
                timezone=wanted.timezone,
                interval_given=wanted.timing.interval,
                retention=retention,
                paused=wanted.paused,
                volume_id=volume.id,
            ).checked()
            return register(ports, new, lambda made: _check(ports, environment_id, wanted, made, quota))
    raise WriteConflict(
        f"the {wanted.timing.interval} schedule of volume {volume.id} is changed by others at this moment; try again"
    )


def _check(
    ports: Ports, environment_id: EnvironmentId, wanted: VolumeScheduleWanted, made: Schedule, quota: int
) -> None:
    """Looked at with the new one among them, so that of two that come at once one stays: the first, of all that are
    registered. Raises WriteConflict for the other one, ScheduleQuotaReached.
    """
    first, *others = _present(ports, environment_id, wanted) or [made]
    if first.id != made.id:
        raise WriteConflict(f"the schedule {first.id} was made at the same moment")
    keep_to_quota(ports, made.tenant, quota + len(others), f"environment {environment_id}")
    _remove(ports, others)


def _present(ports: Ports, environment_id: EnvironmentId, wanted: VolumeScheduleWanted) -> list[Schedule]:
    """The volume's schedules of that interval type, of which there should be one at most; the first comes first."""
    found = [
        one
        for one in ports.catalog.found_schedules(image_owner(environment_id))
        if isinstance(one, Schedule)
        and one.status is not ScheduleStatus.REMOVING
        and (one.volume_id, one.interval_given) == (wanted.volume_id, wanted.timing.interval)
    ]
    return sorted(found, key=lambda one: (one.created_at, one.id))


def _remove(ports: Ports, others: list[Schedule]) -> None:
    for one in others:
        with suppress(ScheduleNotFound):
            setting_schedules.remove(ports, one.tenant, one.id)
