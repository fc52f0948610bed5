"""Cutover: let readers see the new generation at one moment, and register the safety snapshot of the old one."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Final, NamedTuple

from tidemark.domain.live import Base, Cut, FencingToken, Gate, Latecomers, TenantState
from tidemark.domain.restore import Phase, Restore
from tidemark.domain.snapshot import CaptureId, Snapshot, SnapshotId, Trigger, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying
from tidemark.engine.live import gates, leases
from tidemark.errors import (
    RecordExists,
)
from tidemark.ports import Ports
from tidemark.usecases.capture_phases import on_base
from tidemark.usecases.records import amend_restore, amend_snapshot
from tidemark.usecases.restore_phases.catch_up import since_of
from tidemark.usecases.restore_phases.lifecycle import enter, refuse_cancelled
from tidemark.usecases.restore_phases.overlaid import job_of

# Whoever stages looks before each batch whether the flip was noted. AWS Lambda lets no invocation live for longer than
# 15 minutes: neither that of a worker that looked just before, nor this one, which reads the clock before it flips.
# The other half hour is for clocks that disagree.
LATECOMERS_LIVE: Final = timedelta(hours=1)


class CutOver(NamedTuple):
    """What is left to preserve: no shards when no safety snapshot is wanted, or it is complete."""

    safety_snapshot_id: str | None
    shards: list[int]


def cutover(ports: Ports, tenant: Tenant, restore_id: str, *, token: int) -> CutOver:
    """Let readers see the new generation, at one moment and with no write under way; the old one is frozen.

    Raises RestoreCancelled, LeaseLost, GatesClosed.
    """
    fence = FencingToken(token)
    state = leases.held_state(ports.table, tenant, fence)
    safety_capture_id = CaptureId(ports.entropy.token_bytes(16).hex())

    def commit_to_it(record: Restore) -> Restore:
        if state.generation != record.generation:
            refuse_cancelled(record)
        wanted = record.safety_capture_id or (safety_capture_id if record.safety_wanted else None)
        return replace(record, safety_capture_id=wanted).entering(Phase.CUTOVER, ports.clock.now())

    restore = amend_restore(ports.catalog, tenant, restore_id, commit_to_it)
    leases.held_state(ports.table, tenant, fence)

    def flip(before: TenantState) -> TenantState | None:
        if before.generation == restore.generation:
            return None
        return replace(
            before,
            generation=restore.generation,
            cut=Cut(before.cut + 1),
            capturing=None,
            base=_base_after(restore, before),
            latecomers=Latecomers(_kept_since(restore, before), ports.clock.now() + LATECOMERS_LIVE),
        )

    flipped_before = state.generation == restore.generation
    job = job_of(ports, restore, state) if restore.partial and not flipped_before else None

    def bring_the_rest(closed: Sequence[Gate]) -> None:
        if job is not None:
            overlaying.bring(ports, job, since_of(restore), {gate.number: gate for gate in closed})

    flipped = gates.switch(ports, tenant, fence, flip, bring_the_rest)
    if restore.safety_capture_id is None:
        enter(ports, tenant, restore_id, Phase.RETIRE)
        return CutOver(None, [])
    safety = _register_safety(ports, restore, fence, flipped)
    if safety.was_completed:
        return CutOver(safety.id, [])
    enter(ports, tenant, restore_id, Phase.PRESERVE)
    return CutOver(safety.id, list(range(flipped.shards)))


def _base_after(restore: Restore, before: TenantState) -> Base:
    """What the next capture builds on: the snapshot that was restored, if all of it was and it is the tenant's own;
    what it was before, if the restore was partial, since that is like one large write.
    """
    if restore.partial:
        return before.base or Base(None, before.cut)
    return Base(restore.snapshot_id if restore.source_tenant is None else None, before.cut)


def _kept_since(restore: Restore, before: TenantState) -> Cut:
    """After which cut the new generation's tombstones are, with those that a partial restore took over from the old
    one.
    """
    since = _base_after(restore, before).cut
    return min(since, before.latecomers.since) if restore.partial and before.latecomers is not None else since


def _register_safety(ports: Ports, restore: Restore, token: FencingToken, flipped: TenantState) -> Snapshot:
    """The record of the safety snapshot: that of an earlier run, or a new one under the first id of this second that
    is free.

    The restore's record names the id first, so that runs side by side register one record and not one each.
    """
    now = ports.clock.now()
    taken: set[str] = set()
    for sequence in count(1):
        named = _name_safety(ports, restore, snapshot_id(now, sequence), taken)
        draft = Snapshot(
            tenant=restore.tenant,
            id=named,
            created_at=now,
            capture_id=restore.safety_capture_id or CaptureId(""),
            token=token,
            description=f"Safety snapshot: before the restore of {_origin(restore)}",
            trigger=Trigger.SAFETY,
            generation=restore.from_generation,
            cut=Cut(flipped.cut - 1),
            restore_id=restore.id,
        )
        try:
            return ports.catalog.add_snapshot(on_base(draft, restore.from_base))
        except RecordExists:
            found = ports.catalog.snapshot(restore.tenant, named)
        if found.capture_id == restore.safety_capture_id:
            return _adopt_safety(ports, found, token)
        taken.add(named)
    raise AssertionError("count() ended")


def _origin(restore: Restore) -> str:
    if restore.source_tenant is None:
        return restore.snapshot_id
    return f"{restore.snapshot_id} of {restore.source_tenant}"


def _name_safety(ports: Ports, restore: Restore, proposed: SnapshotId, taken: AbstractSet[str]) -> SnapshotId:
    """The id that the restore's record names for its safety snapshot: the proposed one, unless it names one that is not
    known to be taken by another snapshot.
    """

    def name(record: Restore) -> Restore:
        if record.safety_snapshot_id is not None and record.safety_snapshot_id not in taken:
            return record
        return replace(record, safety_snapshot_id=proposed)

    return amend_restore(ports.catalog, restore.tenant, restore.id, name).safety_snapshot_id or proposed


def _adopt_safety(ports: Ports, safety: Snapshot, token: FencingToken) -> Snapshot:
    """The record, with the token of whoever goes on with it: a late run does not take it from a later one."""
    if safety.was_completed:
        return safety
    return amend_snapshot(
        ports.catalog, safety.tenant, safety.id, lambda record: replace(record, token=max(token, record.token))
    )
