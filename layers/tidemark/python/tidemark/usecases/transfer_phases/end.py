"""Abort: record why a transfer failed, and let go of what it held."""

from typing import Final

from tidemark.domain.snapshot import ExportStatus, Failure, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.transfer_phases.export import fail_export
from tidemark.usecases.transfer_phases.lifecycle import fail, of_transfer

_OF_EXPORTS: Final = {
    None: SnapshotStatus.DELETED,
    ExportStatus.PREPARING: SnapshotStatus.CREATING,
    ExportStatus.READY: SnapshotStatus.COMPLETED,
    ExportStatus.FAILED: SnapshotStatus.FAILED,
}


def abort(
    ports: Ports, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int, failure: Failure
) -> SnapshotStatus:
    """How the snapshot stands; for an export, `COMPLETED` when it is ready and `DELETED` when it was cancelled.

    A transfer that was completed stays so, and one that a later execution drives is left alone.
    """
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    if transfer_id.startswith("export_"):
        if snapshot.export is not None and snapshot.export.attempt > attempt:
            return SnapshotStatus.CREATING
        stands = fail_export(ports, tenant, snapshot_id, transfer_id, failure)
        return _OF_EXPORTS[stands]
    if of_transfer(snapshot, transfer_id).attempt > attempt:
        return snapshot.status
    return fail(ports, tenant, snapshot_id, failure).status
