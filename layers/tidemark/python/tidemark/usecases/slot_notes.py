"""What a schedule's record says of its slots: how a run ended, whose run has died, which slots were not run, and
which ones wait for their turn.

Whoever notes something reads the record, changes it, and stores it again until nobody came between, so it can be
repeated, and said by several.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId, environment_of
from tidemark.domain.schedule import LastRun, Missed, RunStatus, Schedule, Waiting, slot_id
from tidemark.domain.snapshot import Failure, SnapshotId, SnapshotStatus
from tidemark.errors import BackupOverdue, InvalidRequest, SnapshotNotFound, VolumeSnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.records import amend_schedule

# For how long an execution may be silent before a later slot passes it.
CLAIM_FOR: Final = timedelta(minutes=15)
_HEARD_AGAIN_AFTER: Final = timedelta(minutes=5)
# A day of hours.
_QUEUED_AT_MOST: Final = 24
# By how much the clock of whoever delivers a slot may be ahead, at the very most.
_CLOCKS_APART: Final = timedelta(hours=1)


class SlotSnapshot(NamedTuple):
    """The snapshot of a slot, and whether it is still being made."""

    id: SnapshotId
    being_made: bool


def slot_asks(schedule: Schedule, slot_at: datetime) -> Asked:
    """What a slot asks for its snapshot as, however often it asks."""
    slot = hashlib.sha256(slot_id(schedule.id, slot_at).encode()).hexdigest()
    return Asked(slot, slot)


def environment_in(schedule: Schedule) -> EnvironmentId:
    """The environment of a volume's schedule. Raises ValueError for a tenant's."""
    environment_id = environment_of(schedule.tenant)
    if environment_id is None:
        raise ValueError(f"schedule {schedule.id} is of {schedule.tenant}, which is no environment")
    return environment_id


def is_being_made(ports: Ports, schedule: Schedule, snapshot_id: SnapshotId) -> bool:
    """Whether the snapshot of a slot is still being made. Raises SnapshotNotFound, VolumeSnapshotNotFound."""
    if schedule.volume_id is None:
        return ports.catalog.snapshot(schedule.tenant, snapshot_id).status is SnapshotStatus.CREATING
    return ports.volumes.volume_snapshot(environment_in(schedule), snapshot_id).running


def is_yet_to_come(ports: Ports, slot_at: datetime) -> bool:
    """Whether no clock that is merely fast could have delivered the slot by now."""
    return slot_at > ports.clock.now() + _CLOCKS_APART


def refuse_yet_to_come(ports: Ports, slot_at: datetime) -> None:
    """Raises InvalidRequest for a slot which, once it was begun, would keep those before it from being made."""
    if is_yet_to_come(ports, slot_at):
        raise InvalidRequest(f"the slot {slot_at.isoformat()} is yet to come: name one that was due")


def goes_on(ports: Ports, schedule: Schedule, unheard_for: timedelta) -> bool:
    """Whether the execution that claimed the last slot may still be at work: it was heard of, or its snapshot is being
    made.
    """
    last = schedule.last_run
    if last is None or last.status is not RunStatus.RUNNING:
        return False
    if ports.clock.now() - (last.seen_at or last.started_at) < unheard_for:
        return True
    if last.snapshot_id is None:
        return False
    with suppress(SnapshotNotFound, VolumeSnapshotNotFound):
        return is_being_made(ports, schedule, last.snapshot_id)
    return False


def waits_behind(schedule: Schedule, slot_at: datetime, now: datetime) -> datetime | None:
    """The slot whose turn comes before this one's: the earliest that is in the queue; None where it is this one's."""
    earlier = [one.slot_at for one in _in_queue(schedule, now) if one.slot_at < slot_at]
    return min(earlier, default=None)


def note_waiting(ports: Ports, schedule: Schedule, slot_at: datetime) -> None:
    """Note that the slot waits for its turn, or still does. Of more than the record has room for, the earliest count.

    Raises ScheduleNotFound.
    """

    def note(present: Schedule) -> Schedule:
        now = ports.clock.now()
        if any(one.slot_at == slot_at and now - one.seen_at < _HEARD_AGAIN_AFTER for one in present.waiting):
            return present
        others = [one for one in _in_queue(present, now) if one.slot_at != slot_at]
        queue = sorted([*others, Waiting(slot_at, now)], key=lambda one: one.slot_at)
        return replace(present, waiting=tuple(queue[:_QUEUED_AT_MOST]))

    amend_schedule(ports.catalog, schedule.tenant, schedule.id, note)


def without(waiting: tuple[Waiting, ...], slot_at: datetime) -> tuple[Waiting, ...]:
    """The queue without a slot whose turn has come, and those that it overtakes."""
    return tuple(one for one in waiting if one.slot_at > slot_at)


def _in_queue(schedule: Schedule, now: datetime) -> list[Waiting]:
    """Those that wait and were heard of: an execution that died lets the others pass."""
    return [one for one in schedule.waiting if now - one.seen_at < CLAIM_FOR]


def note_missed(ports: Ports, schedule: Schedule, missed: Missed) -> Missed | None:
    """Note that a slot was not run; None where it, or a later one, was by now. Repeating it changes nothing.

    What was noted of the slot before stays. Raises ScheduleNotFound.
    """

    def note(present: Schedule) -> Schedule:
        known = present.last_missed
        if not present.newer(missed.slot_at) or (known is not None and missed.slot_at <= known.slot_at):
            return present
        return replace(present, last_missed=missed)

    noted = amend_schedule(ports.catalog, schedule.tenant, schedule.id, note).last_missed
    return missed if noted == missed else None


def end_dead_run(ports: Ports, schedule: Schedule, *, unheard_for: timedelta) -> LastRun | None:
    """Note that the schedule's last run failed, if nothing was heard of its execution for so long; None where it may
    still be at work. Raises ScheduleNotFound.
    """
    last = schedule.last_run
    if last is None or last.status is not RunStatus.RUNNING or goes_on(ports, schedule, unheard_for):
        return None
    failure = Failure(
        BackupOverdue.__name__,
        "Its execution ended without concluding it. If it has made a snapshot, that is kept; look at the execution.",
    )
    ended = ending(last.slot_at, last.owner, failure, last.seen_at or last.started_at)
    after = amend_schedule(ports.catalog, schedule.tenant, schedule.id, ended).last_run
    return after if after is not None and after.failure == failure else None


def ending(slot_at: datetime, owner: str, failure: Failure | None, seen_at: datetime) -> Callable[[Schedule], Schedule]:
    """The change that notes how a run ended, and when it was last heard of."""

    def end(schedule: Schedule) -> Schedule:
        last = schedule.last_run
        if last is None or not is_of(last, slot_at, owner) or last.status is not RunStatus.RUNNING:
            return schedule
        status = RunStatus.COMPLETED if failure is None else RunStatus.FAILED
        return replace(schedule, last_run=replace(last, status=status, failure=failure, seen_at=seen_at))

    return end


def is_of(last: LastRun | None, slot_at: datetime, owner: str) -> bool:
    """Whether the run is that of the slot by this execution."""
    return last is not None and last.slot_at == slot_at and last.owner == owner
