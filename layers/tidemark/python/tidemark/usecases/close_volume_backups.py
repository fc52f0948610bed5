"""Close what processes that died left of snapshots of volumes: snapshots of EC2's that nobody needs, deletions half
done, backups that no execution drives.
"""

from typing import NamedTuple

from tidemark.domain.environment import EnvironmentId
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.ports import Ports
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, SNAPSHOT_TAG, end, region_of, see_through
from tidemark.usecases.volume_phases.uploads import give_up_late


class Closed(NamedTuple):
    """How many snapshots of EC2's were removed, deletions finished, and backups seen to be driven on."""

    removed: int
    deleted: int
    driven: int


def close_volume_backups(ports: Ports, environment_id: EnvironmentId) -> Closed:
    """Close what was left in an environment. Can be repeated. Raises EnvironmentNotFound, DisksRefused."""
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
    for record in {one.id: one for one in (*left.values(), *deleting)}.values():
        end(ports, record)
    for record in deleting:
        amend_volume_snapshot(ports.volumes, environment_id, record.id, lambda one: one.deleted())
    running = [one for one in records.values() if one.running]
    for record in running:
        give_up_late(ports, record)
        see_through(ports, environment_id, record.id)
    return Closed(len(left), len(deleting), len(running))
