"""Announcements: what the world is told about snapshots, restores and backups, of entities and of volumes, derived from
how a record changed.

Every change of a record is seen once or more, with what it was before. What is announced follows from these two alone,
so a change that is seen again gives the same announcements with the same ids.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from tidemark.domain.environment import EnvironmentId, environment_of
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.schedule import LastRun, Missed, RunStatus, Schedule
from tidemark.domain.snapshot import Snapshot, SnapshotStatus, Verification
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState

type Record = Snapshot | Restore | Schedule | VolumeSnapshot | Task

# A restore enters these once readers see what it restored, and never before.
_PAST_CUTOVER: Final = frozenset({Phase.PRESERVE, Phase.RETIRE})
_MADE: Final = {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}


class Kind(StrEnum):
    """What happened, as the event bus calls it."""

    SNAPSHOT_COMPLETED = "Snapshot Completed"
    SNAPSHOT_FAILED = "Snapshot Failed"
    SNAPSHOT_DELETED = "Snapshot Deleted"
    VERIFICATION_FAILED = "Verification Failed"
    RESTORE_STARTED = "Restore Started"
    RESTORE_CUT_OVER = "Restore CutOver"
    RESTORE_COMPLETED = "Restore Completed"
    RESTORE_ROLLED_BACK = "Restore RolledBack"
    BACKUP_FAILED = "Backup Failed"
    BACKUP_MISSED = "Backup Missed"
    VOLUME_SNAPSHOT_COMPLETED = "Volume Snapshot Completed"
    VOLUME_SNAPSHOT_FAILED = "Volume Snapshot Failed"
    VOLUME_SNAPSHOT_DELETED = "Volume Snapshot Deleted"
    VOLUME_RESTORE_COMPLETED = "Volume Restore Completed"
    VOLUME_RESTORE_FAILED = "Volume Restore Failed"
    VOLUME_TEMPLATE_COMPLETED = "Volume Template Completed"
    VOLUME_TEMPLATE_FAILED = "Volume Template Failed"


# What is announced of the tasks that make something of a snapshot. The others are told of by the snapshot's record.
_OF_TASKS: Final = {
    (Operation.RESTORE, TaskStatus.SUCCESS): Kind.VOLUME_RESTORE_COMPLETED,
    (Operation.RESTORE, TaskStatus.FAILED): Kind.VOLUME_RESTORE_FAILED,
    (Operation.CREATE_TEMPLATE, TaskStatus.SUCCESS): Kind.VOLUME_TEMPLATE_COMPLETED,
    (Operation.CREATE_TEMPLATE, TaskStatus.FAILED): Kind.VOLUME_TEMPLATE_FAILED,
}


@dataclass(frozen=True, slots=True)
class Transition:
    """How one record changed, and when that was committed: to the second or finer. `before` is None where it is new,
    `after` where it was removed. `number` names the change to whoever delivered it.
    """

    number: str
    at: datetime
    before: Record | None
    after: Record | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """One thing to be told: what happened to a record, which is as it was right after it."""

    kind: Kind
    record: Record
    at: datetime

    @property
    def owner(self) -> Tenant | EnvironmentId:
        """Whose data it is about: a tenant's, or of volumes an environment's."""
        match self.record:
            case VolumeSnapshot() | Task():
                return self.record.environment
            case _:
                return environment_of(self.record.tenant) or self.record.tenant

    @property
    def id(self) -> str:
        """What tells it from all others, however often the change is seen: SHA-256, in hexadecimal digits.

        A version is of one record; ids of records may come back once they are removed, but not at the same moment.
        """
        of = (self.kind, self.owner, self.record.id, self.record.created_at.isoformat(), self.record.version)
        return hashlib.sha256("\n".join(map(str, of)).encode()).hexdigest()


def announcements(transition: Transition) -> list[Announcement]:
    """What the change means to others, in the order in which it is to be told; mostly nothing."""
    before, after = transition.before, transition.after
    match before, after:
        case ((None | Snapshot()), Snapshot()):
            kinds = _of_snapshot(before, after)
        case ((None | Restore()), Restore()):
            kinds = _of_restore(before, after)
        case ((None | Schedule()), Schedule()):
            kinds = _of_schedule(before, after)
        case ((None | VolumeSnapshot()), VolumeSnapshot()):
            kinds = _of_volume_snapshot(before, after)
        case ((None | Task()), Task()):
            kinds = _of_task(before, after)
        case _:
            return []
    return [Announcement(kind, after, transition.at) for kind in kinds]


def _of_snapshot(before: Snapshot | None, after: Snapshot) -> Iterator[Kind]:
    """One that comes back out of the recycle bin is neither completed nor failed anew, and one whose time there is over
    was told to be deleted before.
    """
    was = before.status if before else SnapshotStatus.CREATING
    if was is SnapshotStatus.CREATING and after.status in _MADE:
        completed = after.status is SnapshotStatus.COMPLETED
        yield Kind.SNAPSHOT_COMPLETED if completed else Kind.SNAPSHOT_FAILED
    if _found_damaged(before.verification if before else None, after.verification):
        yield Kind.VERIFICATION_FAILED
    if after.status is SnapshotStatus.DELETED and was is not SnapshotStatus.DELETED:
        yield Kind.SNAPSHOT_DELETED


def _of_restore(before: Restore | None, after: Restore) -> Iterator[Kind]:
    if before is None:
        yield Kind.RESTORE_STARTED
    if _cut_over(after) and not (before and _cut_over(before)):
        yield Kind.RESTORE_CUT_OVER
    if after.status is not RestoreStatus.RESTORING and (before is None or before.status is RestoreStatus.RESTORING):
        completed = after.status is RestoreStatus.COMPLETED
        yield Kind.RESTORE_COMPLETED if completed else Kind.RESTORE_ROLLED_BACK


def _cut_over(restore: Restore) -> bool:
    """Whether readers see what was restored. What phase it is in now says less: a repeat may enter an earlier one."""
    return any(start.phase in _PAST_CUTOVER for start in restore.phases)


def _of_schedule(before: Schedule | None, after: Schedule) -> Iterator[Kind]:
    last = after.last_run
    if (
        last is not None
        and last.status is RunStatus.FAILED
        and _slot(last) != _slot(before.last_run if before else None)
    ):
        yield Kind.BACKUP_FAILED
    missed = after.last_missed
    if missed is not None and _slot(missed) != _slot(before.last_missed if before else None):
        yield Kind.BACKUP_MISSED


def _slot(of: LastRun | Missed | None) -> tuple[datetime, RunStatus] | None:
    """Which slot it is about, and what became of that: the rest may be noted later."""
    return None if of is None else (of.slot_at, of.status)


def _of_volume_snapshot(before: VolumeSnapshot | None, after: VolumeSnapshot) -> Iterator[Kind]:
    was_made = before is not None and not before.running
    if after.state is VolumeSnapshotState.STORED and not was_made:
        yield Kind.VOLUME_SNAPSHOT_COMPLETED
    if after.state is VolumeSnapshotState.FAILED and not was_made:
        yield Kind.VOLUME_SNAPSHOT_FAILED
    if _found_damaged(before.verification if before else None, after.verification):
        yield Kind.VERIFICATION_FAILED
    if after.state is VolumeSnapshotState.DELETED and not (before and before.state is VolumeSnapshotState.DELETED):
        yield Kind.VOLUME_SNAPSHOT_DELETED


def _of_task(before: Task | None, after: Task) -> Iterator[Kind]:
    told = _OF_TASKS.get((after.operation, after.status))
    if told is not None and (before is None or before.status is TaskStatus.PENDING):
        yield told


def _found_damaged(before: Verification | None, after: Verification | None) -> bool:
    """Whether a verification has ended, and found that something is missing or damaged."""
    return after is not None and not after.ok and before != after
