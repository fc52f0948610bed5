"""Seal: store the manifest of a copy or import, read everything back, complete the snapshot."""

from dataclasses import replace

from tidemark.domain.live import Cut, Generation
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.copying import check_pack, read_note
from tidemark.errors import Corrupt, TransferEnded
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.transfer_phases.imports import check_import
from tidemark.usecases.transfer_phases.lifecycle import driven, release


def seal(ports: Ports, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int) -> Snapshot:
    """The completed snapshot; its source is let go. Raises TransferEnded, Corrupt ones."""
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    if not snapshot.was_completed:
        try:
            snapshot = _complete(ports, snapshot, transfer_id, attempt)
        except (Corrupt, TransferEnded):
            # The notes of a completed one may be collected: then it was another run that completed this one.
            snapshot = ports.catalog.snapshot(tenant, snapshot_id)
            if not snapshot.was_completed:
                raise
    release(ports, snapshot)
    return snapshot


def _complete(ports: Ports, snapshot: Snapshot, transfer_id: str, attempt: int) -> Snapshot:
    origin = driven(snapshot, transfer_id, attempt)
    shards = ports.parallel.map(
        lambda shard: read_note(ports.payloads, snapshot.tenant, snapshot.capture_id, shard), range(origin.shards)
    )
    manifest = Manifest(
        tenant=snapshot.tenant,
        snapshot_id=snapshot.id,
        capture_id=snapshot.capture_id,
        created_at=snapshot.created_at,
        generation=Generation(0),
        cut=Cut(0),
        shards=tuple(shards),
    )
    if snapshot.trigger is Trigger.IMPORT:
        check_import(ports, snapshot, manifest)
    ports.parallel.map(lambda pack: check_pack(ports.payloads, pack), manifest.packs)
    reference = manifests.store(ports.payloads, manifest)

    def complete(record: Snapshot) -> Snapshot:
        if record.was_completed:
            return record
        driven(record, transfer_id, attempt)
        return replace(
            record,
            status=SnapshotStatus.COMPLETED,
            entity_count=manifest.records,
            raw_bytes=sum(layer.raw_bytes for shard in shards for layer in shard.layers),
            stored_bytes=manifest.stored_bytes,
            new_bytes=manifest.stored_bytes,
            manifest=reference,
            # Where shards have deltas, only the source's record may know it, from an export.
            digest=manifest.digest or record.digest,
            completed_at=ports.clock.now(),
        )

    return amend_snapshot(ports.catalog, snapshot.tenant, snapshot.id, complete)
