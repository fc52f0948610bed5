"""What every phase of a restore does with its record: enter a phase, stop when cancelled, come to an end."""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.live import FencingToken
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.live import leases
from tidemark.errors import (
    CatalogCorrupt,
    LeaseLost,
    ManifestCorrupt,
    RestoreCancelled,
    SnapshotNotFound,
    SnapshotNotRestorable,
)
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore, amend_snapshot


def refuse_cancelled(restore: Restore) -> None:
    """Raises RestoreCancelled when somebody asked the restore to stop."""
    if restore.cancel_requested:
        raise RestoreCancelled(f"restore {restore.id} was cancelled")


def enter(ports: Ports, tenant: Tenant, restore_id: str, phase: Phase) -> Restore:
    """Note that the restore is in this phase. Can be repeated."""
    return amend_restore(ports.catalog, tenant, restore_id, lambda record: record.entering(phase, ports.clock.now()))


def manifest_of(ports: Ports, restore: Restore) -> Manifest:
    """The manifest of the snapshot that is being restored. Raises ManifestCorrupt."""
    snapshot = ports.catalog.snapshot(restore.source, restore.snapshot_id)
    if snapshot.manifest is None:
        raise ManifestCorrupt(f"snapshot {snapshot.id} names no manifest")
    return manifests.read(ports.payloads, snapshot.manifest)


def use(ports: Ports, restore: Restore) -> None:
    """Mark the snapshot as in use by the restore, so that nobody deletes it. Can be repeated.

    Raises SnapshotNotFound, SnapshotNotRestorable.
    """
    amend_snapshot(
        ports.catalog, restore.source, restore.snapshot_id, lambda record: restorable(record).using(restore.user)
    )


def restorable(snapshot: Snapshot) -> Snapshot:
    """The snapshot, if it can be restored. Raises SnapshotNotRestorable."""
    if snapshot.status is not SnapshotStatus.COMPLETED:
        raise SnapshotNotRestorable(
            f"snapshot {snapshot.id} is {snapshot.status}; only a completed snapshot can be restored"
        )
    return snapshot


def end_attempt(ports: Ports, restore: Restore, attempt: int) -> None:
    """End what an earlier attempt left to do of a restore that is over."""
    try:
        state = leases.take_over(ports, restore.tenant, owner=restore.owner, attempt=attempt)
    except LeaseLost:
        return
    end(ports, restore, leases.token_of(state), restore.status, restore.failure)


def end(ports: Ports, restore: Restore, token: FencingToken, status: RestoreStatus, failure: Failure | None) -> None:
    """Record how it ended, let go of the snapshot, give the lease back: in this order, so that a repeat finishes what
    is left.
    """

    def finish(record: Restore) -> Restore:
        if record.status is not RestoreStatus.RESTORING:
            return record
        return replace(record, status=status, failure=failure, finished_at=ports.clock.now())

    amend_restore(ports.catalog, restore.tenant, restore.id, finish)
    # A record that is damaged can't be let go of, which must not keep the tenant from going on; and it may be gone
    # where the request died before it could mark the snapshot as in use.
    with suppress(CatalogCorrupt, SnapshotNotFound):
        amend_snapshot(
            ports.catalog, restore.source, restore.snapshot_id, lambda record: record.released_by(restore.user)
        )
    leases.release(ports.table, restore.tenant, token)
