"""Verify a snapshot of a volume: read every byte that its image needs back, and note on it what was found.

The phases of the verify state machine for images: ListPacks, VerifyShards, Record. No route asks for them. Nothing but
the `verification` of the snapshot's record is ever changed, so each can be repeated.
"""

from collections.abc import Iterable
from dataclasses import replace

from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Failure, Scope
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.engine import readback
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.engine.verification import Checked
from tidemark.ports import Ports
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.verify_snapshot import found


def list_packs(ports: Ports, environment_id: str, snapshot_id: str) -> list[int]:
    """The shards of the image that have packs. Raises VolumeSnapshotNotFound, WrongState, ManifestCorrupt."""
    return readback.shards_to_read(_manifest(ports, environment_id, snapshot_id))


def verify_shard(ports: Ports, environment_id: str, snapshot_id: str, *, shard: int) -> Checked:
    """Read one shard back; how much that was. Raises ManifestCorrupt, PackCorrupt, naming the block."""
    manifest = _manifest(ports, environment_id, snapshot_id)
    return readback.check_shard(ports, "", manifest, manifest.shards[shard], lambda: None)


def record(
    ports: Ports,
    environment_id: str,
    snapshot_id: str,
    checked: Iterable[Checked] = (),
    *,
    scope: Scope = Scope.FULL,
    failure: Failure | None = None,
) -> VolumeSnapshot:
    """Record what was found; the snapshot as it stands then. Where that is damage, none is built upon it any more.

    One that was deleted meanwhile is left alone: that its bytes go is no damage. Raises VolumeSnapshotNotFound.
    """
    seen = found(ports, checked, scope, failure)

    def note(snapshot: VolumeSnapshot) -> VolumeSnapshot:
        if snapshot.state is not VolumeSnapshotState.STORED or not seen.outweighs(snapshot.verification):
            return snapshot
        return replace(snapshot, verification=seen)

    return amend_volume_snapshot(ports.volumes, environment_id, snapshot_id, note)


def _manifest(ports: Ports, environment_id: str, snapshot_id: str) -> Manifest:
    snapshot = ports.volumes.volume_snapshot(environment_id, snapshot_id)
    snapshot.check_stored()
    return check_manifest(ports.payloads, snapshot)
