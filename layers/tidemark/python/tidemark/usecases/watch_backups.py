"""Look whether every schedule is run as it should be, and how old the last snapshot of each tenant and volume is.

A slot that has not begun long after it was due is noted as missed, the latest one of a schedule at each look. A run
whose execution died is noted as failed. Nothing is made up for: the next slot is soon enough, or somebody asks for a
snapshot. Of each tenant the schedules are read, and snapshots as far as the newest that is good.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Final

from tidemark.domain.environment import ANY_ENVIRONMENT, EnvironmentId, environment_of, image_owner
from tidemark.domain.interval import IntervalType
from tidemark.domain.schedule import DamagedSchedule, Missed, RunStatus, Schedule, ScheduleId, ScheduleStatus
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.errors import CatalogCorrupt, InvalidRequest, ScheduleNotFound, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.slot_notes import end_dead_run, note_missed
from tidemark.usecases.stack_schedule import StackBackups, kept_in_step

# How late a slot may begin, beyond the schedule's own window; and for how long an execution may be silent.
GRACE: Final = timedelta(hours=1)
# How far back the newest good snapshot is looked for first, since whoever reads all records pays for all.
_LIKELY_WITHIN: Final = (timedelta(hours=2), timedelta(days=2))
# Tenants that are looked at together: what is in memory at a time.
_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True)
class Watched:
    """What was found of one tenant, or of the owner of an environment's images. `age_s` is that of its newest good
    snapshot, in seconds, or of its oldest schedule where it has none; of volumes, that of the one whose newest snapshot
    is the oldest. None where no new ones are to be made, of volumes at least each day. `damage` says which records
    can't be read, `problems` what else is wrong, `failure` why not all could be looked at.
    """

    tenant: Tenant
    age_s: float | None = None
    missed: tuple[tuple[ScheduleId, Missed], ...] = ()
    damage: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    failure: TidemarkError | None = None


def watch_backups(ports: Ports, stack: StackBackups | None) -> Iterator[Watched]:
    """What is found of every tenant, by their names, then of every environment. One that can't be looked at does not
    keep others from it.

    `stack` is what the stack's parameters say; its schedule is kept in step with them. Can be repeated.
    """
    for tenants in batched(ports.catalog.tenants(), _TOGETHER, strict=False):
        yield from ports.parallel.map(lambda tenant: _watched(ports, tenant, stack), tenants)
    try:
        environments = [image_owner(one) for one in ports.volumes.environment_ids()]
    except TidemarkError as error:
        yield Watched(
            image_owner(EnvironmentId(ANY_ENVIRONMENT)),
            problems=(f"the environments can't be listed: {error.message}",),
            failure=error,
        )
        return
    for owners in batched(environments, _TOGETHER, strict=False):
        yield from ports.parallel.map(lambda owner: _watched(ports, owner, None), owners)


def _watched(ports: Ports, tenant: Tenant, stack: StackBackups | None) -> Watched:
    try:
        return _look(ports, tenant, stack)
    except TidemarkError as error:
        return Watched(tenant, problems=(f"it could not be looked at: {error.message}",), failure=error)


def _look(ports: Ports, owner: Tenant, stack: StackBackups | None) -> Watched:
    missed: list[tuple[ScheduleId, Missed]] = []
    damage: list[str] = []
    problems: list[str] = []
    active: list[Schedule] = []
    refused: InvalidRequest | None = None
    try:
        if environment_of(owner) is None:
            kept_in_step(ports, owner, stack)
    except CatalogCorrupt:
        # It is found again below, and told there.
        pass
    except InvalidRequest as error:
        refused = error
        problems.append(f"the stack's parameters make no schedule for all tenants: {error.message}")
    now = ports.clock.now()
    for one in ports.catalog.found_schedules(owner):
        if isinstance(one, DamagedSchedule):
            damage.append(one.failure.message)
            continue
        # Somebody may delete it meanwhile.
        with suppress(ScheduleNotFound):
            dead = end_dead_run(ports, one, unheard_for=GRACE)
            if dead is not None:
                problems.append(f"the run of {one.id} for {dead.slot_at.isoformat()} has died: {dead.owner}")
            try:
                late = _late(ports, one, now)
                if _is_active(one, now) and _promises_a_day(one):
                    active.append(one)
            except InvalidRequest as error:
                problems.append(f"it can't be told when {one.id} is due: {error.message}")
                continue
            missed += [(one.id, late)] if late else []
    age_s = (now - _last_good(ports, owner, active)).total_seconds() if active else None
    return Watched(owner, age_s, tuple(missed), tuple(damage), tuple(problems), refused)


def _late(ports: Ports, schedule: Schedule, now: datetime) -> Missed | None:
    """The slot of the schedule that is missed, if it was not noted before."""
    slot_at = schedule.overdue_slot(now, GRACE)
    if slot_at is None:
        return None
    reason = f"nothing had begun it an hour after {schedule.due_by(slot_at).isoformat(timespec='seconds')}"
    return note_missed(ports, schedule, Missed(slot_at, RunStatus.MISSED, reason, now))


def _is_active(schedule: Schedule, now: datetime) -> bool:
    return schedule.status is not ScheduleStatus.REMOVING and schedule.next_run(now) is not None


def _promises_a_day(schedule: Schedule) -> bool:
    """Whether the age of what it makes says that something is wrong. Of a volume that has weekly or monthly schedules
    alone it says nothing for most of the time: its slots are watched, and that is all.
    """
    return schedule.volume_id is None or schedule.interval_given in {IntervalType.HOURLY, IntervalType.DAILY}


def _last_good(ports: Ports, owner: Tenant, active: Sequence[Schedule]) -> datetime:
    """When the newest good snapshot was made, of whatever is backed up; else since when it is to be."""
    environment_id = environment_of(owner)
    if environment_id is not None:
        return _last_stored(ports, environment_id, active)
    return _last_completed(ports, owner) or min(one.created_at for one in active)


def _last_completed(ports: Ports, tenant: Tenant) -> datetime | None:
    """When the newest snapshot was made that is completed and not known to be damaged."""
    now = ports.clock.now()
    for since in (*(now - likely for likely in _LIKELY_WITHIN), None):
        for one in ports.catalog.found_snapshots(tenant, since=since):
            if (
                isinstance(one, Snapshot)
                and one.status is SnapshotStatus.COMPLETED
                and (one.verification is None or one.verification.ok)
            ):
                return one.created_at
    return None


def _last_stored(ports: Ports, environment_id: EnvironmentId, active: Sequence[Schedule]) -> datetime:
    """When the newest good snapshot was made of the volume for which that is the longest ago. An image that was sent is
    of nobody knows when.
    """
    newest: dict[str | None, datetime] = {}
    for one in ports.volumes.volume_snapshots(environment_id):
        if (
            isinstance(one, VolumeSnapshot)
            and one.state is VolumeSnapshotState.STORED
            and one.uploaded is None
            and (one.verification is None or one.verification.ok)
        ):
            newest[one.volume_id] = max(one.created_at, newest.get(one.volume_id, one.created_at))
    since: dict[str | None, datetime] = {}
    for schedule in active:
        since[schedule.volume_id] = min(schedule.created_at, since.get(schedule.volume_id, schedule.created_at))
    return min(newest.get(volume_id, begun) for volume_id, begun in since.items())
