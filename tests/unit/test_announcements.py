"""What is announced of a change of a record, and what is not: by the record before and after it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.examples import TEN_O_CLOCK, restore, schedule, snapshot
from tests.fakes import MemoryAnnouncements, memory_ports
from tests.unit.volumes import examples as volumes
from tidemark.domain.announcements import Announcement, Kind, Record, Transition, announcements
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.schedule import LastRun, Missed, RunStatus, Schedule
from tidemark.domain.snapshot import Failure, ManifestRef, Snapshot, SnapshotStatus, Verification
from tidemark.domain.task import Operation
from tidemark.domain.volume import VolumeSnapshotState
from tidemark.ports import Event
from tidemark.usecases.announce import announce

WHY = Failure("PackCorrupt", "a pack is damaged")
CREATING = snapshot(version=1)
COMPLETED = replace(
    CREATING,
    status=SnapshotStatus.COMPLETED,
    manifest=ManifestRef("m", 1, "0" * 64),
    completed_at=TEN_O_CLOCK,
    version=2,
)
FAILED = replace(CREATING, status=SnapshotStatus.FAILED, failure=WHY, version=2)
DELETED = replace(COMPLETED.deleted(TEN_O_CLOCK, TEN_O_CLOCK + timedelta(days=7)), version=3)
DAMAGED = replace(COMPLETED, verification=Verification(TEN_O_CLOCK, ok=False, failure=WHY), version=3)
BEGUN = restore(version=1)
FLIPPED = BEGUN.entering(Phase.CUTOVER, TEN_O_CLOCK).entering(Phase.PRESERVE, TEN_O_CLOCK)
AGAIN = FLIPPED.entering(Phase.CUTOVER, TEN_O_CLOCK)
RETIRED = FLIPPED.entering(Phase.RETIRE, TEN_O_CLOCK)
IDLE = schedule(version=1)
RUNNING = replace(IDLE, last_run=LastRun(TEN_O_CLOCK, TEN_O_CLOCK, RunStatus.RUNNING, owner="execution"))
RAN = replace(RUNNING, last_run=LastRun(TEN_O_CLOCK, TEN_O_CLOCK, RunStatus.COMPLETED, owner="execution"))
BROKEN = replace(RUNNING, last_run=LastRun(TEN_O_CLOCK, TEN_O_CLOCK, RunStatus.FAILED, failure=WHY, owner="execution"))


ALLOCATED = volumes.snapshot(version=1)
CUT = volumes.in_state(VolumeSnapshotState.CUT, source_id="snap-1")
STORED = volumes.in_state(VolumeSnapshotState.STORED)
UNSTORED = volumes.in_state(VolumeSnapshotState.FAILED)
LEAVING = volumes.in_state(VolumeSnapshotState.DELETING)
GONE = LEAVING.deleted()
UNREADABLE = replace(STORED, verification=Verification(TEN_O_CLOCK, ok=False, failure=WHY))
INTO_VOLUME = volumes.task(operation=Operation.RESTORE)
INTO_TEMPLATE = volumes.task(operation=Operation.CREATE_TEMPLATE)
MAKING = volumes.task(operation=Operation.CREATE)

LEFT = Missed(TEN_O_CLOCK, RunStatus.MISSED, "nobody delivered it", TEN_O_CLOCK)


def over(status: RestoreStatus, begun: Restore = BEGUN) -> Restore:
    return replace(begun, status=status, finished_at=TEN_O_CLOCK)


def kinds(before: Record | None, after: Record | None) -> list[str]:
    return [told.kind.value for told in announcements(Transition("1", TEN_O_CLOCK, before, after))]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (CREATING, COMPLETED, ["Snapshot Completed"]),
        (None, COMPLETED, ["Snapshot Completed"]),
        (CREATING, FAILED, ["Snapshot Failed"]),
        (COMPLETED, DELETED, ["Snapshot Deleted"]),
        (FAILED, replace(FAILED, status=SnapshotStatus.DELETED), ["Snapshot Deleted"]),
        (CREATING, replace(CREATING, status=SnapshotStatus.DELETED), ["Snapshot Deleted"]),
        (COMPLETED, DAMAGED, ["Verification Failed"]),
        (None, BEGUN, ["Restore Started"]),
        (BEGUN, FLIPPED, ["Restore CutOver"]),
        (BEGUN.entering(Phase.CUTOVER, TEN_O_CLOCK), BEGUN.entering(Phase.RETIRE, TEN_O_CLOCK), ["Restore CutOver"]),
        (RETIRED, over(RestoreStatus.COMPLETED, RETIRED), ["Restore Completed"]),
        (BEGUN, over(RestoreStatus.FAILED), ["Restore RolledBack"]),
        (BEGUN, over(RestoreStatus.CANCELLED), ["Restore RolledBack"]),
        (RUNNING, BROKEN, ["Backup Failed"]),
        (CUT, STORED, ["Volume Snapshot Completed"]),
        (None, STORED, ["Volume Snapshot Completed"]),
        (ALLOCATED, UNSTORED, ["Volume Snapshot Failed"]),
        (STORED, UNREADABLE, ["Verification Failed"]),
        (LEAVING, GONE, ["Volume Snapshot Deleted"]),
        (INTO_VOLUME, INTO_VOLUME.succeeded(TEN_O_CLOCK, "v"), ["Volume Restore Completed"]),
        (None, INTO_VOLUME.failed(WHY, TEN_O_CLOCK), ["Volume Restore Failed"]),
        (INTO_TEMPLATE, INTO_TEMPLATE.succeeded(TEN_O_CLOCK, "t"), ["Volume Template Completed"]),
        (INTO_TEMPLATE, INTO_TEMPLATE.failed(WHY, TEN_O_CLOCK), ["Volume Template Failed"]),
    ],
)
def test_what_happened_is_announced(before: Record | None, after: Record, told: list[str]) -> None:
    assert kinds(before, after) == told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, CREATING),
        (CREATING, replace(CREATING, version=2)),
        (COMPLETED, replace(COMPLETED, description="another", version=3)),
        (COMPLETED, COMPLETED.using("restore_2026-01-15T10-00-00Z")),
        (DELETED, DELETED.undeleted()),
        (replace(FAILED, status=SnapshotStatus.DELETED), FAILED),
        (DELETED, replace(DELETED, status=SnapshotStatus.PURGING)),
        (DELETED, None),
        (COMPLETED, replace(COMPLETED, verification=Verification(TEN_O_CLOCK, ok=True))),
        (DAMAGED, replace(DAMAGED, pinned=True)),
        (BEGUN, BEGUN.entering(Phase.CUTOVER, TEN_O_CLOCK)),
        (FLIPPED, RETIRED),
        (AGAIN, AGAIN.entering(Phase.PRESERVE, TEN_O_CLOCK)),
        (over(RestoreStatus.FAILED), replace(over(RestoreStatus.FAILED), swept=True)),
        (None, IDLE),
        (IDLE, RUNNING),
        (RUNNING, RAN),
        (BROKEN, replace(BROKEN, paused=True)),
        (None, ALLOCATED),
        (ALLOCATED, CUT),
        (STORED, STORED.using("task 1")),
        (STORED, LEAVING),
        (UNSTORED, replace(UNSTORED, state=VolumeSnapshotState.DELETING)),
        (UNREADABLE, UNREADABLE.using("task 1")),
        (GONE, replace(GONE, version=9)),
        (None, INTO_VOLUME),
        (INTO_VOLUME, replace(INTO_VOLUME, version=2)),
        (INTO_VOLUME.succeeded(TEN_O_CLOCK), replace(INTO_VOLUME.succeeded(TEN_O_CLOCK), version=3)),
        # The record of its snapshot tells of these.
        (MAKING, MAKING.succeeded(TEN_O_CLOCK)),
        (MAKING, MAKING.failed(WHY, TEN_O_CLOCK)),
        (INTO_VOLUME.failed(WHY, TEN_O_CLOCK), None),
    ],
)
def test_everything_else_is_not(before: Record | None, after: Record | None) -> None:
    assert kinds(before, after) == []


def test_damage_is_told_each_time_that_it_is_read() -> None:
    again = replace(DAMAGED, verification=Verification(TEN_O_CLOCK + timedelta(days=30), ok=False, failure=WHY))
    assert kinds(DAMAGED, again) == ["Verification Failed"]


def test_one_change_may_mean_several_things() -> None:
    assert kinds(CREATING, DAMAGED) == ["Snapshot Completed", "Verification Failed"]
    assert kinds(COMPLETED, replace(DAMAGED, status=SnapshotStatus.DELETED)) == [
        "Verification Failed",
        "Snapshot Deleted",
    ]


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (None, ["Backup Missed"]),
        (LEFT, []),
        (replace(LEFT, reason="nobody could deliver it"), []),
        (replace(LEFT, slot_at=TEN_O_CLOCK - timedelta(hours=1)), ["Backup Missed"]),
        (replace(LEFT, status=RunStatus.SKIPPED), ["Backup Missed"]),
    ],
)
def test_slot_that_was_left_out_is_announced_once(before: Missed | None, told: list[str]) -> None:
    assert kinds(replace(IDLE, last_missed=before), replace(IDLE, last_missed=LEFT)) == told


# --- Ids


def told(after: Snapshot, kind: Kind = Kind.SNAPSHOT_COMPLETED) -> Announcement:
    return Announcement(kind, after, TEN_O_CLOCK)


def test_change_that_is_seen_again_is_announced_under_the_same_id() -> None:
    first, again = (announcements(Transition(number, TEN_O_CLOCK, CREATING, COMPLETED)) for number in ("1", "9"))
    assert [one.id for one in first] == [one.id for one in again]
    assert told(COMPLETED).id == replace(told(COMPLETED), at=TEN_O_CLOCK + timedelta(seconds=1)).id


def test_ids_tell_everything_apart() -> None:
    others: Sequence[Any] = (
        told(COMPLETED, Kind.SNAPSHOT_DELETED),
        told(replace(COMPLETED, version=7)),
        told(snapshot(1, version=2)),
        told(replace(COMPLETED, created_at=TEN_O_CLOCK + timedelta(days=1))),
        told(snapshot(tenant=IDLE.tenant, sequence=2, version=2)),
    )
    assert len({told(COMPLETED).id, *(other.id for other in others)}) == 1 + len(others)


# --- Telling them


def said(told: Announcement) -> str:
    return f'{{"about":"{told.record.id}"}}'


TRANSITIONS = [
    Transition("1", TEN_O_CLOCK, CREATING, CREATING),
    Transition("2", TEN_O_CLOCK, CREATING, COMPLETED),
    Transition("3", TEN_O_CLOCK, CREATING, DAMAGED),
    Transition("4", TEN_O_CLOCK, None, BEGUN),
]


def refusing(kind: str) -> MemoryAnnouncements:
    bus = MemoryAnnouncements()
    bus.refuse = lambda event: "InternalFailure" if event.kind == kind else ""
    return bus


def test_everything_is_told_in_its_order() -> None:
    bus = MemoryAnnouncements()
    outcome = announce(replace(memory_ports(), announcements=bus), TRANSITIONS, said)
    assert [event.kind for event in bus.told] == [
        "Snapshot Completed",
        "Snapshot Completed",
        "Verification Failed",
        "Restore Started",
    ]
    assert bus.told[-1] == Event(outcome.told[-1].id, "Restore Started", TEN_O_CLOCK, f'{{"about":"{BEGUN.id}"}}')
    assert (len(outcome.told), outcome.left) == (4, None)


def test_first_change_that_was_not_told_in_full_is_named() -> None:
    bus = refusing("Verification Failed")
    outcome = announce(replace(memory_ports(), announcements=bus), TRANSITIONS, said)
    assert outcome.left == "3"
    assert outcome.reason == "Verification Failed: InternalFailure"
    # What was told of that one will be told again, so it doesn't count yet.
    assert [one.kind for one in outcome.told] == [Kind.SNAPSHOT_COMPLETED]


def test_nothing_to_tell_needs_no_bus() -> None:
    silent = refusing("")
    assert announce(replace(memory_ports(), announcements=silent), TRANSITIONS[:1], said).left is None


def test_records_of_different_kinds_are_no_transition() -> None:
    assert kinds(IDLE, COMPLETED) == []
    assert isinstance(IDLE, Schedule)
