"""Verify a snapshot: read every byte that it needs back, and record on it what was found.

In the request where the work fits its time, otherwise by the phases of the verify state machine: ListPacks,
VerifyShards, Record. Nothing but the `verification` of the snapshot's record is ever changed, so each can be repeated.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Failure, Scope, Snapshot, SnapshotStatus, Verification
from tidemark.domain.tenant import Tenant
from tidemark.engine import readback, verification
from tidemark.engine.verification import Checked
from tidemark.errors import BudgetSpent, Corrupt, SnapshotNotCompleted, Unavailable
from tidemark.ports import Ports
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.records import amend_snapshot


class Verified(NamedTuple):
    """The snapshot as it is recorded now. `done` is false while the state machine goes on."""

    snapshot: Snapshot
    done: bool


def verify_snapshot(ports: Ports, tenant: Tenant, snapshot_id: str, *, budget_s: float = 5.0) -> Verified:
    """Verify the snapshot at once when that fits `budget_s`, else start the execution that does it.

    Damage is a result, not an error. Raises SnapshotNotFound, SnapshotNotCompleted.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    snapshot = _verifiable(ports, tenant, snapshot_id)

    def proceed() -> None:
        if ports.clock.monotonic_s() > until_s:
            raise BudgetSpent(f"the verification of snapshot {snapshot_id} takes longer than a request may")

    try:
        manifest = verification.check_manifest(ports.payloads, snapshot)
        checked = ports.parallel.map(
            lambda shard: readback.check_shard(ports, _key(snapshot), manifest, shard, proceed), manifest.shards
        )
    except Corrupt as error:
        return Verified(record(ports, tenant, snapshot_id, failure=Failure(error.code, error.message)), done=True)
    except Unavailable:
        _hand_over(ports, snapshot)
        return Verified(snapshot, done=False)
    return Verified(record(ports, tenant, snapshot_id, checked), done=True)


def list_packs(ports: Ports, tenant: Tenant, snapshot_id: str) -> list[int]:
    """The shards of the snapshot that have packs. Raises SnapshotNotFound, SnapshotNotCompleted, ManifestCorrupt."""
    _, manifest = _manifest(ports, tenant, snapshot_id)
    return readback.shards_to_read(manifest)


def verify_shard(ports: Ports, tenant: Tenant, snapshot_id: str, *, shard: int) -> Checked:
    """Read one shard back; how much that was. Raises ManifestCorrupt, PackCorrupt."""
    snapshot, manifest = _manifest(ports, tenant, snapshot_id)
    return readback.check_shard(ports, _key(snapshot), manifest, manifest.shards[shard], lambda: None)


def record(
    ports: Ports,
    tenant: Tenant,
    snapshot_id: str,
    checked: Iterable[Checked] = (),
    *,
    scope: Scope = Scope.FULL,
    failure: Failure | None = None,
) -> Snapshot:
    """Record what was found; the snapshot as it stands then.

    A snapshot that was deleted meanwhile is left alone: that its bytes go is no damage. Raises SnapshotNotFound.
    """
    seen = found(ports, checked, scope, failure)

    def note(snapshot: Snapshot) -> Snapshot:
        if snapshot.status is not SnapshotStatus.COMPLETED or not seen.outweighs(snapshot.verification):
            return snapshot
        return replace(snapshot, verification=seen)

    return amend_snapshot(ports.catalog, tenant, snapshot_id, note)


def found(ports: Ports, checked: Iterable[Checked], scope: Scope, failure: Failure | None) -> Verification:
    """What is to be recorded of what was `checked` just now, or of the damage that was met."""
    shares = list(checked)
    return Verification(
        checked_at=ports.clock.now(),
        ok=failure is None,
        scope=scope,
        checked_bytes=sum(share.size_bytes for share in shares),
        checked_packs=sum(share.packs for share in shares),
        failure=failure,
    )


def _verifiable(ports: Ports, tenant: Tenant, snapshot_id: str) -> Snapshot:
    snapshot = get_snapshot(ports, tenant, snapshot_id)
    if snapshot.status is not SnapshotStatus.COMPLETED:
        raise SnapshotNotCompleted(
            f"snapshot {snapshot_id} is {snapshot.status}; only a completed snapshot can be verified"
        )
    return snapshot


def _manifest(ports: Ports, tenant: Tenant, snapshot_id: str) -> tuple[Snapshot, Manifest]:
    snapshot = _verifiable(ports, tenant, snapshot_id)
    return snapshot, verification.check_manifest(ports.payloads, snapshot)


def _key(snapshot: Snapshot) -> str:
    return snapshot.manifest.key if snapshot.manifest else ""


def _hand_over(ports: Ports, snapshot: Snapshot) -> None:
    """Start an execution unless one is running.

    It is named after the record's version, which its result will move: so whoever asks meanwhile meets the same name,
    and whoever asks later another one.
    """
    verification_id = f"verification_{snapshot.id.removeprefix('snapshot_')}_{snapshot.version}"
    for attempt in count(1):
        if ports.workflows.running(snapshot.tenant, verification_id, attempt=attempt) is not False:
            ports.workflows.start_verification(snapshot.tenant, snapshot.id, verification_id, attempt=attempt)
            return
