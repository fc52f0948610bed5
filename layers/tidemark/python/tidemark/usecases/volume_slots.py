"""The snapshot that a slot of a volume's schedule makes: the volume's, by its own state machine."""

from contextlib import suppress
from typing import Final

from tidemark.domain.schedule import LastRun, Schedule
from tidemark.domain.snapshot import Failure, SnapshotId
from tidemark.domain.volume import VolumeId, VolumeSnapshotState
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.errors import (
    CatalogCorrupt,
    EnvironmentNotFound,
    ManifestCorrupt,
    VolumeBusy,
    VolumeNotFound,
    VolumeSnapshotNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases import verify_volume_snapshot
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.slot_notes import SlotSnapshot, environment_in, slot_asks
from tidemark.usecases.volume_phases.lifecycle import see_through
from tidemark.usecases.volume_retention import apply_volume_retention

# What the slot waits for.
BUSY: Final = (VolumeBusy,)


def make(ports: Ports, schedule: Schedule, claimed: LastRun, _budget_s: float) -> SlotSnapshot:
    """The snapshot of the slot that has the claim, begun or looked after. It is asked for under the slot's id, so it is
    made once even where the note of its id was lost.

    Raises VolumeNotFound and EnvironmentNotFound, which say what to do; WrongState, VolumeBusy.
    """
    environment_id = environment_in(schedule)
    if claimed.snapshot_id is not None:
        see_through(ports, environment_id, claimed.snapshot_id)
        return SlotSnapshot(claimed.snapshot_id, being_made=True)
    wanted = Wanted(
        VolumeId(schedule.volume_id or ""),
        interval=schedule.interval(),
        schedule_id=schedule.id,
        slot_at=claimed.slot_at,
    )
    try:
        task = create_volume_snapshot(ports, environment_id, wanted, asked=slot_asks(schedule, claimed.slot_at))
    except VolumeNotFound:
        raise VolumeNotFound(
            f"the volume {schedule.volume_id} is gone, or is not one of {environment_id} any more: delete the schedule "
            f"{schedule.id}, or give the volume the tags of {environment_id} again"
        ) from None
    except EnvironmentNotFound:
        raise EnvironmentNotFound(
            f"the environment {environment_id} was removed: it has to be made again before its volumes are backed up, "
            f"or its schedule {schedule.id} can be deleted"
        ) from None
    return SlotSnapshot(SnapshotId(task.snapshot_id), being_made=True)


def drive_on(ports: Ports, schedule: Schedule, snapshot_id: SnapshotId) -> None:
    """See that the snapshot of an earlier slot comes to its end, whose executions may have been stopped. Can be
    repeated.
    """
    with suppress(VolumeSnapshotNotFound):
        see_through(ports, environment_in(schedule), snapshot_id)


def check(ports: Ports, schedule: Schedule, snapshot_id: SnapshotId) -> Failure | None:
    """What is wrong with the snapshot: one that is stored was read back, and its manifest is there still. One that is
    damaged is noted on it.
    """
    environment_id = environment_in(schedule)
    try:
        snapshot = ports.volumes.volume_snapshot(environment_id, snapshot_id)
    except (CatalogCorrupt, VolumeSnapshotNotFound) as error:
        return Failure(error.code, error.message)
    if snapshot.state is not VolumeSnapshotState.STORED:
        return snapshot.failure or Failure("BackupFailed", f"snapshot {snapshot.id} is {snapshot.state}")
    try:
        check_manifest(ports.payloads, snapshot)
    except ManifestCorrupt as error:
        failure = Failure(error.code, error.message)
        verify_volume_snapshot.record(ports, environment_id, snapshot_id, failure=failure)
        return failure
    return None


def forget(ports: Ports, schedule: Schedule, _recycle_bin_days: int, budget_s: float) -> None:
    """Delete what the schedule does not keep. There is no recycle bin for snapshots of volumes."""
    apply_volume_retention(ports, schedule, budget_s=budget_s)
