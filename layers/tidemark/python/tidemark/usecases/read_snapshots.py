"""Get and list snapshots. Only the catalog is read."""

from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.listing import Listing, page_of


def get_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str) -> Snapshot:
    """One snapshot, in any status but deleted. Raises SnapshotNotFound."""
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    if snapshot.status is SnapshotStatus.DELETED:
        raise SnapshotNotFound(f"snapshot {snapshot_id} of tenant {tenant} was deleted")
    return snapshot


def list_snapshots(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[Snapshot]:
    """Snapshots in any status but deleted, newest first."""
    found = (one for one in ports.catalog.snapshots(tenant) if one.status is not SnapshotStatus.DELETED)
    return page_of(found, limit=limit, offset=offset)
