"""The snapshot that a slot of a tenant's schedule makes: of its entities."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from tidemark.domain.schedule import LastRun, Schedule, render_description
from tidemark.domain.snapshot import Failure, SnapshotId, SnapshotStatus, Trigger
from tidemark.engine import verification
from tidemark.errors import CaptureInProgress, Corrupt, DryRunInProgress, RestoreInProgress, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases import verify_snapshot
from tidemark.usecases.apply_retention import apply_retention
from tidemark.usecases.create_snapshot import drafted, take
from tidemark.usecases.slot_notes import SlotSnapshot, slot_asks

# What the slot waits for.
BUSY: Final = (CaptureInProgress, DryRunInProgress, RestoreInProgress)
# By how much the clocks of two functions may differ, at the very most.
_CLOCKS_DIFFER: Final = timedelta(minutes=1)


def make(ports: Ports, schedule: Schedule, claimed: LastRun, budget_s: float) -> SlotSnapshot:
    """The snapshot of the slot that has the claim, made or looked after. It is asked for under the slot's id, so it is
    made once even where the note of its id was lost. Raises what a capture does.
    """
    interval = schedule.interval()
    said = render_description(schedule.description, schedule.tenant, claimed.slot_at, schedule.timetable(), interval)
    draft = replace(
        drafted(ports, schedule.tenant),
        description=said,
        labels=schedule.labels,
        trigger=Trigger.SCHEDULED,
        schedule_id=schedule.id,
        slot_at=claimed.slot_at,
        interval=interval,
        asked=slot_asks(schedule, claimed.slot_at),
    )
    # Only this execution asks for it, and not before it had the slot: an older record may be damaged.
    snapshot = take(ports, draft, budget_s=budget_s, asked_since=claimed.started_at - _CLOCKS_DIFFER)
    return SlotSnapshot(snapshot.id, being_made=snapshot.status is SnapshotStatus.CREATING)


def check(ports: Ports, schedule: Schedule, snapshot_id: SnapshotId) -> Failure | None:
    """What is wrong with the snapshot. A manifest that is damaged is noted on it."""
    try:
        snapshot = ports.catalog.snapshot(schedule.tenant, snapshot_id)
        if snapshot.status is not SnapshotStatus.COMPLETED:
            return snapshot.failure or Failure("BackupFailed", f"snapshot {snapshot.id} is {snapshot.status}")
        verification.check_manifest(ports.payloads, snapshot)
    except Corrupt as error:
        failure = Failure(error.code, error.message)
        verify_snapshot.record(ports, schedule.tenant, snapshot_id, failure=failure)
        return failure
    except SnapshotNotFound as error:
        return Failure(error.code, error.message)
    return None


def forget(ports: Ports, schedule: Schedule, recycle_bin_days: int, budget_s: float) -> None:
    """Forget what the schedule's policy does not keep."""
    apply_retention(ports, schedule, recycle_bin_days=recycle_bin_days, budget_s=budget_s)
