"""Dry runs: what a restore would do, exactly, without doing it; and whether that still holds.

A dry run looks at live data as of a cut, for which it holds the tenant's lease as a capture does. What the request has
no time for is counted by the state machine of captures (see `dry_run_phases`). If the request dies, whoever meets the
lease starts that machine, which finds that nothing was asked of it and gives the lease back.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Base, Cut, FencingToken, LeaseKind, TenantState
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore_plan import Counted, DryRun, PlanId, RestorePlan, together
from tidemark.domain.tenant import Tenant
from tidemark.engine import overlaying
from tidemark.engine.changes import changed_keys
from tidemark.engine.live import gates, leases
from tidemark.engine.lookup import Proceed
from tidemark.engine.overlay import Overlay
from tidemark.errors import BudgetSpent, LeaseLost, NothingSelected, PlanOutdated, Unavailable, WriteConflict
from tidemark.ports import Ports
from tidemark.usecases import stored_plans
from tidemark.usecases.contention import FIRST_EXECUTION, IN_REQUEST, acquire
from tidemark.usecases.count_changes import count_shard, counting_of, job_of
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.restore_phases.lifecycle import manifest_of_snapshot, restorable
from tidemark.usecases.restore_snapshot import Wish

# Live data as it is, whenever it was written.
_NEVER: Final = Cut(2**62)


def dry_run(
    ports: Ports, tenant: Tenant, snapshot_id: str, wish: Wish, *, budget_s: float = 5.0, inline_limit_s: int = 30
) -> DryRun:
    """What the restore would do to live data as of now: a RestorePlan when it fits `budget_s`, else what an execution
    was started to count. Both are found under the id.

    Raises NothingSelected, SnapshotNotFound, SnapshotNotCompleted, CaptureInProgress, RestoreInProgress,
    DryRunInProgress, WriteConflict, Corrupt ones.
    """
    snapshot = restorable(get_snapshot(ports, tenant, snapshot_id))
    until_s = ports.clock.monotonic_s() + budget_s
    manifest = manifest_of_snapshot(ports, snapshot)
    wanted = DryRun(
        id=PlanId(f"plan_{ports.entropy.token_bytes(16).hex()}"),
        tenant=wish.target or tenant,
        source=tenant,
        snapshot_id=snapshot.id,
        mode=wish.mode,
        selection=wish.selection,
        made_at=ports.clock.now(),
        generation=None,
        cut=None,
        shards=ports.layout.shards,
    )

    def proceed() -> None:
        if ports.clock.monotonic_s() > until_s:
            raise BudgetSpent(f"the dry run {wanted.id} takes longer than a request may")

    if ports.table.load(wanted.tenant).state is None:
        with suppress(BudgetSpent):
            return _planned(ports, wanted, _counted(ports, wanted, manifest, None, proceed))
    return _under_lease(ports, wanted, manifest, proceed, inline_limit_s=inline_limit_s)


def _under_lease(ports: Ports, wanted: DryRun, manifest: Manifest, proceed: Proceed, *, inline_limit_s: int) -> DryRun:
    state = acquire(
        ports,
        wanted.tenant,
        kind=LeaseKind.CAPTURE,
        owner=wanted.id,
        subject=wanted.id,
        attempt=IN_REQUEST,
        inline_limit_s=inline_limit_s,
    )
    token = leases.token_of(state)
    try:
        ended = gates.cut(ports, wanted.tenant, token)
        asked = replace(wanted, generation=state.generation, cut=ended, shards=state.shards)
        try:
            found = _counted(ports, asked, manifest, state, proceed)
        except Unavailable:
            # AWS or the clock did not let the request finish: the state machine does.
            stored_plans.ask(ports, asked)
            # An execution that began before that has found nothing asked of it, and has voided the token.
            leases.held_state(ports.table, asked.tenant, token)
            ports.workflows.start_capture(asked.tenant, asked.id, asked.id, attempt=FIRST_EXECUTION, delay_s=0)
            return asked
    except Exception:
        _end(ports, wanted, token)
        raise
    _end(ports, asked, token)
    return _planned(ports, asked, found)


def _planned(ports: Ports, asked: DryRun, found: Counted) -> RestorePlan:
    if not found.selected:
        raise nothing_selected(asked.snapshot_id)
    return stored_plans.finish(ports, asked, found)


def _end(ports: Ports, dry_run: DryRun, token: FencingToken) -> None:
    """Give the lease back. Raises WriteConflict where it has passed on: what was read is void then, and so is what was
    found damaged.
    """
    try:
        give_back(ports, dry_run.tenant, token, dry_run.cut)
    except LeaseLost as lost:
        raise WriteConflict(f"dry run {dry_run.id} was given up before it was over; ask for it again") from lost


def _counted(ports: Ports, asked: DryRun, manifest: Manifest, state: TenantState | None, proceed: Proceed) -> Counted:
    counting = counting_of(ports, asked, manifest, state)
    return together(ports.parallel.map(lambda shard: count_shard(ports, counting, shard, proceed), range(asked.shards)))


def give_back(ports: Ports, tenant: Tenant, token: FencingToken, cut: Cut | None = None) -> None:
    """End the look at live data. `cut` is that of a plan: from it on deletes leave tombstones, so that what moved since
    can be told. Raises LeaseLost.
    """
    gates.finish_capture(ports, tenant, token, lambda base: base or (None if cut is None else Base(None, cut)))
    gates.release(ports, tenant, token)


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
    job = job_of(target, manifest_of_snapshot(ports, snapshot), Overlay(wish.mode, selection), state, shards, _NEVER)
    for shard in range(shards):
        for pair in overlaying.pairs(ports, job, shard):
            was, now = overlaying.text_of(pair.was), pair.now.doc if pair.now else None
            if selection.picks(EntityKey.parse(pair.key), was, now) or ports.clock.monotonic_s() > until_s:
                return
    raise nothing_selected(snapshot_id)


def nothing_selected(snapshot_id: str) -> NothingSelected:
    """What a restore is refused with, and a dry run, whose filter selects no entity at all."""
    return NothingSelected(
        f"the filter selects no entity, neither of snapshot {snapshot_id} nor of what is live: nothing was restored"
    )


def _hidden(state: TenantState, cut: Cut) -> bool:
    """Whether what was deleted since may have left no tombstone: there is no base, or a later snapshot swept them."""
    return state.base is None or state.base.cut > cut


def _outdated(plan: RestorePlan, why: str) -> PlanOutdated:
    return PlanOutdated(f"plan {plan.id} does not hold any more: {why}; ask for another dry run")
