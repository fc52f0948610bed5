"""Gates, cuts and tokens when steps come late or twice."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.driving import TENANT, content, key, live, put, run_restore, work
from tests.fakes import MemoryEntityTable, memory_ports
from tidemark.domain.live import Cut, FencingToken, Gate, LeaseKind, TenantState
from tidemark.domain.snapshot import Failure
from tidemark.engine.live import gates, leases
from tidemark.errors import LeaseLost
from tidemark.ports import Ports
from tidemark.usecases import capture_phases, restore_phases
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot


def holding(ports: Ports, owner: str = "owner") -> FencingToken:
    state = leases.acquire(ports, TENANT, kind=LeaseKind.CAPTURE, owner=owner, subject=owner, attempt=1)
    return leases.token_of(state)


def all_gates(ports: Ports) -> list[Gate]:
    return list(ports.table.load(TENANT, gates=range(16)).gates.values())


def test_switch_is_refused_when_the_token_is_void() -> None:
    ports = memory_ports()
    late = holding(ports)
    leases.take_over(ports, TENANT, owner="owner", subject="owner", attempt=2)
    before = leases.current_state(ports.table, TENANT), all_gates(ports)
    with pytest.raises(LeaseLost):
        gates.switch(ports, TENANT, late, lambda state: replace(state, cut=Cut(state.cut + 1)))
    assert (leases.current_state(ports.table, TENANT), all_gates(ports)) == before


def test_cut_is_made_once_when_it_is_asked_for_twice() -> None:
    ports = memory_ports()
    token = holding(ports)
    assert gates.cut(ports, TENANT, token) == gates.cut(ports, TENANT, token) == 1
    assert leases.current_state(ports.table, TENANT).cut == 2


class Interrupted(MemoryEntityTable):
    """Does something else at the last moment before a change of the tenant's state is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Callable[[], None] | None = None

    def replace_state(self, state: TenantState) -> TenantState:
        first, self.first = self.first, None
        if first is not None:
            first()
        return super().replace_state(state)


def test_late_opener_leaves_a_gate_alone_that_was_closed_again() -> None:
    table = Interrupted()
    ports = replace(memory_ports(), table=table)
    token = holding(ports)
    for gate in all_gates(ports):
        table.replace_gate(replace(gate, closed_by=token))
    # A writer that waited too long has read the closed gates and moved the state, and is slow to open them.
    closed = all_gates(ports)
    as_it_was = table.replace_state(leases.current_state(table, TENANT))
    opened = [replace(gate, closed_by=None, cut=as_it_was.cut) for gate in closed]

    def open_late() -> None:
        for gate in opened:
            with pytest.raises(Exception, match="changed since"):
                table.replace_gate(gate)

    table.first = open_late
    gates.cut(ports, TENANT, token)
    assert {(gate.cut, gate.capturing, gate.closed_by) for gate in all_gates(ports)} == {(2, 1, None)}


def test_gates_of_a_holder_that_died_are_opened_by_the_writer_that_waits() -> None:
    ports = memory_ports()
    token = holding(ports)
    for gate in all_gates(ports):
        ports.table.replace_gate(replace(gate, closed_by=token))
    put(ports, {key(1): 1})
    assert len(live(ports)) == 1
    assert {gate.closed_by for gate in all_gates(ports)} >= {None}
    with pytest.raises(LeaseLost):
        leases.held_state(ports.table, TENANT, FencingToken(token + 1))


def restoring() -> tuple[Ports, str, int]:
    """A restore that was staged by attempt 1 and then taken over by attempt 2."""
    ports = memory_ports()
    put(ports, {key(number): number for number in range(50)})
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(0): 1000})
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    first = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    for part in work(ports, first.work_key):
        restore_phases.stage(ports, TENANT, restore.id, token=first.token, part=part, budget_s=60)
    restore_phases.plan(ports, TENANT, restore.id, attempt=2)
    return ports, restore.id, first.token


def zombies(ports: Ports, restore_id: str, token: int) -> dict[str, Callable[[], object]]:
    """What a worker of attempt 1 may still do."""
    failure = Failure("LeaseLost", "late")
    part = work(ports, f"work-lists/{TENANT}/{restore_id}.json")[0]
    return {
        "plan": lambda: restore_phases.plan(ports, TENANT, restore_id, attempt=1),
        "stage": lambda: restore_phases.stage(ports, TENANT, restore_id, token=token, part=part, budget_s=60),
        "verify": lambda: restore_phases.verify(ports, TENANT, restore_id, token=token, shard=0),
        "cutover": lambda: restore_phases.cutover(ports, TENANT, restore_id, token=token),
        "retire": lambda: restore_phases.retire(ports, TENANT, restore_id, token=token, budget_s=60),
        "rollback": lambda: restore_phases.rollback(ports, TENANT, restore_id, attempt=1, failure=failure, budget_s=60),
    }


@pytest.mark.parametrize("phase", ["plan", "stage", "verify", "cutover", "retire", "rollback"])
def test_worker_of_an_earlier_attempt_changes_nothing(phase: str) -> None:
    ports, restore_id, token = restoring()
    before = live(ports), leases.current_state(ports.table, TENANT)
    try:
        zombies(ports, restore_id, token)[phase]()
    except LeaseLost:
        pass
    else:
        assert phase == "rollback", "only a rollback that finds itself overtaken ends without an error"
    assert (live(ports), leases.current_state(ports.table, TENANT)) == before
    assert run_restore(ports, restore_id, attempt=2) is None
    assert live(ports)[key(0)].endswith('"value":0}}')
    zombie_after = zombies(ports, restore_id, token)
    restored = live(ports)
    with suppress(LeaseLost):
        zombie_after[phase]()
    assert live(ports) == restored


def test_worker_of_an_aborted_capture_changes_nothing() -> None:
    ports = memory_ports()
    put(ports, {key(number): number for number in range(50)})
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    failure = Failure("States.Timeout", "late")
    capture_phases.abort(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1, failure=failure)
    for late in (
        lambda: capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=0),
        lambda: capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token),
    ):
        with pytest.raises(LeaseLost):
            late()
    following = create_snapshot(ports, TENANT)
    assert content(ports, following.id) == live(ports)
    assert ports.catalog.snapshot(TENANT, snapshot.id).status == "failed"


def test_lease_is_not_given_back_with_a_cut_that_a_late_run_began_after_the_capture_was_finished() -> None:
    ports = memory_ports()
    token = holding(ports)
    gates.cut(ports, TENANT, token)
    gates.finish_capture(ports, TENANT, token, lambda base: base)
    late = gates.cut(ports, TENANT, token)
    gates.release(ports, TENANT, token)
    state = leases.current_state(ports.table, TENANT)
    assert (state.lease, state.capturing) == (None, None)
    assert {gate.capturing for gate in all_gates(ports)} == {None}
    put(ports, {key(1): 77})
    snapshot = create_snapshot(ports, TENANT)
    assert snapshot.cut is not None
    assert snapshot.cut > late
    assert content(ports, snapshot.id) == live(ports)
