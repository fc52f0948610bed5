"""What every phase of a restore does with its record: enter a phase, stop when cancelled, come to an end."""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.live import FencingToken
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.live import gates, leases
from tidemark.errors import (
    CatalogCorrupt,
    LeaseLost,
    ManifestCorrupt,
    RestoreCancelled,
    SnapshotNotCompleted,
    SnapshotNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore, amend_snapshot


def refuse_cancelled(restore: Restore) -> None:
    """Raises RestoreCancelled when somebody asked the restore to stop, LeaseLost when it is being rolled back: what was
    staged is going, so no later attempt may go on.
    """
    if restore.phase is Phase.ROLLBACK or restore.status is not RestoreStatus.RESTORING:
        raise LeaseLost(f"restore {restore.id} is rolled back")
    if restore.cancel_requested:
        raise RestoreCancelled(f"restore {restore.id} was cancelled")


def enter(ports: Ports, tenant: Tenant, restore_id: str, phase: Phase) -> Restore:
    """Note that the restore is in this phase. Can be repeated."""
    return amend_restore(ports.catalog, tenant, restore_id, lambda record: record.entering(phase, ports.clock.now()))


def enter_rollback(ports: Ports, restore: Restore, token: FencingToken) -> Restore:
    """Decide, once for all attempts, that the restore is rolled back.

    The record decides, not the lease: a later attempt has noted its token there before it stages or flips, and one that
    has not finds this decision. Raises LeaseLost in the first case.
    """

    def decide(record: Restore) -> Restore:
        if record.token > token:
            raise LeaseLost(f"a later attempt goes on with restore {record.id}")
        return replace(record, token=token).entering(Phase.ROLLBACK, ports.clock.now())

    return amend_restore(ports.catalog, restore.tenant, restore.id, decide)


def manifest_of(ports: Ports, restore: Restore) -> Manifest:
    """The manifest of the snapshot that is being restored. Raises ManifestCorrupt."""
    return manifest_of_snapshot(ports, ports.catalog.snapshot(restore.source, restore.snapshot_id))


def manifest_of_snapshot(ports: Ports, snapshot: Snapshot) -> Manifest:
    """What a snapshot that can be restored consists of. Raises ManifestCorrupt."""
    if snapshot.manifest is None:
        raise ManifestCorrupt(f"snapshot {snapshot.id} names no manifest")
    return manifests.read(ports.payloads, snapshot.manifest)


def use(ports: Ports, restore: Restore) -> None:
    """Mark the snapshot as in use by the restore, so that nobody deletes it. Can be repeated.

    Raises SnapshotNotFound, SnapshotNotCompleted.
    """
    amend_snapshot(
        ports.catalog, restore.source, restore.snapshot_id, lambda record: restorable(record).using(restore.user)
    )


def restorable(snapshot: Snapshot) -> Snapshot:
    """The snapshot, if it can be restored. Raises SnapshotNotCompleted."""
    if snapshot.status is not SnapshotStatus.COMPLETED:
        raise SnapshotNotCompleted(
            f"snapshot {snapshot.id} is {snapshot.status}; only a completed snapshot can be restored"
        )
    return snapshot


def end_attempt(ports: Ports, restore: Restore, attempt: int) -> None:
    """End what an earlier attempt left to do of a restore that is over."""
    try:
        state = leases.take_over(ports, restore.tenant, owner=restore.owner, subject=restore.id, attempt=attempt)
    except LeaseLost:
        give_up(ports, restore, restore.failure)
        return
    end(ports, restore, leases.token_of(state), restore.status, restore.failure)


def give_up(ports: Ports, restore: Restore, failure: Failure | None) -> None:
    """End a restore that found its lease in other hands, unless these are a later attempt's: it had been given back
    before the restore was registered, so nobody can drive it.

    A lease that names the restore's id but was taken for another request is given back: that one died before it found
    the id taken, and has no record by which it could be driven.
    """
    if leases.is_held(ports.table, restore.tenant, owner=restore.owner, subject=restore.id):
        return
    end(ports, restore, restore.token, RestoreStatus.FAILED, failure)
    state = ports.table.load(restore.tenant).state
    if state is not None and state.lease is not None and state.lease.subject == restore.id:
        leases.release(ports.table, restore.tenant, state.lease.token)


def end(ports: Ports, restore: Restore, token: FencingToken, status: RestoreStatus, failure: Failure | None) -> None:
    """Record how it ended, let go of the snapshot, give the lease back: in this order, so that a repeat finishes what
    is left.
    """

    def finish(record: Restore) -> Restore:
        if record.status is not RestoreStatus.RESTORING:
            return record
        return replace(record, status=status, failure=failure, finished_at=ports.clock.now())

    if restore.partial:
        # Plan began to capture what was live. Only now that ends: an attempt that goes on must find it.
        with suppress(LeaseLost):
            gates.finish_capture(ports, restore.tenant, token, lambda base: base)
    amend_restore(ports.catalog, restore.tenant, restore.id, finish)
    # A record that is damaged can't be let go of, which must not keep the tenant from going on; and it may be gone
    # where the request died before it could mark the snapshot as in use.
    with suppress(CatalogCorrupt, SnapshotNotFound):
        amend_snapshot(
            ports.catalog, restore.source, restore.snapshot_id, lambda record: record.released_by(restore.user)
        )
    gates.release(ports, restore.tenant, token)
