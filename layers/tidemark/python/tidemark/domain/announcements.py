"""Announcements: what the world is told about snapshots, restores and backups, derived from how a record changed.

Every change of a record is seen once or more, with what it was before. What is announced follows from these two alone,
so a change that is seen again gives the same announcements with the same ids.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.schedule import LastRun, Missed, RunStatus, Schedule
from tidemark.domain.snapshot import Snapshot, SnapshotStatus

type Record = Snapshot | Restore | Schedule

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
    def id(self) -> str:
        """What tells it from all others, however often the change is seen: SHA-256, in hexadecimal digits.

        A version is of one record; ids of records may come back once they are removed, but not at the same moment.
        """
        of = (self.kind, self.record.tenant, self.record.id, self.record.created_at.isoformat(), self.record.version)
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
    found = after.verification
    if found is not None and not found.ok and (before is None or before.verification != found):
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
