"""Gates and cuts: how one number divides all writes of a tenant into before and after.

A switch closes every gate, notes the change in the tenant's state, and opens the gates as noted. A write checks its
gate's `rev` in its own transaction, so none commits while its gate is closed or after it moved.

Two rules keep late and doubled steps harmless. Closing always moves a gate's `rev`, even where it was closed already.
And whoever opens a gate has read the gate first, then the state (moving the state's `rev` unless it just noted it), and
opens the gate only at the `rev` it read: so either a switch under way can no longer be noted, or the gate is opened
forward, with what was noted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from tidemark.domain.live import Base, Cut, FencingToken, Gate, Generation, TenantState
from tidemark.domain.tenant import Tenant
from tidemark.engine.live.leases import current_state, held_state
from tidemark.errors import GatesClosed, GenerationMoved, LeaseLost, StaleRecord, TidemarkError, WriteConflict
from tidemark.ports import EntityTable, Ports

_SWITCH_TRIES: Final = 5


def switch(
    ports: Ports,
    tenant: Tenant,
    token: FencingToken,
    change: Callable[[TenantState], TenantState | None],
    while_closed: Callable[[Sequence[Gate]], None] = lambda _gates: None,
) -> TenantState:
    """Apply `change` to the tenant's state while no write can commit; the state as noted. `change` returns None when it
    finds itself done.

    `while_closed` is called with the closed gates before the change is noted. It has little time, since waiting writers
    reopen them; what it writes should check them. When it, or anything else, raises (LeaseLost, GatesClosed, a failure
    of AWS) the gates were opened again as far as AWS allowed, and waiting writers open the rest.
    """
    for _ in range(_SWITCH_TRIES):
        before = held_state(ports.table, tenant, token)
        after = change(before)
        if after is None:
            reopen(ports, tenant, token)
            return before
        try:
            closed = ports.parallel.map(lambda number: _close(ports.table, tenant, number, token), range(before.gates))
            while_closed(closed)
            noted = ports.table.replace_state(after)
        except (StaleRecord, WriteConflict):
            # A waiting writer found the pause too long and reopened the gates; nothing was noted.
            reopen(ports, tenant, token)
            continue
        except TidemarkError:
            reopen(ports, tenant, token)
            raise
        _open(ports, noted, closed)
        return noted
    raise GatesClosed(f"the writes of tenant {tenant} could not be paused for a cut; try again")


def cut(ports: Ports, tenant: Tenant, token: FencingToken) -> Cut:
    """End the present cut and begin to capture it; the cut that ended.

    Repeating it while that capture runs returns the same cut.
    """

    def end_cut(state: TenantState) -> TenantState | None:
        if state.capturing is not None:
            return None
        return replace(state, cut=Cut(state.cut + 1), capturing=state.cut)

    capturing = switch(ports, tenant, token, end_cut).capturing
    assert capturing is not None  # noqa: S101 - both outcomes of end_cut set it
    return capturing


def end_cut(ports: Ports, tenant: Tenant, token: FencingToken) -> Cut:
    """End the present cut, whatever is being captured, which goes on; the cut that ended. Repeating it ends another."""
    return Cut(switch(ports, tenant, token, lambda state: replace(state, cut=Cut(state.cut + 1))).cut - 1)


def fences(ports: Ports, tenant: Tenant, token: FencingToken, generation: Generation) -> dict[int, Gate]:
    """The gates by number, as they were at a moment when the lease with this token stood and readers saw this
    generation. A later cutover moves them all.

    Raises LeaseLost, GenerationMoved.
    """
    gates = {gate.number: gate for gate in _gates(ports.table, current_state(ports.table, tenant))}
    if held_state(ports.table, tenant, token).generation != generation:
        raise GenerationMoved(f"generation {generation} of tenant {tenant} is not the live one any more")
    return gates


def finish_capture(
    ports: Ports,
    tenant: Tenant,
    token: FencingToken,
    next_base: Callable[[Base | None], Base | None],
    *,
    nobody_late: bool = False,
) -> None:
    """End the capture that is running: writers stop keeping what was before.

    `next_base` says what the tenant's base is then, `nobody_late` that the tombstones which were kept for latecomers of
    a restore are removed. Can be repeated.
    """
    while True:
        gates = _gates(ports.table, held_state(ports.table, tenant, token))
        state = held_state(ports.table, tenant, token)
        latecomers = None if nobody_late else state.latecomers
        finished = replace(state, capturing=None, base=next_base(state.base), latecomers=latecomers)
        try:
            noted = state if finished == state else ports.table.replace_state(finished)
        except StaleRecord:
            continue
        behind = [gate for gate in gates if gate.closed_by is None and gate != _as_stated(gate, noted)]
        if not behind:
            return
        _open(ports, noted, behind)


def release(ports: Ports, tenant: Tenant, token: FencingToken) -> None:
    """Give the lease back, while nothing is being captured: a late run may have begun that anew after it was finished,
    and the next capture would take that cut for its own.

    A lease that has passed on is left alone; repeating it changes nothing.
    """
    while True:
        try:
            state = held_state(ports.table, tenant, token)
            if state.capturing is None:
                ports.table.replace_state(replace(state, lease=None))
                return
            finish_capture(ports, tenant, token, lambda base: base)
        except StaleRecord:
            continue
        except LeaseLost:
            return


def reopen(ports: Ports, tenant: Tenant, token: FencingToken) -> None:
    """Open the gates that `token`, or an earlier one, left closed, as the tenant's state has it.

    Anybody may call it; can be repeated.
    """
    while True:
        gates = _gates(ports.table, current_state(ports.table, tenant))
        closed = [gate for gate in gates if gate.closed_by is not None and gate.closed_by <= token]
        if not closed:
            return
        try:
            noted = ports.table.replace_state(current_state(ports.table, tenant))
        except StaleRecord:
            continue
        _open(ports, noted, closed)


def _close(table: EntityTable, tenant: Tenant, number: int, token: FencingToken) -> Gate:
    while True:
        gate = table.load(tenant, gates=(number,)).gates[number]
        if gate.closed_by is not None and gate.closed_by > token:
            raise LeaseLost(f"gate {number} of tenant {tenant} was closed by a later holder of the lease")
        try:
            return table.replace_gate(replace(gate, closed_by=token))
        except StaleRecord:
            continue


def _open(ports: Ports, state: TenantState, gates: Iterable[Gate]) -> None:
    """Bring gates in line with the state, each at the `rev` it was read with; one that moved since is somebody
    else's.
    """

    def bring(gate: Gate) -> None:
        try:
            ports.table.replace_gate(_as_stated(gate, state))
        except StaleRecord:
            return

    ports.parallel.map(bring, gates)


def _as_stated(gate: Gate, state: TenantState) -> Gate:
    return replace(
        gate,
        generation=state.generation,
        cut=state.cut,
        capturing=state.capturing,
        base=state.base.cut if state.base else None,
        closed_by=None,
    )


def _gates(table: EntityTable, state: TenantState) -> list[Gate]:
    return list(table.load(state.tenant, gates=range(state.gates)).gates.values())
