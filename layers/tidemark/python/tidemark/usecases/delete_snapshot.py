"""Delete a snapshot: its record first; the bytes are left to the collector, which alone deletes objects."""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.live import LeaseKind
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotInUse, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot


def delete_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str) -> None:
    """Mark the snapshot deleted; from then on it is not found.

    Raises SnapshotNotFound, SnapshotInUse while a capture or restore needs it.
    """

    def delete(snapshot: Snapshot) -> Snapshot:
        if snapshot.status is SnapshotStatus.DELETED:
            raise SnapshotNotFound(f"snapshot {snapshot_id} of tenant {tenant} was deleted")
        if snapshot.status is SnapshotStatus.CREATING:
            raise SnapshotInUse(
                f"snapshot {snapshot_id} is still being created; delete it when it is completed or failed"
            )
        if snapshot.used_by:
            users = ", ".join(sorted(snapshot.used_by))
            raise SnapshotInUse(f"snapshot {snapshot_id} is in use by {users}; wait for it or cancel it")
        return replace(snapshot, status=SnapshotStatus.DELETED)

    _refuse_base_of_capture(ports, tenant, snapshot_id)
    amend_snapshot(ports.catalog, tenant, snapshot_id, delete)


def _refuse_base_of_capture(ports: Ports, tenant: Tenant, snapshot_id: str) -> None:
    """A courtesy: the collector keeps the bytes of a running capture's base even if its record goes at this moment."""
    state = ports.table.load(tenant).state
    if state is None or state.lease is None or state.lease.kind is not LeaseKind.CAPTURE:
        return
    with suppress(SnapshotNotFound):
        running = ports.catalog.snapshot(tenant, state.lease.subject)
        if running.status is SnapshotStatus.CREATING and running.parent_id == snapshot_id:
            raise SnapshotInUse(f"snapshot {snapshot_id} is what {running.id} is being made from; wait for that one")
