"""Get and list snapshots. Only the catalog is read."""

from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.listing import Listing, page_of


def get_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str) -> Snapshot:
    """One snapshot that was not deleted. Raises SnapshotNotFound, which says whether it can be brought back."""
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    if snapshot.forgotten:
        raise deleted(ports, snapshot)
    return snapshot


def deleted(ports: Ports, snapshot: Snapshot) -> SnapshotNotFound:
    """The error for whoever asks for a snapshot that was deleted."""
    if snapshot.recycled_until is None or not snapshot.recycled(ports.clock.now()):
        return SnapshotNotFound(f"snapshot {snapshot.id} of tenant {snapshot.tenant} was deleted")
    until = snapshot.recycled_until.strftime("%Y-%m-%dT%H:%M:%SZ")
    return SnapshotNotFound(
        f"snapshot {snapshot.id} of tenant {snapshot.tenant} was deleted; it can be undeleted until {until}"
    )


def list_snapshots(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[Snapshot]:
    """Snapshots that were not deleted, newest first."""
    found = (one for one in ports.catalog.snapshots(tenant) if not one.forgotten)
    return page_of(found, limit=limit, offset=offset)


def list_recycle_bin(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[Snapshot]:
    """Deleted snapshots that can be brought back, newest first."""
    now = ports.clock.now()
    return page_of((one for one in ports.catalog.snapshots(tenant) if one.recycled(now)), limit=limit, offset=offset)
