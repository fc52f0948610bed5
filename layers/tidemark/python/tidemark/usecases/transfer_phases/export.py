"""The phases of an export: MergeShards and Publish, and how it fails."""

from dataclasses import replace

from tidemark.domain.snapshot import Export, ExportStatus, Failure, Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.engine import verification
from tidemark.engine.transfer import exports
from tidemark.errors import TransferEnded
from tidemark.ports import Ports
from tidemark.usecases.export_snapshot import merged_manifest
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.transfer_phases.lifecycle import note_done


def begin_export(ports: Ports, tenant: Tenant, snapshot_id: str, export_id: str, *, attempt: int) -> list[int] | None:
    """Drive the export from now on; the shards to merge, or None when it is over. Raises TransferEnded."""

    def take(record: Snapshot) -> Snapshot:
        export = record.export
        if export is None or not _is_open(export, export_id):
            return record
        if export.attempt > attempt:
            raise TransferEnded(f"execution {export.attempt} of {export_id} drives it, not {attempt}")
        return replace(record, export=replace(export, attempt=attempt))

    snapshot = amend_snapshot(ports.catalog, tenant, snapshot_id, take)
    if snapshot.export is None or not _is_open(snapshot.export, export_id):
        return None
    return exports.to_merge(verification.check_manifest(ports.payloads, snapshot))


def merge_shard(ports: Ports, tenant: Tenant, snapshot_id: str, export_id: str, *, attempt: int, shard: int) -> int:
    """Merge one shard; the number of its records. Goes on after the last object of an earlier run.

    Raises TransferEnded, ManifestCorrupt, PackCorrupt.
    """

    def proceed() -> None:
        _driven(ports.catalog.snapshot(tenant, snapshot_id), export_id, attempt)

    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    _driven(snapshot, export_id, attempt)
    manifest = verification.check_manifest(ports.payloads, snapshot)
    records = exports.merge_shard(ports.payloads, tenant, export_id, manifest.shards[shard], proceed).records
    note_done(ports, tenant, export_id, shard, records)
    return records


def publish(ports: Ports, tenant: Tenant, snapshot_id: str, export_id: str, *, attempt: int) -> str:
    """Note that the export is ready, and the digest of the whole snapshot, which is returned.

    Raises TransferEnded, ManifestCorrupt.
    """
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    export = snapshot.export
    if export is None or export.transfer_id != export_id:
        raise TransferEnded(f"{export_id} is not the export of snapshot {snapshot_id} any more")
    manifest = merged_manifest(ports, verification.check_manifest(ports.payloads, snapshot), export)

    def ready(record: Snapshot) -> Snapshot:
        held = record.export
        if held is not None and held.transfer_id == export_id and held.status is ExportStatus.READY:
            return record
        held = _driven(record, export_id, attempt)
        done = replace(record, export=replace(held, status=ExportStatus.READY), digest=manifest.digest)
        return done.released_by(export_id)

    return amend_snapshot(ports.catalog, tenant, snapshot_id, ready).digest or ""


def fail_export(
    ports: Ports, tenant: Tenant, snapshot_id: str, export_id: str, failure: Failure
) -> ExportStatus | None:
    """Record why an export failed, unless it is over, and let the snapshot go.

    How it stands; None: it was cancelled.
    """

    def note(record: Snapshot) -> Snapshot:
        export = record.export
        if export is None or not _is_open(export, export_id):
            return record.released_by(export_id)
        return replace(record, export=replace(export, status=ExportStatus.FAILED, failure=failure)).released_by(
            export_id
        )

    held = amend_snapshot(ports.catalog, tenant, snapshot_id, note).export
    return held.status if held is not None and held.transfer_id == export_id else None


def _driven(snapshot: Snapshot, export_id: str, attempt: int) -> Export:
    export = snapshot.export
    if export is None or not _is_open(export, export_id) or export.attempt != attempt:
        raise TransferEnded(f"execution {attempt} of {export_id} does not drive it any more")
    return export


def _is_open(export: Export, export_id: str) -> bool:
    return export.transfer_id == export_id and export.status is ExportStatus.PREPARING
