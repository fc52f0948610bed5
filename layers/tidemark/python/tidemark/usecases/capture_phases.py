"""The phases of a capture: Begin, CopyShards, Seal, Abort.

Each can be repeated, run late, or run by a worker that has lost its lease: then it changes nothing.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from tidemark.domain.live import Base, FencingToken, Latecomers
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Phase
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotId, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import copying, manifests
from tidemark.engine.copying import check_pack, read_note
from tidemark.engine.live import gates, leases, tombstones
from tidemark.engine.live.versions import STAGED
from tidemark.errors import (
    BudgetSpent,
    CatalogCorrupt,
    Corrupt,
    LeaseLost,
    ManifestCorrupt,
    PackCorrupt,
    SnapshotNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases.records import amend_restore, amend_snapshot

_BASE_IS_DAMAGED: Final = frozenset({PackCorrupt.__name__, ManifestCorrupt.__name__})
_SWEEP_BUDGET_S: Final = 60.0


class CaptureBegun(NamedTuple):
    """What the workers need. `over`: the capture has ended already and there is nothing to do."""

    token: FencingToken
    shards: list[int]
    over: bool


def begin(ports: Ports, tenant: Tenant, snapshot_id: str, capture_id: str, *, attempt: int) -> CaptureBegun:
    """Take the capture over from earlier attempts and end the cut if that is still to be done. Raises LeaseLost."""
    snapshot = _of_capture(ports.catalog.snapshot(tenant, snapshot_id), capture_id)
    if snapshot.status is not SnapshotStatus.CREATING:
        _end_attempt(ports, snapshot, attempt)
        return CaptureBegun(snapshot.token, [], over=True)
    state = leases.take_over(ports, tenant, owner=capture_id, subject=snapshot_id, attempt=attempt)
    token = leases.token_of(state)
    cut(ports, tenant, snapshot_id, token)
    return CaptureBegun(token, list(range(state.shards)), over=False)


def cut(ports: Ports, tenant: Tenant, snapshot_id: str, token: FencingToken) -> Snapshot:
    """End the tenant's cut for the snapshot, which from then on holds exactly what was committed before.

    Can be repeated. Raises LeaseLost.
    """
    state = leases.held_state(ports.table, tenant, token)
    ended = gates.cut(ports, tenant, token)

    def note(snapshot: Snapshot) -> Snapshot:
        if snapshot.status is not SnapshotStatus.CREATING:
            # What a late run has just ended is not the cut of what was stored, and must not become the base's.
            raise LeaseLost(f"snapshot {snapshot.id} is {snapshot.status}: its cut was ended before")
        # A late run does not take the record from a later one.
        latest = max(token, snapshot.token)
        return on_base(replace(snapshot, token=latest, generation=state.generation, cut=ended), state.base)

    return amend_snapshot(ports.catalog, tenant, snapshot_id, note)


def on_base(snapshot: Snapshot, base: Base | None) -> Snapshot:
    """The record of a snapshot that is made incrementally from a base, or from nothing."""
    if base is None or base.snapshot_id is None:
        return replace(snapshot, parent_id=None, base_cut=None)
    return replace(snapshot, parent_id=SnapshotId(base.snapshot_id), base_cut=base.cut)


def copy_shard(ports: Ports, tenant: Tenant, snapshot_id: str, *, token: int, shard: int) -> int:
    """Store one shard of the snapshot's cut; the number of its records.

    Goes on after the last pack of an earlier run. Raises LeaseLost.
    """
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    return copy_shard_until(ports, snapshot, base_of(ports, snapshot), token=token, shard=shard)


def base_of(ports: Ports, snapshot: Snapshot) -> Manifest | None:
    """The manifest of the snapshot that this one is made incrementally from; None for a full copy.

    A base that can't be read costs a full copy, not the snapshot.
    """
    if snapshot.parent_id is None:
        return None
    try:
        parent = ports.catalog.snapshot(snapshot.tenant, snapshot.parent_id)
        return manifests.read(ports.payloads, parent.manifest) if parent.manifest else None
    except (SnapshotNotFound, CatalogCorrupt, ManifestCorrupt):
        return None


def copy_shard_until(
    ports: Ports, snapshot: Snapshot, base: Manifest | None, *, token: int, shard: int, until_s: float | None = None
) -> int:
    """`copy_shard`, stopping before the next pack with BudgetSpent when the clock has passed `until_s`."""
    if snapshot.generation is None or snapshot.cut is None:
        raise LeaseLost(f"snapshot {snapshot.id} has no cut yet")

    shards = leases.held_state(ports.table, snapshot.tenant, FencingToken(token)).shards

    def proceed() -> None:
        leases.held_state(ports.table, snapshot.tenant, FencingToken(token))
        if until_s is not None and ports.clock.monotonic_s() > until_s:
            raise BudgetSpent(f"snapshot {snapshot.id} takes longer than a request may")

    whole = copying.ShardCut(snapshot.tenant, snapshot.capture_id, snapshot.generation, snapshot.cut, shard)
    if base is None or len(base.shards) != shards:
        return copying.copy_shard(ports, whole, proceed).records
    shard_base = base.shards[shard]
    changes = whole._replace(base=shard_base, base_cut=snapshot.base_cut)
    if snapshot.restore_id is None:
        return copying.copy_shard(ports, changes, proceed).records
    try:
        packs = [pack for layer in shard_base.layers for pack in layer.packs]
        ports.parallel.map(lambda pack: check_pack(ports.payloads, pack), packs)
        return copying.copy_shard(ports, changes, proceed).records
    except PackCorrupt:
        # Where a capture fails for its base, the next one does without. A safety snapshot has no next one: its restore
        # would hold the tenant for ever. All that it needs is still in the generation that it preserves.
        return copying.copy_shard(ports, whole, proceed).records


def seal(
    ports: Ports, tenant: Tenant, snapshot_id: str, *, token: int, sweep_budget_s: float = _SWEEP_BUDGET_S
) -> Snapshot:
    """Write the manifest, read it back, check that every pack is in place, and complete the snapshot; then end the
    capture. Raises LeaseLost, Corrupt ones.
    """
    snapshot = ports.catalog.snapshot(tenant, snapshot_id)
    if snapshot.was_completed:
        state = leases.current_state(ports.table, tenant)
    else:
        state = leases.held_state(ports.table, tenant, FencingToken(token))
        try:
            snapshot = _complete(ports, snapshot, state.shards)
        except Corrupt:
            # The notes of a completed capture may be collected: then it was another run that completed this one.
            snapshot = ports.catalog.snapshot(tenant, snapshot_id)
            if not snapshot.was_completed:
                raise
    if snapshot.restore_id is not None:
        # Preserve is done: what follows, the wait for the last readers too, belongs to Retire.
        amend_restore(
            ports.catalog, tenant, snapshot.restore_id, lambda record: record.entering(Phase.RETIRE, ports.clock.now())
        )
        return snapshot
    nobody_late = _sweep(ports, snapshot, state.latecomers, sweep_budget_s)
    _end(ports, tenant, FencingToken(token), snapshot, nobody_late=nobody_late)
    return snapshot


def abort(
    ports: Ports, tenant: Tenant, snapshot_id: str, capture_id: str, *, attempt: int, failure: Failure
) -> SnapshotStatus:
    """Record why the capture failed and end it; the snapshot's status.

    A capture that was completed stays so, and one that a later attempt drives is left alone.
    """

    def fail(snapshot: Snapshot) -> Snapshot:
        if _of_capture(snapshot, capture_id).status is not SnapshotStatus.CREATING:
            return snapshot
        return replace(snapshot, status=SnapshotStatus.FAILED, failure=failure)

    try:
        state = leases.take_over(ports, tenant, owner=capture_id, subject=snapshot_id, attempt=attempt, force=True)
    except LeaseLost:
        if leases.is_held(ports.table, tenant, owner=capture_id, subject=snapshot_id):
            return ports.catalog.snapshot(tenant, snapshot_id).status
        # It was given back before the snapshot was registered, or after it was decided.
        return amend_snapshot(ports.catalog, tenant, snapshot_id, fail).status
    try:
        snapshot = amend_snapshot(ports.catalog, tenant, snapshot_id, fail)
    except SnapshotNotFound:
        # The request died between taking the lease and registering the snapshot.
        _end(ports, tenant, leases.token_of(state), None)
        return SnapshotStatus.FAILED
    _end(ports, tenant, leases.token_of(state), snapshot)
    return snapshot.status


def _of_capture(snapshot: Snapshot, capture_id: str) -> Snapshot:
    """The snapshot, if this capture makes it: a request that died early may have left a lease that names another one's
    id.
    """
    if snapshot.capture_id != capture_id:
        raise SnapshotNotFound(f"capture {capture_id} registered no snapshot {snapshot.id}")
    return snapshot


def _end_attempt(ports: Ports, snapshot: Snapshot, attempt: int) -> None:
    """End what an earlier attempt left to do of a capture whose snapshot is decided."""
    try:
        state = leases.take_over(
            ports, snapshot.tenant, owner=snapshot.capture_id, subject=snapshot.id, attempt=attempt
        )
    except LeaseLost:
        return
    _end(ports, snapshot.tenant, leases.token_of(state), snapshot)


def _complete(ports: Ports, snapshot: Snapshot, shards: int) -> Snapshot:
    if snapshot.generation is None or snapshot.cut is None:
        raise LeaseLost(f"snapshot {snapshot.id} has no cut yet")
    copied = ports.parallel.map(
        lambda shard: read_note(ports.payloads, snapshot.tenant, snapshot.capture_id, shard), range(shards)
    )
    manifest = Manifest(
        tenant=snapshot.tenant,
        snapshot_id=snapshot.id,
        capture_id=snapshot.capture_id,
        created_at=snapshot.created_at,
        generation=snapshot.generation,
        cut=snapshot.cut,
        shards=tuple(copied),
    )
    ports.parallel.map(lambda pack: check_pack(ports.payloads, pack), manifest.packs)
    reference = manifests.store(ports.payloads, manifest)

    def complete(record: Snapshot) -> Snapshot:
        if record.was_completed:
            return record
        if record.status is not SnapshotStatus.CREATING or record.token != snapshot.token:
            raise LeaseLost(f"snapshot {record.id} is no longer being created by this capture")
        return replace(
            record,
            status=SnapshotStatus.COMPLETED,
            entity_count=manifest.records,
            raw_bytes=sum(layer.raw_bytes for shard in copied for layer in shard.layers),
            stored_bytes=manifest.stored_bytes,
            new_bytes=manifest.new_bytes,
            manifest=reference,
            digest=manifest.digest,
            completed_at=ports.clock.now(),
        )

    return amend_snapshot(ports.catalog, snapshot.tenant, snapshot.id, complete)


def _end(
    ports: Ports, tenant: Tenant, token: FencingToken, snapshot: Snapshot | None, *, nobody_late: bool = False
) -> None:
    """Let writers stop keeping what was before, make a completed snapshot the base, and give the lease back."""

    def next_base(present: Base | None) -> Base | None:
        if snapshot is None or snapshot.cut is None:
            return present
        if snapshot.was_completed:
            # Even if it was deleted meanwhile: the tombstones that it recorded may be swept, so no older base will do.
            return Base(snapshot.id, snapshot.cut)
        if snapshot.failure is not None and snapshot.failure.code in _BASE_IS_DAMAGED:
            # A capture that found the base's bytes damaged must not be followed by another that builds on them. Deletes
            # go on to leave tombstones, which latecomers of a restore must meet.
            return present and Base(None, present.cut)
        return present

    try:
        gates.finish_capture(ports, tenant, token, next_base, nobody_late=nobody_late)
        gates.release(ports, tenant, token)
    except LeaseLost:
        return


def _sweep(ports: Ports, snapshot: Snapshot, latecomers: Latecomers | None, budget_s: float) -> bool:
    """Remove the tombstones that this snapshot has recorded, unless latecomers of a restore must meet them; then a
    later snapshot does so. What the budget leaves costs storage, nothing else.

    Whether nobody is late any more, and what had been kept for them is removed.
    """
    if snapshot.generation is None or snapshot.cut is None or snapshot.manifest is None:
        return False
    if latecomers is not None and ports.clock.now() < latecomers.gone_at:
        return False
    generation, ended, since = snapshot.generation, snapshot.cut, snapshot.base_cut or STAGED
    kept = latecomers is not None and latecomers.since < since
    if snapshot.new_bytes == 0 and snapshot.entity_count and not kept:
        # Nothing was recorded: a tombstone is a line of a pack, unless it was of the last entity of its shard.
        return True
    if latecomers is not None:
        since = min(since, latecomers.since)
    until_s = ports.clock.monotonic_s() + budget_s
    manifest = manifests.read(ports.payloads, snapshot.manifest)
    shards = [
        shard.shard
        for shard in manifest.shards
        if kept or not shard.layers or any(layer.capture_id == snapshot.capture_id for layer in shard.layers)
    ]
    ports.parallel.map(
        lambda shard: tombstones.sweep(ports, snapshot.tenant, generation, shard, since, ended, until_s), shards
    )
    return ports.clock.monotonic_s() < until_s
