"""Which snapshot of a volume another one is stored incrementally from, and what that has of a shard."""

from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from tidemark.domain.blocks import digest_of
from tidemark.domain.manifest import ShardManifest
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.domain.volume_parents import sound_parents
from tidemark.engine import manifests
from tidemark.errors import CatalogCorrupt, ManifestCorrupt, PackCorrupt, VolumeSnapshotNotFound, WrongState
from tidemark.ports import Ports
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import end, user_of

_CUT: Final = VolumeSnapshotState.CUT


class Below(NamedTuple):
    """A shard as the parent has it, and EC2's snapshot that the parent was stored from, where that is kept."""

    shard: ShardManifest
    source_id: str | None


def store_upon_newest(ports: Ports, snapshot: VolumeSnapshot, size_bytes: int) -> VolumeSnapshot:
    """Choose the snapshot to build upon, note its use, and let the storing of an image of that size begin. Can be
    repeated.
    """
    parent_id = _newest_stored(ports, snapshot)
    while parent_id is not None:
        # First: whoever ends this snapshot knows by its record what to let go of.
        snapshot = _amended(ports, snapshot, parent_id)
        if snapshot.state is not _CUT or _used(ports, snapshot, parent_id):
            break
        # It was deleted at this moment.
        parent_id = _newest_stored(ports, snapshot)
    snapshot = _amended(ports, snapshot, parent_id, size_bytes)
    # Where it was ended before its use of the parent was noted, that is taken back.
    return end(ports, snapshot)


def below(ports: Ports, snapshot: VolumeSnapshot, shard: int) -> Below | None:
    """What a shard is stored incrementally from, which is nothing where the volume has grown since; None for a full
    copy. A parent that can't be read costs just that.
    """
    if snapshot.parent_id is None:
        return None
    try:
        parent = ports.volumes.volume_snapshot(snapshot.environment, snapshot.parent_id)
        if parent.image is None:
            return None
        shards = manifests.read(ports.payloads, parent.image.manifest).shards
    except (VolumeSnapshotNotFound, CatalogCorrupt, ManifestCorrupt):
        return None
    if shard < len(shards):
        return Below(shards[shard], parent.source_id)
    # The volume has grown since.
    return Below(ShardManifest(shard, 0, digest_of([]).hex, ()), None)


def check_parent(ports: Ports, snapshot: VolumeSnapshot) -> None:
    """Raise PackCorrupt where what the snapshot is stored upon was found damaged meanwhile: its own bytes were read
    back, those that it shares were not.
    """
    if snapshot.parent_id is None:
        return
    with suppress(VolumeSnapshotNotFound, CatalogCorrupt):
        found = ports.volumes.volume_snapshot(snapshot.environment, snapshot.parent_id).verification
        if found is not None and found.failure is not None:
            raise PackCorrupt(f"this one is stored upon snapshot {snapshot.parent_id}: {found.failure.message}")


def _amended(
    ports: Ports, snapshot: VolumeSnapshot, parent_id: VolumeSnapshotId | None, size_bytes: int | None = None
) -> VolumeSnapshot:
    """The snapshot with its parent, and being stored where the size is known; as it is if its storing has begun."""

    def upon(record: VolumeSnapshot) -> VolumeSnapshot:
        if record.state is not _CUT:
            return record
        chosen = replace(record, parent_id=parent_id)
        return chosen if size_bytes is None else replace(chosen.storing(), size_bytes=size_bytes)

    return amend_volume_snapshot(ports.volumes, snapshot.environment, snapshot.id, upon)


def _used(ports: Ports, snapshot: VolumeSnapshot, parent_id: VolumeSnapshotId) -> bool:
    user = user_of(snapshot)
    try:
        amend_volume_snapshot(ports.volumes, snapshot.environment, parent_id, lambda record: record.using(user))
    except (WrongState, VolumeSnapshotNotFound):
        return False
    return True


def _newest_stored(ports: Ports, snapshot: VolumeSnapshot) -> VolumeSnapshotId | None:
    """The newest stored snapshot of the same volume of which nothing is known to be damaged: where one fails for its
    parent, or that is found damaged when it is read back, the next one does without.
    """
    others = [
        one
        for one in ports.volumes.volume_snapshots(snapshot.environment)
        if isinstance(one, VolumeSnapshot) and one.volume_id == snapshot.volume_id and one.id != snapshot.id
    ]
    newest = max(sound_parents(others), key=lambda one: (one.created_at, one.id), default=None)
    return None if newest is None else newest.id
