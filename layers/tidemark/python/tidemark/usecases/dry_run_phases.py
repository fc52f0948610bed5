"""The phases of a dry run that took longer than its request: Begin, CountShards, Conclude, and Abort.

They are states of the state machine of captures, since a dry run looks at live data as a capture does: as of a cut,
under the tenant's lease, which the request has taken and leaves to the execution. All attempts count as of that cut.
Each phase can be repeated, run late, or run by a worker that has lost its lease.
"""

from collections.abc import Callable
from typing import Final

from tidemark.domain.live import Cut, FencingToken
from tidemark.domain.restore_plan import DryRun, RestorePlan, together
from tidemark.domain.snapshot import Failure, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import CountIncomplete, LeaseLost, PlanNotFound
from tidemark.ports import Ports
from tidemark.usecases import stored_plans
from tidemark.usecases.capture_phases import CaptureBegun
from tidemark.usecases.count_changes import count_shard as counted_of
from tidemark.usecases.count_changes import counting_of
from tidemark.usecases.dry_run import give_back, nothing_selected
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.restore_phases.lifecycle import manifest_of_snapshot, restorable
from tidemark.usecases.stored_plans import UnderWay

_LOOK_EACH_S: Final = 1.0


def begin(ports: Ports, tenant: Tenant, plan_id: str, *, attempt: int) -> CaptureBegun:
    """Take the dry run over from its request or an earlier attempt. What is decided, or was never asked of an
    execution because its request died before, is ended. Raises LeaseLost.
    """
    try:
        state = leases.take_over(ports, tenant, owner=plan_id, subject=plan_id, attempt=attempt)
    except LeaseLost:
        if _is_counting(stored_plans.find(ports, plan_id)):
            raise
        return CaptureBegun(FencingToken(0), [], over=True)
    token = leases.token_of(state)
    # Looked for only now: a request that asks later than this finds its token void.
    found = stored_plans.find(ports, plan_id)
    if _is_counting(found):
        return CaptureBegun(token, list(range(state.shards)), over=False)
    give_back(ports, tenant, token, _cut_of(found))
    return CaptureBegun(token, [], over=True)


def count_shard(ports: Ports, tenant: Tenant, plan_id: str, *, token: int, shard: int) -> int:
    """Count what the restore would do to a shard; the number of its entities. Raises LeaseLost, SnapshotNotFound,
    SnapshotNotCompleted, Corrupt ones.
    """
    state = leases.held_state(ports.table, tenant, FencingToken(token))
    noted = stored_plans.noted_shard(ports, plan_id, shard)
    if noted is None:
        asked = _asked(ports, plan_id)
        snapshot = restorable(get_snapshot(ports, asked.source, asked.snapshot_id))
        counting = counting_of(ports, asked, manifest_of_snapshot(ports, snapshot), state)
        try:
            noted = counted_of(ports, counting, shard, _while_held(ports, tenant, FencingToken(token)))
        finally:
            # What was read, or found damaged, counts only if nobody could end the look at live data meanwhile.
            leases.held_state(ports.table, tenant, FencingToken(token))
        stored_plans.note_shard(ports, plan_id, shard, noted)
    return sum(noted.changes)


def conclude(ports: Ports, tenant: Tenant, plan_id: str, *, token: int) -> int:
    """Store the plan, add up what was counted, and give the lease back; the number of entities. There is no plan, and
    that is told, where the filter selects none of them.

    Raises LeaseLost, CountIncomplete.
    """
    leases.held_state(ports.table, tenant, FencingToken(token))
    asked = _asked(ports, plan_id)
    parts = ports.parallel.map(lambda shard: stored_plans.noted_shard(ports, plan_id, shard), range(asked.shards))
    noted = [part for part in parts if part is not None]
    if len(noted) < asked.shards:
        raise CountIncomplete(f"dry run {plan_id} has no result of {asked.shards - len(noted)} shards")
    found = together(noted)
    if found.selected:
        stored_plans.finish(ports, asked, found)
    else:
        refused = nothing_selected(asked.snapshot_id)
        stored_plans.fail(ports, plan_id, Failure(refused.code, refused.message))
    give_back(ports, tenant, FencingToken(token), asked.cut if found.selected else None)
    return sum(found.changes)


def abort(ports: Ports, tenant: Tenant, plan_id: str, *, attempt: int, failure: Failure) -> SnapshotStatus:
    """Record why there is no plan and give the lease back; how it stands, in the words of captures.

    A plan that is ready stays so, and a dry run that a later attempt drives is left alone.
    """
    token: FencingToken | None = None
    try:
        state = leases.take_over(ports, tenant, owner=plan_id, subject=plan_id, attempt=attempt, force=True)
        token = leases.token_of(state)
    except LeaseLost:
        if leases.is_held(ports.table, tenant, owner=plan_id, subject=plan_id):
            return SnapshotStatus.CREATING
    found = stored_plans.find(ports, plan_id)
    if isinstance(found, UnderWay):
        stored_plans.fail(ports, plan_id, failure)
    if token is not None:
        give_back(ports, tenant, token, _cut_of(found))
    return SnapshotStatus.COMPLETED if isinstance(found, RestorePlan) else SnapshotStatus.FAILED


def _asked(ports: Ports, plan_id: str) -> DryRun:
    found = stored_plans.find(ports, plan_id)
    if found is None:
        raise PlanNotFound(f"nothing was asked for as {plan_id}")
    return stored_plans.asked_of(found)


def _is_counting(found: RestorePlan | UnderWay | None) -> bool:
    return isinstance(found, UnderWay) and found.failure is None


def _cut_of(found: RestorePlan | UnderWay | None) -> Cut | None:
    """The cut of a plan that is ready."""
    return found.cut if isinstance(found, RestorePlan) else None


def _while_held(ports: Ports, tenant: Tenant, token: FencingToken) -> Callable[[], None]:
    """Raises LeaseLost once the lease has passed on, looking now and then."""
    looked_s = ports.clock.monotonic_s()

    def proceed() -> None:
        nonlocal looked_s
        now_s = ports.clock.monotonic_s()
        if now_s - looked_s >= _LOOK_EACH_S:
            leases.held_state(ports.table, tenant, token)
            looked_s = now_s

    return proceed
