"""Dry runs: what a restore would do, exactly, without doing it; and whether that still holds.

It costs what differs, where all of a snapshot is restored that live data builds on in part; otherwise both are read.
A dry run looks at live data as of a cut, for which it takes the tenant's lease as a capture does, and gives it back
within the request. If the request dies, whoever meets the lease starts a capture that finds nothing registered and
ends it. The plan is stored as an object that expires.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Base, Cut, Generation, LeaseKind, TenantState
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Changes, Mode
from tidemark.domain.restore_plan import NAMED, PlanId, RestorePlan
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying
from tidemark.engine.changes import changed_keys
from tidemark.engine.differences import Sides, differences, sides
from tidemark.engine.joining import Pair
from tidemark.engine.live import gates, leases
from tidemark.engine.overlay import Overlay, stamp_of
from tidemark.engine.overlaying import Job, kind_of_change
from tidemark.errors import (
    DryRunTooLong,
    ManifestCorrupt,
    NothingSelected,
    ObjectNotFound,
    PackCorrupt,
    PlanNotFound,
    PlanOutdated,
)
from tidemark.ports import Ports
from tidemark.usecases.contention import acquire
from tidemark.usecases.live_layers import on_base
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.restore_phases.lifecycle import manifest_of_snapshot, restorable
from tidemark.usecases.restore_snapshot import Wish

_ID: Final = re.compile(r"plan_[0-9a-f]{32}")
_KINDS: Final = ("created", "updated", "deleted")
_IN_REQUEST: Final = 0
# A look at the clock after so many entities.
_STRIDE: Final = 500
# Live data as it is, whenever it was written.
_NEVER: Final = Cut(2**62)


class _Found(NamedTuple):
    counts: Counter[str]
    named: dict[str, list[str]]


def dry_run(
    ports: Ports, tenant: Tenant, snapshot_id: str, wish: Wish, *, budget_s: float = 20.0, inline_limit_s: int = 30
) -> RestorePlan:
    """What the restore would do to live data as of now; the plan is stored under its id.

    Raises SnapshotNotFound, SnapshotNotCompleted, CaptureInProgress, RestoreInProgress, Corrupt ones, and
    DryRunTooLong when it takes more than `budget_s`.
    """
    snapshot = restorable(get_snapshot(ports, tenant, snapshot_id))
    target, until_s = wish.target or tenant, ports.clock.monotonic_s() + budget_s
    plan_id = PlanId(f"plan_{ports.entropy.token_bytes(16).hex()}")
    manifest = manifest_of_snapshot(ports, snapshot)
    overlay = Overlay(wish.mode, None if wish.selection is None else ports.select(wish.selection))
    if ports.table.load(target).state is None:
        found = _compared(ports, _job(target, manifest, overlay, None, ports.layout.shards, Cut(0)), until_s)
        return _stored(ports, plan_id, snapshot, wish, None, None, found)
    state = acquire(
        ports,
        target,
        kind=LeaseKind.CAPTURE,
        owner=plan_id,
        subject=plan_id,
        attempt=_IN_REQUEST,
        inline_limit_s=inline_limit_s,
    )
    token = leases.token_of(state)
    try:
        ended = gates.cut(ports, target, token)
        job = _job(target, manifest, overlay, state, state.shards, ended)
        found = _compared_by_layers(ports, job, state, until_s) or _compared(ports, job, until_s)
    finally:
        # From the cut on deletes leave tombstones, so that what moved since the plan can be told.
        gates.finish_capture(ports, target, token, lambda base: base or Base(None, ended))
        gates.release(ports, target, token)
    return _stored(ports, plan_id, snapshot, wish, state.generation, ended, found)


def read_plan(ports: Ports, tenant: Tenant, plan_id: str) -> RestorePlan:
    """A plan of the tenant whose snapshot it is about. Raises PlanNotFound, also when its time is over."""
    absent = PlanNotFound(f"no plan {plan_id[:100]!r}: plans come from restores with dryRun and are kept for some days")
    if _ID.fullmatch(plan_id) is None:
        raise absent
    try:
        return msgspec.json.decode(ports.payloads.get(_key(tenant, plan_id)), type=RestorePlan)
    except ObjectNotFound:
        raise absent from None


def check_plan(ports: Ports, plan: RestorePlan) -> None:
    """Raises PlanOutdated when live data has moved since the plan was made, or when that can't be told any more."""
    state = ports.table.load(plan.tenant).state
    if state is None and plan.generation is None:
        return
    if state is None or plan.cut is None or state.generation != plan.generation or _hidden(state, plan.cut):
        raise _outdated(plan, "a restore was made or a snapshot was taken since")
    cut, generation = plan.cut, state.generation

    def moved(shard: int) -> bool:
        return any(True for _ in changed_keys(ports, plan.tenant, generation, shard, cut))

    if any(ports.parallel.map(moved, range(state.shards))):
        raise _outdated(plan, "entities were written since")


def require_selected(ports: Ports, tenant: Tenant, snapshot_id: str, wish: Wish, *, budget_s: float = 5.0) -> None:
    """Raises NothingSelected when the filter selects no entity at all. A filter whose first hit is not found within
    `budget_s` is let pass.

    Raises SnapshotNotFound, SnapshotNotCompleted, Corrupt ones.
    """
    if wish.selection is None:
        return
    selection, until_s = ports.select(wish.selection), ports.clock.monotonic_s() + budget_s
    snapshot, target = restorable(get_snapshot(ports, tenant, snapshot_id)), wish.target or tenant
    state = ports.table.load(target).state
    shards = state.shards if state else ports.layout.shards
    job = _job(target, manifest_of_snapshot(ports, snapshot), Overlay(wish.mode, selection), state, shards, _NEVER)
    for shard in range(shards):
        for pair in overlaying.pairs(ports, job, shard):
            was, now = overlaying.text_of(pair.was), pair.now.doc if pair.now else None
            if selection.picks(EntityKey.parse(pair.key), was, now) or ports.clock.monotonic_s() > until_s:
                return
    raise NothingSelected(
        f"the filter selects no entity, neither of snapshot {snapshot_id} nor of what is live: nothing was restored"
    )


def _hidden(state: TenantState, cut: Cut) -> bool:
    """Whether a later snapshot may have swept the tombstones of what was deleted since."""
    return state.base is not None and state.base.cut > cut


def _outdated(plan: RestorePlan, why: str) -> PlanOutdated:
    return PlanOutdated(f"plan {plan.id} does not hold any more: {why}; ask for another dry run")


def _job(tenant: Tenant, manifest: Manifest, overlay: Overlay, state: TenantState | None, shards: int, cut: Cut) -> Job:
    live = state.generation if state else Generation(0)
    stamp = stamp_of(tenant, live, cut, state.base if state else None)
    return Job(tenant, manifest, overlay, stamp, live, live, shards, cut)


def _compared_by_layers(ports: Ports, job: Job, state: TenantState, until_s: float) -> _Found | None:
    """What a restore of everything would do, told from the layers by which the snapshot and live data differ.

    None where they have none in common, or where what live data builds on can't be read, which no restore needs.
    """
    if job.overlay.selection is not None:
        return None

    def proceed() -> None:
        if ports.clock.monotonic_s() > until_s:
            raise _too_long()

    proceed()
    try:
        live = on_base(ports, state, proceed, job.baseline)
        if live is None or len(live) != len(job.manifest.shards):
            return None
        shards = [sides(one, held.layers) for one, held in zip(live, job.manifest.shards, strict=True)]
        if not any(shard.common for shard in shards):
            return None
        found = _summed(ports.parallel.map(lambda shard: _differing(ports, shard, proceed), shards))
    except (PackCorrupt, ManifestCorrupt):
        return None
    counts, named = found
    counts["unchanged"] = job.manifest.records - counts["created"] - counts["updated"]
    if job.overlay.mode is Mode.MERGE:
        counts["unchanged"] += counts.pop("deleted", 0)
        named["deleted"] = []
    return found


def _differing(ports: Ports, shard: Sides, proceed: Callable[[], None]) -> _Found:
    found = _Found(Counter(), {kind: [] for kind in _KINDS})
    for one in differences(ports.payloads, shard, proceed=proceed):
        found.counts[one.change] += 1
        if len(found.named[one.change]) < NAMED:
            found.named[one.change].append(one.key)
    return found


def _compared(ports: Ports, job: Job, until_s: float) -> _Found:
    return _summed(ports.parallel.map(lambda shard: _compared_shard(ports, job, shard, until_s), range(job.shards)))


def _summed(parts: Sequence[_Found]) -> _Found:
    counts: Counter[str] = Counter()
    for part in parts:
        counts += part.counts
    return _Found(counts, {kind: sorted(key for part in parts for key in part.named[kind])[:NAMED] for kind in _KINDS})


def _compared_shard(ports: Ports, job: Job, shard: int, until_s: float) -> _Found:
    found = _Found(Counter(), {kind: [] for kind in _KINDS})
    pairs: Iterator[Pair] = overlaying.pairs(ports, job, shard)
    while some := list(islice(pairs, _STRIDE)):
        if ports.clock.monotonic_s() > until_s:
            raise _too_long()
        for pair in some:
            was, now = overlaying.text_of(pair.was), pair.now.doc if pair.now else None
            result = job.overlay.result(pair.key, was, now)
            if now is None and result is None:
                continue
            kind = kind_of_change(now, result)
            found.counts[kind] += 1
            if kind in found.named and len(found.named[kind]) < NAMED:
                found.named[kind].append(pair.key)
    return found


def _too_long() -> DryRunTooLong:
    return DryRunTooLong(
        "the dry run takes longer than a request may; narrow it by a filter with type or id, "
        "or restore without it: the safety snapshot brings back what was"
    )


def _stored(
    ports: Ports,
    plan_id: PlanId,
    snapshot: Snapshot,
    wish: Wish,
    generation: Generation | None,
    cut: Cut | None,
    found: _Found,
) -> RestorePlan:
    named = {kind: tuple(EntityKey.parse(key) for key in found.named[kind]) for kind in _KINDS}
    plan = RestorePlan(
        id=plan_id,
        tenant=wish.target or snapshot.tenant,
        source=snapshot.tenant,
        snapshot_id=snapshot.id,
        mode=wish.mode,
        selection=wish.selection,
        made_at=ports.clock.now(),
        generation=generation,
        cut=cut,
        changes=Changes(*(found.counts[name] for name in Changes._fields)),
        **named,
    )
    ports.payloads.put(_key(snapshot.tenant, plan_id), msgspec.json.encode(plan))
    return plan


def _key(tenant: Tenant, plan_id: str) -> str:
    return f"work-lists/{tenant}/{plan_id}.json"
