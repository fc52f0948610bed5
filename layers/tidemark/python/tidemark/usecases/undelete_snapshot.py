"""Bring a deleted snapshot back from the recycle bin."""

from dataclasses import replace

from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotInRecycleBin
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot


def undelete_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str) -> Snapshot:
    """The snapshot, as it was before it was deleted. One whose time is over does not expire again by itself.

    Once the collector has marked it `PURGING` its bytes may be gone, so from then on it can't be brought back. Raises
    SnapshotNotFound, SnapshotNotInRecycleBin.
    """
    now = ports.clock.now()

    def undelete(snapshot: Snapshot) -> Snapshot:
        if not snapshot.forgotten:
            raise SnapshotNotInRecycleBin(f"snapshot {snapshot_id} is {snapshot.status}, so it was not deleted")
        if snapshot.status is SnapshotStatus.PURGING or not snapshot.recycled(now):
            raise SnapshotNotInRecycleBin(f"snapshot {snapshot_id} was deleted and its time in the recycle bin is over")
        back = snapshot.undeleted()
        # The collector would put it straight back into the bin.
        return replace(back, expires_at=None) if back.expired(now) else back

    return amend_snapshot(ports.catalog, tenant, snapshot_id, undelete)
