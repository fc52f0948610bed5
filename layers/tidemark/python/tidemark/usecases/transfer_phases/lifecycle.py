"""What all phases of a transfer share: whose turn it is, and how a transfer ends."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tidemark.domain.snapshot import Failure, Origin, Snapshot, SnapshotStatus, copy_user
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotCompleted, SnapshotNotFound, TransferEnded
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot

_PROGRESS_KEPT: Final = timedelta(days=7)


def copyable(snapshot: Snapshot) -> Snapshot:
    """The snapshot, if it can be copied. Raises SnapshotNotCompleted."""
    if snapshot.status is not SnapshotStatus.COMPLETED:
        raise SnapshotNotCompleted(f"snapshot {snapshot.id} is {snapshot.status}; only a completed one can be copied")
    return snapshot


def driven(snapshot: Snapshot, transfer_id: str, attempt: int) -> Origin:
    """The origin of a copy or import that this execution drives. Raises TransferEnded, SnapshotNotFound."""
    origin = of_transfer(snapshot, transfer_id)
    if snapshot.status is not SnapshotStatus.CREATING:
        raise TransferEnded(f"snapshot {snapshot.id} is {snapshot.status}: there is nothing left to do")
    if origin.attempt != attempt:
        raise TransferEnded(f"execution {origin.attempt} of {transfer_id} drives it, not {attempt}")
    return origin


def take_over(ports: Ports, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int) -> Snapshot:
    """The record, driven by this execution from now on unless it is over. Raises TransferEnded when a later one is."""

    def take(snapshot: Snapshot) -> Snapshot:
        origin = of_transfer(snapshot, transfer_id)
        if snapshot.status is not SnapshotStatus.CREATING:
            return snapshot
        if origin.attempt > attempt:
            raise TransferEnded(f"execution {origin.attempt} of {transfer_id} drives it, not {attempt}")
        return replace(snapshot, origin=replace(origin, attempt=attempt))

    return amend_snapshot(ports.catalog, tenant, snapshot_id, take)


def fail(ports: Ports, tenant: Tenant, snapshot_id: str, failure: Failure) -> Snapshot:
    """Record why a copy or import failed, unless it is over, and let go of its source; the record."""

    def note(snapshot: Snapshot) -> Snapshot:
        if snapshot.status is not SnapshotStatus.CREATING:
            return snapshot
        return replace(snapshot, status=SnapshotStatus.FAILED, failure=failure)

    snapshot = amend_snapshot(ports.catalog, tenant, snapshot_id, note)
    release(ports, snapshot)
    return snapshot


def release(ports: Ports, snapshot: Snapshot) -> None:
    """Let go of the snapshot that this one was copied from. Repeating it changes nothing."""
    origin = snapshot.origin
    if origin is None or origin.tenant is None or origin.snapshot_id is None:
        return
    user = copy_user(snapshot.tenant, snapshot.id)
    with suppress(SnapshotNotFound):
        amend_snapshot(ports.catalog, origin.tenant, origin.snapshot_id, lambda record: record.released_by(user))


def note_done(ports: Ports, tenant: Tenant, transfer_id: str, part: int, entities: int) -> None:
    """Note what a worker went through, which is the same whenever it does: progress never goes back."""
    ports.catalog.note_done(tenant, transfer_id, part, entities, until=ports.clock.now() + _PROGRESS_KEPT)


def of_transfer(snapshot: Snapshot, transfer_id: str) -> Origin:
    """The origin of the snapshot that this transfer makes. Raises SnapshotNotFound."""
    if snapshot.origin is None or snapshot.origin.transfer_id != transfer_id:
        raise SnapshotNotFound(f"{transfer_id} makes no snapshot {snapshot.id}")
    return snapshot.origin
