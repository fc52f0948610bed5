"""Retire: delete the generation that cutover froze, once it is preserved, and end the restore."""

from tidemark.domain.live import FencingToken
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import generations, leases
from tidemark.errors import (
    LeaseLost,
    StageIncomplete,
)
from tidemark.ports import Ports
from tidemark.usecases.restore_phases.lifecycle import end, enter


def retire(ports: Ports, tenant: Tenant, restore_id: str, *, token: int, budget_s: float) -> bool:
    """Delete the old generation, then end the restore.

    False when `budget_s` was not enough: call again. Raises LeaseLost.
    """
    restore = ports.catalog.restore(tenant, restore_id)
    if restore.status is RestoreStatus.RESTORING:
        state = leases.held_state(ports.table, tenant, FencingToken(token))
        if state.generation != restore.generation:
            raise LeaseLost(f"restore {restore_id} has not been cut over; its old generation is the live one")
        _require_safety(ports, restore)
        enter(ports, tenant, restore_id, Phase.RETIRE)
        until_s = ports.clock.monotonic_s() + budget_s
        if not generations.remove(ports, tenant, restore.from_generation, state.shards, until_s):
            return False
    end(ports, restore, FencingToken(token), RestoreStatus.COMPLETED, None)
    return True


def _require_safety(ports: Ports, restore: Restore) -> None:
    if not restore.safety_wanted:
        return
    safety_id = restore.safety_snapshot_id
    # Whoever deletes the safety snapshot while the restore ends has decided that nobody needs it.
    if safety_id is not None:
        safety = ports.catalog.snapshot(restore.tenant, safety_id)
        if safety.was_completed and safety.capture_id == restore.safety_capture_id:
            return
    raise StageIncomplete(f"restore {restore.id} has no complete safety snapshot yet; the old generation is kept")
