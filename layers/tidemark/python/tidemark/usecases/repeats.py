"""What an earlier run of the same request has begun, where its process died before the answer was kept.

Nothing is derived from the key but the mark on the record. A capture's id, and so the keys of its packs, must be used
once: packs of an earlier cut under the same keys would be adopted as those of this one.
"""

from datetime import datetime

from tidemark.domain.asked import KEPT_FOR, Asked
from tidemark.domain.restore import DamagedRestore, Restore, RestoreStatus
from tidemark.domain.snapshot import Snapshot, SnapshotStatus, whole_second
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt, KeyReused
from tidemark.ports import Ports
from tidemark.usecases.contention import see_through


def snapshot_asked_for(
    ports: Ports, tenant: Tenant, asked: Asked, *, inline_limit_s: int, since: datetime | None = None
) -> Snapshot | None:
    """The snapshot that the request has made or is making; None where it made none, or one that failed.

    A capture that is under way is seen through. It was not made before `since`, where that is known. Raises KeyReused,
    CatalogCorrupt.
    """
    snapshot = transfer_asked_for(ports, tenant, asked, since=since)
    if snapshot is None:
        return None
    if snapshot.status is SnapshotStatus.CREATING:
        _see_through(ports, tenant, snapshot.capture_id, inline_limit_s)
    return ports.catalog.snapshot(tenant, snapshot.id)


def transfer_asked_for(ports: Ports, tenant: Tenant, asked: Asked, *, since: datetime | None = None) -> Snapshot | None:
    """The copy or import that the request has registered; None where it registered none, or one that failed.

    What the dead request left undone of it is its use case's to do. Raises KeyReused, CatalogCorrupt.
    """
    for snapshot in ports.catalog.snapshots(tenant, since=since or ports.clock.now() - KEPT_FOR):
        if same_request(snapshot.asked, asked) and snapshot.status is not SnapshotStatus.FAILED:
            return snapshot
    return None


def restore_asked_for(ports: Ports, tenant: Tenant, asked: Asked, *, inline_limit_s: int) -> Restore | None:
    """The restore that the request has begun; None where it began none, or one that failed and changed nothing.

    One that is under way is seen through. Raises KeyReused, CatalogCorrupt.
    """
    since = ports.clock.now() - KEPT_FOR
    for restore in ports.catalog.found_restores(tenant):
        if restore.created_at is not None and restore.created_at < whole_second(since):
            return None
        if isinstance(restore, DamagedRestore):
            # It may be the one.
            raise CatalogCorrupt(restore.failure.message)
        if same_request(restore.asked, asked) and restore.status is not RestoreStatus.FAILED:
            if restore.status is RestoreStatus.RESTORING:
                _see_through(ports, tenant, restore.owner, inline_limit_s)
            return restore
    return None


def same_request(held: Asked | None, asked: Asked) -> bool:
    """Whether a record is of this request. Raises KeyReused where its key was used for another one."""
    if held is None or held.key != asked.key:
        return False
    if held.content != asked.content:
        raise KeyReused("another request was made with this key; use a new key for each request")
    return True


def _see_through(ports: Ports, tenant: Tenant, owner: str, inline_limit_s: int) -> None:
    """Make sure that an execution ends what the dead request has begun."""
    state = ports.table.load(tenant).state
    if state is not None and state.lease is not None and state.lease.owner == owner:
        see_through(ports, tenant, state.lease, inline_limit_s=inline_limit_s)
