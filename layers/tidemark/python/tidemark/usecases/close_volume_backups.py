"""Close what processes that died left of snapshots of volumes: snapshots of EC2's that nobody needs, deletions half
done, backups that no execution drives.
"""

from collections.abc import Callable
from typing import NamedTuple

from tidemark.domain.environment import EnvironmentId
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.errors import DiskSnapshotInUse, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, SNAPSHOT_TAG, end, region_of, see_through
from tidemark.usecases.volume_phases.uploads import give_up_late


class Closed(NamedTuple):
    """How many snapshots of EC2's were removed, deletions finished, and backups seen to be driven on; and a sentence
    for each snapshot of which that failed, unless it waits for an image to be deregistered.
    """

    removed: int
    deleted: int
    driven: int
    problems: tuple[str, ...] = ()


def close_volume_backups(ports: Ports, environment_id: EnvironmentId) -> Closed:
    """Close what was left in an environment. Can be repeated. Raises EnvironmentNotFound, and where EC2 does not say
    what it has; a snapshot that fails for itself is a problem, and stops none of the others.
    """
    disks = region_of(ports, environment_id).disks
    # First what EC2 has: a snapshot that is registered later can't be taken for one that is over.
    bearing = list(disks.snapshots({ENVIRONMENT_TAG: environment_id}))
    records = {one.id: one for one in ports.volumes.volume_snapshots(environment_id) if isinstance(one, VolumeSnapshot)}
    left = {}
    for found in bearing:
        # One of no record that can be read may be another stack's, or still needed: it stays.
        record = records.get(VolumeSnapshotId(found.tags.get(SNAPSHOT_TAG, "")))
        kept = record is not None and record.source_id == found.id and not record.leaves_source
        if record is not None and not record.running and not kept:
            left[found.id] = record
    deleting = [one for one in records.values() if one.state is VolumeSnapshotState.DELETING]
    running = [one for one in records.values() if one.running]
    problems: list[str] = []

    def done(record: VolumeSnapshot, step: Callable[[VolumeSnapshot], object]) -> bool:
        try:
            step(record)
        except TidemarkError as error:
            # Whoever deletes what somebody made an image of is told by the deletion's task, and may wait for long.
            if not (isinstance(error, DiskSnapshotInUse) and record.state is VolumeSnapshotState.DELETING):
                problems.append(f"snapshot {record.id} of {environment_id} was not closed: {error.message}")
            return False
        return True

    def finish_deletion(record: VolumeSnapshot) -> None:
        amend_volume_snapshot(ports.volumes, environment_id, record.id, lambda one: one.deleted())

    def drive_on(record: VolumeSnapshot) -> None:
        give_up_late(ports, record)
        see_through(ports, environment_id, record.id)

    over = {one.id: one for one in (*left.values(), *deleting)}
    ended = {one.id for one in over.values() if done(one, lambda record: end(ports, record))}
    finished = [one for one in deleting if one.id in ended and done(one, finish_deletion)]
    driven = [one for one in running if done(one, drive_on)]
    removed = sum(record.id in ended for record in left.values())
    return Closed(removed, len(finished), len(driven), tuple(problems))
