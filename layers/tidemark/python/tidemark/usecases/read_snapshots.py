"""Get and list snapshots. Only the catalog is read."""

from collections.abc import Iterator

from tidemark.domain.snapshot import DamagedSnapshot, Failure, Snapshot
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


def list_snapshots(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[Snapshot | DamagedSnapshot]:
    """Snapshots that were not deleted, newest first, and those of which that can't be told: their record is damaged."""
    damage: list[Failure] = []
    found = (one for one in _found(ports, tenant, damage) if isinstance(one, DamagedSnapshot) or not one.forgotten)
    page = page_of(found, limit=limit, offset=offset)
    return page._replace(damage=tuple(damage))


def list_recycle_bin(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[Snapshot]:
    """Deleted snapshots that can be brought back, newest first."""
    now = ports.clock.now()
    damage: list[Failure] = []
    found = (one for one in _found(ports, tenant, damage) if isinstance(one, Snapshot) and one.recycled(now))
    page = page_of(found, limit=limit, offset=offset)
    return page._replace(damage=tuple(damage))


def _found(ports: Ports, tenant: Tenant, damage: list[Failure]) -> Iterator[Snapshot | DamagedSnapshot]:
    """All that have an id. What is damaged, with or without one, is noted in `damage`."""
    for one in ports.catalog.found_snapshots(tenant):
        if isinstance(one, DamagedSnapshot):
            damage.append(one.failure)
        if one.id is not None:
            yield one
