"""Delete a snapshot: it goes to the recycle bin, from where it can be brought back. Its bytes are left to the
collector, which alone deletes objects. Deleting a copy or import that is still being made stops it.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tidemark.domain.hold import HoldStatus
from tidemark.domain.live import LeaseKind
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotHeld, SnapshotInUse, SnapshotNotFound, SnapshotPinned, TransferCancelled
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import deleted
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.transfer_phases.lifecycle import release

RECYCLE_BIN_DAYS: Final = 7
_UNPIN: Final = '{"pinned": false}'
_LIFT: Final = '{"legalHold": false}'
_HELD: Final = {
    HoldStatus.PLACED: "is under a legal hold; lift it first",
    HoldStatus.PLACING: "is being put under a legal hold, or was to be; lift it first",
    HoldStatus.LIFTING: "is under a legal hold that is being lifted; if nobody lifts it any more, do",
}
_CANCELLED: Final = Failure(TransferCancelled.__name__, "It was deleted before it was completed.")


def delete_snapshot(
    ports: Ports, tenant: Tenant, snapshot_id: str, *, recycle_bin_days: int = RECYCLE_BIN_DAYS
) -> None:
    """Mark the snapshot deleted; from then on it is not found. For so many days it can be brought back.

    What makes a copy or import finds that it is over at its next step. Raises SnapshotNotFound, SnapshotHeld,
    SnapshotPinned, SnapshotInUse while a capture or restore needs it. All of it is decided on the very version of the
    record that the deletion replaces, so a pin or hold that is set meanwhile is never lost.
    """

    def delete(snapshot: Snapshot) -> Snapshot:
        if snapshot.forgotten:
            raise deleted(ports, snapshot)
        if snapshot.status is SnapshotStatus.CREATING and snapshot.origin is None:
            raise SnapshotInUse(
                f"snapshot {snapshot_id} is still being created; delete it when it is completed or failed"
            )
        if snapshot.hold is not None:
            raise SnapshotHeld(f"snapshot {snapshot_id} {_HELD[snapshot.hold.status]}: PATCH it with {_LIFT}")
        if snapshot.pinned:
            raise SnapshotPinned(f"snapshot {snapshot_id} is pinned; unpin it first: PATCH it with {_UNPIN}")
        if snapshot.used_by:
            users = ", ".join(sorted(snapshot.used_by))
            raise SnapshotInUse(f"snapshot {snapshot_id} is in use by {users}; wait for it or cancel it")
        stopped = snapshot.failure or (None if snapshot.was_completed else _CANCELLED)
        return replace(snapshot.deleted(now, until), failure=stopped)

    now = ports.clock.now()
    until = now + timedelta(days=recycle_bin_days)
    _refuse_base_of_capture(ports, tenant, snapshot_id)
    snapshot = amend_snapshot(ports.catalog, tenant, snapshot_id, delete)
    if not snapshot.was_completed:
        release(ports, snapshot)


def _refuse_base_of_capture(ports: Ports, tenant: Tenant, snapshot_id: str) -> None:
    """A courtesy: the collector keeps the bytes of a running capture's base even if its record goes at this moment."""
    state = ports.table.load(tenant).state
    if state is None or state.lease is None or state.lease.kind is not LeaseKind.CAPTURE:
        return
    with suppress(SnapshotNotFound):
        running = ports.catalog.snapshot(tenant, state.lease.subject)
        if running.status is SnapshotStatus.CREATING and running.parent_id == snapshot_id:
            raise SnapshotInUse(f"snapshot {snapshot_id} is what {running.id} is being made from; wait for that one")
