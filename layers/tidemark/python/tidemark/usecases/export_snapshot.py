"""Export a snapshot: plain files that hold its entities, and one digest of them all.

Shards of one layer are given out as they are stored. Others are merged first, by the state machine; meanwhile the
answer is that the export is being prepared, and whoever asks again drives on one that died.
"""

from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Export, ExportStatus, Failure, Snapshot, SnapshotStatus, transfer_id
from tidemark.domain.tenant import Tenant
from tidemark.engine import verification
from tidemark.engine.transfer import exports
from tidemark.engine.transfer.exports import ExportPart
from tidemark.errors import ExportFailed, ManifestCorrupt, SnapshotNotCompleted
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import deleted, get_snapshot
from tidemark.usecases.records import amend_snapshot


class Exported(NamedTuple):
    """`parts` is None while the export is being prepared."""

    snapshot: Snapshot
    digest: str | None
    parts: list[ExportPart] | None


def export_snapshot(ports: Ports, tenant: Tenant, identity: str) -> Exported:
    """The export, or that it is being prepared. Raises SnapshotNotFound, SnapshotNotCompleted, ExportFailed."""
    snapshot = exportable(get_snapshot(ports, tenant, identity))
    manifest = verification.check_manifest(ports.payloads, snapshot)
    if not exports.to_merge(manifest):
        return Exported(snapshot, manifest.digest, exports.parts_of(snapshot.id, list(manifest.shards)))
    snapshot = _begun(ports, snapshot)
    if snapshot.export is None or snapshot.export.status is not ExportStatus.READY:
        _drive(ports, snapshot)
        return Exported(snapshot, snapshot.digest, None)
    merged = merged_manifest(ports, manifest, snapshot.export)
    return Exported(snapshot, merged.digest, exports.parts_of(snapshot.id, list(merged.shards)))


def cancel_export(ports: Ports, tenant: Tenant, identity: str) -> None:
    """Stop the preparing of the snapshot's export, or forget one that is ready; addresses that were given out stay
    good for their time. Repeating it changes nothing.

    What prepares it finds that it is over at its next step. Raises SnapshotNotFound.
    """

    def cancel(record: Snapshot) -> Snapshot:
        if record.forgotten:
            raise deleted(ports, record)
        export = record.export
        return record if export is None else replace(record, export=None).released_by(export.transfer_id)

    amend_snapshot(ports.catalog, tenant, identity, cancel)


def exportable(snapshot: Snapshot) -> Snapshot:
    """The snapshot, if it can be exported. Raises SnapshotNotCompleted."""
    if snapshot.status is not SnapshotStatus.COMPLETED:
        raise SnapshotNotCompleted(f"snapshot {snapshot.id} is {snapshot.status}; only a completed one can be exported")
    return snapshot


def merged_manifest(ports: Ports, manifest: Manifest, export: Export) -> Manifest:
    """The manifest with every shard as the export has it. Raises ManifestCorrupt where one was not merged."""
    ready = ports.parallel.map(
        lambda shard: exports.merged_shard(ports.payloads, manifest.tenant, export.transfer_id, shard),
        exports.to_merge(manifest),
    )
    merged = {shard.shard: shard for shard in ready}
    whole = replace(manifest, shards=tuple(merged.get(shard.shard, shard) for shard in manifest.shards))
    if whole.records != manifest.records:
        raise ManifestCorrupt(f"export {export.transfer_id} holds {whole.records} of {manifest.records} entities")
    return whole


def _begun(ports: Ports, snapshot: Snapshot) -> Snapshot:
    """The record with an export that is ready or is being prepared. Raises ExportFailed once for one that failed."""
    now = ports.clock.now()
    failures: list[Failure | None] = []

    def begin(record: Snapshot) -> Snapshot:
        failures.clear()
        export = exportable(record).export
        if export is not None and export.status is ExportStatus.FAILED:
            failures.append(export.failure)
            return replace(record, export=None)
        if export is not None and (
            export.status is ExportStatus.PREPARING or now < export.started_at + exports.GOOD_FOR
        ):
            return record
        name = f"{transfer_id('export', record.id)}_{record.version}"
        return replace(record, export=Export(name, now)).using(name)

    begun = amend_snapshot(ports.catalog, snapshot.tenant, snapshot.id, begin)
    if failures:
        why = failures[0].message if failures[0] else "for an unknown reason"
        raise ExportFailed(f"the export of snapshot {snapshot.id} failed: {why}; ask again to try once more")
    return begun


def _drive(ports: Ports, snapshot: Snapshot) -> None:
    """See that an execution prepares the export: the one that was asked for, or the next where that one died."""
    export = snapshot.export
    if export is None:
        return
    running = ports.workflows.running(snapshot.tenant, export.transfer_id, attempt=export.attempt)
    if running is False:
        before, following = export, replace(export, attempt=export.attempt + 1)

        def next_attempt(record: Snapshot) -> Snapshot:
            return replace(record, export=following) if record.export == before else record

        after = amend_snapshot(ports.catalog, snapshot.tenant, snapshot.id, next_attempt).export
        if after is None or after.status is not ExportStatus.PREPARING:
            return
        export = after
    if running is not True:
        ports.workflows.start_transfer(snapshot.tenant, snapshot.id, export.transfer_id, attempt=export.attempt)
