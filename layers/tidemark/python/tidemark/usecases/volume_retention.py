"""Delete the snapshots of a volume that their schedule does not keep. There is no recycle bin for them."""

from typing import Final

from tidemark.domain.retention import Candidate, decide, made_by
from tidemark.domain.schedule import Schedule
from tidemark.domain.snapshot import SnapshotId, SnapshotStatus
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.domain.zones import parse_zone
from tidemark.errors import CatalogCorrupt, DisksRefused, WrongState
from tidemark.ports import Ports
from tidemark.usecases.apply_retention import forget_by
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.slot_notes import environment_in

# Those that are being made, too, are none that a policy concerns.
_STATUS: Final = {
    VolumeSnapshotState.STORED: SnapshotStatus.COMPLETED,
    VolumeSnapshotState.FAILED: SnapshotStatus.FAILED,
    VolumeSnapshotState.DELETING: SnapshotStatus.DELETED,
    VolumeSnapshotState.DELETED: SnapshotStatus.DELETED,
}
# The backup is good for all that. Somebody else was faster to delete it; EC2 refuses, or a record that tells who reads
# it is damaged, which the collection tells, and what was begun is finished by that.
_LEFT_FOR: Final = (WrongState, DisksRefused, CatalogCorrupt)


def apply_volume_retention(ports: Ports, schedule: Schedule, *, budget_s: float) -> list[SnapshotId]:
    """Delete what the schedule's policy does not keep; their ids. It can be repeated.

    What is in use stays until the next slot, and so does what does not fit `budget_s`; see `apply_retention`. What
    can't be deleted for a reason of its own keeps no other one, and is no failure of the backup.
    """
    if schedule.retention is None:
        return []
    environment_id = environment_in(schedule)
    found = [one for one in ports.volumes.volume_snapshots(environment_id) if isinstance(one, VolumeSnapshot)]
    decisions = decide(
        [_candidate_of(one) for one in found if one.schedule_id == schedule.id],
        schedule.retention,
        concerns=made_by(schedule.id),
        zone=parse_zone(schedule.timezone),
        now=ports.clock.now(),
    )
    return forget_by(
        ports,
        schedule,
        decisions,
        lambda snapshot_id: delete_volume_snapshot(ports, environment_id, snapshot_id),
        budget_s=budget_s,
        left_for=_LEFT_FOR,
    )


def _candidate_of(snapshot: VolumeSnapshot) -> Candidate:
    """A snapshot as retention sees it. Whether it is in use is looked at when it is deleted: the note of a user that
    died keeps none.
    """
    return Candidate(
        id=SnapshotId(snapshot.id),
        created_at=snapshot.created_at,
        schedule_id=snapshot.schedule_id,
        status=_STATUS.get(snapshot.state, SnapshotStatus.CREATING),
        damaged=snapshot.verification is not None and not snapshot.verification.ok,
        slot_at=snapshot.slot_at,
        order=(f"{snapshot.created_at.isoformat()} {snapshot.id}", 0),
    )
