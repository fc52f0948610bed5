"""Partial restores: the selection becomes as it was, everything else stays, also what is written meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, content, delete, doc, key, live, put, run_restore, work
from tests.fakes import memory_ports
from tests.unit.engine.disturbed import Death
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.keys import EntityKey, gate_of, shard_of
from tidemark.domain.live import Cut, Gate, Item, ItemKey, ItemWrite, Layout, TenantState
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Mode, RestoreStatus
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests, overlaying, staging
from tidemark.engine.live import gates
from tidemark.engine.overlaying import Job
from tidemark.errors import WriteConflict
from tidemark.ports import EntityTable, Ports
from tidemark.usecases import entities, restore_phases
from tidemark.usecases.cancel_restore import cancel_restore
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_phases.overlaid import job_of
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

ROOMS = [key(number) for number in range(4)]
CARS = [key(number, "Car") for number in range(4)]
OTHER = Tenant("test")


def world(shards: int = 4) -> Ports:
    return replace(memory_ports(), layout=Layout(shards=shards, gates=3))


def restored(
    ports: Ports,
    snapshot_id: str,
    *,
    mode: Mode = Mode.REPLACE,
    between: Callable[[str], None] = lambda _phase: None,
    **wanted: object,
) -> None:
    """Restore what a filter selects, to the end."""
    wish = Wish(mode=mode, selection=restore_filter.accept(wanted) if wanted else None)
    restore = restore_snapshot(ports, TENANT, snapshot_id, wish)
    assert run_restore(ports, restore.id, between=between, budget_s=0) is None
    ports.workflows.end(TENANT, restore.id, attempt=1)  # type: ignore[attr-defined]
    assert ports.catalog.restore(TENANT, restore.id).status is RestoreStatus.COMPLETED


def values(ports: Ports, tenant: Tenant = TENANT) -> dict[EntityKey, int]:
    return {one: msgspec.json.decode(text)["value"]["value"] for one, text in live(ports, tenant).items()}


def test_restore_of_a_type_leaves_other_types_as_they_are_now() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 2, CARS[0]: 2, key(9): 9, key(9, "Car"): 9})
    delete(ports, ROOMS[1], CARS[1])
    restored(ports, snapshot.id, type="Room")
    assert values(ports) == dict.fromkeys(ROOMS, 1) | {CARS[0]: 2, CARS[2]: 1, CARS[3]: 1, key(9, "Car"): 9}


def test_merge_creates_and_updates_but_deletes_nothing() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 2, key(9): 9})
    delete(ports, ROOMS[1])
    restored(ports, snapshot.id, mode=Mode.MERGE)
    assert values(ports) == dict.fromkeys(ROOMS, 1) | {key(9): 9}


def test_writes_during_the_restore_survive_outside_of_the_selection() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(ROOMS + CARS, 2))
    wrote = iter(range(100, 200))

    def write(_phase: str) -> None:
        number = next(wrote)
        put(ports, {CARS[0]: number, ROOMS[0]: number, key(number, "Car"): number, key(number): number})
        if number == 102:
            delete(ports, CARS[1], ROOMS[1])
        if number == 103:
            put(ports, {CARS[1]: 7})

    restored(ports, snapshot.id, between=write, type="Room")
    found = values(ports)
    rooms = {one: value for one, value in found.items() if one.type == "Room"}
    cars = {one: value for one, value in found.items() if one.type == "Car"}
    last = next(wrote) - 1
    # What was written to rooms after the cutover, in the phases Preserve and Retire, is newer than the restore.
    after = {last - 1, last}
    assert {one: value for one, value in rooms.items() if value not in after} == dict.fromkeys(ROOMS[1:], 1)
    assert rooms[ROOMS[0]] == last
    expected = {key(number, "Car"): number for number in range(100, last + 1)}
    assert cars == expected | {CARS[0]: last, CARS[1]: 7, CARS[2]: 2, CARS[3]: 2}


def test_snapshot_after_a_partial_restore_is_incremental_and_exact() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    first = create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 2, CARS[0]: 2})
    delete(ports, ROOMS[3])
    second = create_snapshot(ports, TENANT)
    put(ports, {CARS[1]: 3})
    restored(ports, first.id, type="Room")
    third = create_snapshot(ports, TENANT)
    assert third.parent_id == second.id
    assert third.entity_count == len(live(ports))
    assert content(ports, third.id) == live(ports)


def test_partial_restore_is_undone_by_its_safety_snapshot() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 2, CARS[0]: 2})
    before = live(ports)
    restored(ports, snapshot.id, idPattern="0$")
    assert live(ports) != before
    safety = next(one for one in ports.catalog.snapshots(TENANT) if one.restore_id)
    restored(ports, safety.id)
    assert live(ports) == before


def test_restore_of_attributes_leaves_the_others_as_they_are_now() -> None:
    ports = world()
    rooms = {one: _doc(one, {"temperature": 20, "owner": 1}) for one in ROOMS[:3]}
    entities.change(ports, TENANT, list(rooms), lambda _old: rooms)
    snapshot = create_snapshot(ports, TENANT)
    now: dict[EntityKey, str | None] = {
        ROOMS[0]: _doc(ROOMS[0], {"temperature": 99, "owner": 2, "extra": 5}),
        ROOMS[1]: None,
        ROOMS[3]: _doc(ROOMS[3], {"temperature": 50, "owner": 4}),
    }
    entities.change(ports, TENANT, list(now), lambda _old: now)
    restored(ports, snapshot.id, type="Room", attrs=["temperature"])
    assert live(ports) == {
        ROOMS[0]: _doc(ROOMS[0], {"temperature": 20, "owner": 2, "extra": 5}),
        ROOMS[1]: _doc(ROOMS[1], {"temperature": 20}),
        ROOMS[2]: _doc(ROOMS[2], {"temperature": 20, "owner": 1}),
        ROOMS[3]: _doc(ROOMS[3], {"owner": 4}),
    }


def test_query_selects_entities_as_they_were_and_as_they_are() -> None:
    ports = world()
    put(ports, {ROOMS[0]: 1, ROOMS[1]: 50, ROOMS[2]: 1})
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 60, ROOMS[1]: 2, ROOMS[2]: 3})
    restored(ports, snapshot.id, q="value>40")
    assert values(ports) == {ROOMS[0]: 1, ROOMS[1]: 50, ROOMS[2]: 3}


@pytest.mark.parametrize("shards", [1, 4, 16])
@pytest.mark.parametrize("wanted", [{}, {"type": "Room"}])
def test_restore_into_another_tenant_arrives_identical_whatever_its_shards(shards: int, wanted: object) -> None:
    ports = world()
    put(ports, {one: number for number, one in enumerate(ROOMS + CARS)})
    snapshot = create_snapshot(ports, TENANT)
    there = replace(ports, layout=Layout(shards=shards, gates=2))
    put(there, {key(7, "Bus"): 7, ROOMS[0]: 99}, tenant=OTHER)
    before = live(there, OTHER)
    selection = restore_filter.accept(wanted) if wanted else None
    restore = restore_snapshot(there, TENANT, snapshot.id, Wish(target=OTHER, selection=selection))
    assert ports.catalog.snapshot(TENANT, snapshot.id).restoring
    assert run_restore(there, restore.id, tenant=OTHER) is None
    expected = content(ports, snapshot.id)
    if wanted:
        expected = {one: text for one, text in expected.items() if one.type == "Room"} | {
            key(7, "Bus"): before[key(7, "Bus")]
        }
    assert live(there, OTHER) == expected
    assert not ports.catalog.snapshot(TENANT, snapshot.id).used_by
    safety = next(ports.catalog.snapshots(OTHER))
    assert content(there, safety.id, OTHER) == before
    delete(there, ROOMS[1], tenant=OTHER)
    after = create_snapshot(there, OTHER)
    assert content(there, after.id, OTHER) == live(there, OTHER)
    assert {pack.key.split("/")[0] for pack in _manifest(there, OTHER, after.id).packs} <= {OTHER}


def test_restore_into_a_tenant_that_is_new_makes_it() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS, 1))
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(target=OTHER))
    assert run_restore(ports, restore.id, tenant=OTHER) is None
    assert live(ports, OTHER) == live(ports)
    assert OTHER in ports.catalog.tenants()


@pytest.mark.parametrize("mode", Mode)
def test_deleted_entity_stays_deleted_when_a_staging_worker_comes_after_the_cutover(mode: Mode) -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(target=OTHER, mode=mode))
    assert run_restore(ports, restore.id, tenant=OTHER) is None
    delete(ports, ROOMS[0], tenant=OTHER)
    assert restore.generation == _state(ports, OTHER).generation
    key_of_item = ItemKey(restore.generation, shard_of(ROOMS[0].id, 4), ROOMS[0].sort_key)
    ports.table.insert(OTHER, [Item(key_of_item, doc(ROOMS[0], 1), 1)])
    assert ROOMS[0] not in live(ports, OTHER)


def test_part_that_is_staged_twice_passes_verify_though_entities_were_written_in_between() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept({"type": "Room"})))
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    for _ in range(2):
        for part in work(ports, planned.work_key):
            restore_phases.stage(ports, TENANT, restore.id, token=planned.token, part=part, budget_s=60)
        put(ports, {CARS[0]: 5, key(8, "Car"): 8})
        delete(ports, CARS[1])
    for shard in planned.shards:
        restore_phases.verify(ports, TENANT, restore.id, token=planned.token, shard=shard)


def test_worker_that_catches_up_too_late_reaches_nothing_that_is_live() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    before = _state(ports)
    late: list[tuple[Job, dict[int, Gate]]] = []

    def begin_a_round(phase: str) -> None:
        if phase == "Cutover":
            put(ports, {CARS[0]: 2})
            held, state = ports.catalog.restore(TENANT, restore.id), _state(ports)
            fences = gates.fences(ports, TENANT, held.token, before.generation)
            late.append((job_of(ports, held, state), fences))

    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept({"type": "Room"})))
    assert run_restore(ports, restore.id, between=begin_a_round) is None
    put(ports, {CARS[0]: 3})
    [(job, fences)] = late
    # What it read of the replaced generation before that was deleted.
    read = ItemKey(job.live, shard_of(CARS[0].id, 4), CARS[0].sort_key)
    ports.table.insert(TENANT, [Item(read, doc(CARS[0], 2), 1, changed=Cut(99))])
    with pytest.raises(WriteConflict):
        overlaying.bring(ports, job, Cut(0), fences)
    assert values(ports)[CARS[0]] == 3


class DyingOpener:
    """A table with which a process dies just when it would open a gate; `closed` are the gates as it closed them."""

    def __init__(self, table: EntityTable, gate: int) -> None:
        self._table = table
        self._gate = gate
        self.closed: dict[int, Gate] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def replace_gate(self, gate: Gate) -> Gate:
        if gate.closed_by is not None:
            self.closed[gate.number] = self._table.replace_gate(gate)
            return self.closed[gate.number]
        if gate.number == self._gate and self._table.load(TENANT).state == self.flipped:
            raise Death
        return self._table.replace_gate(gate)

    def replace_state(self, state: TenantState) -> TenantState:
        self.flipped = self._table.replace_state(state)
        return self.flipped


def test_late_cutover_takes_back_nothing_that_was_written_while_some_gates_were_still_closed() -> None:
    ports = world(shards=1)
    # The first one's gate is still closed when that of the second lets writers through again.
    first = next(one for one in CARS if gate_of(one.id, 3) == 2)
    second = next(key(number, "Van") for number in range(100) if gate_of(key(number, "Van").id, 3) == 0)
    put(ports, dict.fromkeys([*ROOMS, first, second], 1))
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept({"type": "Room"})))
    late: list[Job] = []
    dying = DyingOpener(ports.table, 2)

    def cut_over_and_die(phase: str) -> None:
        if phase == "Cutover":
            put(ports, {first: 2, second: 2})
            held = ports.catalog.restore(TENANT, restore.id)
            late.append(job_of(ports, held, _state(ports)))
            with pytest.raises(Death):
                restore_phases.cutover(
                    replace(ports, table=cast("EntityTable", dying)), TENANT, restore.id, token=held.token
                )
            put(ports, {second: 3})
            with pytest.raises(WriteConflict):
                overlaying.bring(ports, late[0], held.caught_up or Cut(0), dying.closed)

    assert run_restore(ports, restore.id, between=cut_over_and_die) is None
    assert values(ports) == dict.fromkeys(ROOMS, 1) | {first: 2, second: 3}


class Contended:
    """A table on which every other transaction that checks a gate conflicts with one of somebody else."""

    def __init__(self, table: EntityTable) -> None:
        self._table = table
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def commit(self, tenant: Tenant, checked: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        self.lost += 1
        if self.lost % 2:
            raise WriteConflict("another transaction checks the same gate")
        self._table.commit(tenant, checked, writes)


def test_round_of_catching_up_goes_on_though_its_transactions_conflict_with_those_of_writers() -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept({"type": "Room"})))
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    for part in work(ports, planned.work_key):
        restore_phases.stage(ports, TENANT, restore.id, token=planned.token, part=part, budget_s=60)
    put(ports, dict.fromkeys(ROOMS + CARS, 2))
    table = Contended(ports.table)
    contended = replace(ports, table=cast("EntityTable", table))
    assert restore_phases.catch_up(contended, TENANT, restore.id, token=planned.token, budget_s=60)
    assert table.lost > 1
    assert run_restore(ports, restore.id) is None
    assert values(ports) == dict.fromkeys(ROOMS, 1) | dict.fromkeys(CARS, 2)


@pytest.mark.parametrize(
    ("phase", "wanted"),
    [
        *((phase, {}) for phase in ("Plan", "Stage", "Verify", "Cutover")),
        *((phase, {"type": "Room"}) for phase in ("Plan", "Stage", "Verify", "CatchUp", "Cutover")),
    ],
)
def test_restore_that_is_cancelled_before_its_cutover_changes_nothing(phase: str, wanted: dict[str, object]) -> None:
    ports = world()
    put(ports, dict.fromkeys(ROOMS + CARS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 2, CARS[0]: 2})
    delete(ports, CARS[1])
    before = live(ports)
    restore = restore_snapshot(
        ports, TENANT, snapshot.id, Wish(selection=restore_filter.accept(wanted) if wanted else None)
    )

    def cancel(entered: str) -> None:
        if entered == phase:
            cancel_restore(ports, TENANT, restore.id)

    rolled = run_restore(ports, restore.id, between=cancel)
    assert rolled is not None
    assert rolled.status is RestoreStatus.CANCELLED
    assert live(ports) == before
    assert (_state(ports).lease, _state(ports).capturing) == (None, None)
    assert not any(ports.table.page(TENANT, restore.generation, shard).items for shard in range(4))
    put(ports, {CARS[2]: 9})
    after = create_snapshot(ports, TENANT)
    assert content(ports, after.id) == live(ports)


@st.composite
def _histories(draw: st.DrawFn) -> tuple[dict[EntityKey, int], list[Mapping[EntityKey, int | None]]]:
    keys = st.sampled_from([*ROOMS, *CARS])
    start = draw(st.dictionaries(keys, st.integers(0, 3)))
    change = st.dictionaries(keys, st.one_of(st.none(), st.integers(0, 3)))
    return start, draw(st.lists(change, min_size=8, max_size=8))


@settings(max_examples=150, deadline=None)
@given(
    history=_histories(),
    mode=st.sampled_from(Mode),
    wanted=st.sampled_from([{}, {"type": "Room"}, {"idPattern": "[12]$"}, {"q": "value>1"}, {"q": "value==0"}]),
    captured=st.booleans(),
    step_records=st.sampled_from([1, 2, 1000]),
)
def test_partial_restore_does_what_its_rule_says_whatever_is_written_meanwhile(
    history: tuple[dict[EntityKey, int], list[Mapping[EntityKey, int | None]]],
    mode: Mode,
    wanted: Mapping[str, str],
    captured: bool,
    step_records: int,
) -> None:
    start, changes = history
    ports, moves = world(), iter(changes)
    put(ports, start)
    snapshot = create_snapshot(ports, TENANT)
    was = values(ports)
    _apply(ports, next(moves))
    if captured:
        create_snapshot(ports, TENANT)
    now: dict[EntityKey, int] = {}
    flipped: dict[EntityKey, int] = {}

    def write(phase: str) -> None:
        if phase == "Preserve":
            flipped.update(values(ports))
            return
        if phase == "Retire":
            return
        _apply(ports, next(moves))
        now.clear()
        now.update(values(ports))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "STEP_RECORDS", step_records)
        restored(ports, snapshot.id, mode=mode, between=write, **wanted)
    expected = {
        one: value
        for one in {*was, *now}
        if (value := _expected(one, was.get(one), now.get(one), mode, wanted)) is not None
    }
    assert flipped == values(ports) == expected
    safety = next(one for one in ports.catalog.snapshots(TENANT) if one.restore_id)
    assert content(ports, safety.id) == {one: doc(one, value) for one, value in now.items()}
    _apply(ports, next(moves))
    after = create_snapshot(ports, TENANT)
    assert (after.status, after.entity_count) == (SnapshotStatus.COMPLETED, len(values(ports)))
    assert content(ports, after.id) == live(ports)


def _expected(one: EntityKey, was: int | None, now: int | None, mode: Mode, wanted: Mapping[str, str]) -> int | None:
    """The rule, said without the code that is tested."""
    picked = {
        "type": lambda: one.type == "Room",
        "idPattern": lambda: one.id[-1] in "12",
        "q": lambda: any(
            value is not None and (value > 1 if wanted["q"] == "value>1" else value == 0) for value in (was, now)
        ),
    }
    if not all(picked[name]() for name in wanted):
        return now
    return now if was is None and mode is Mode.MERGE else was


def _apply(ports: Ports, change: Mapping[EntityKey, int | None]) -> None:
    docs = {one: None if value is None else doc(one, value) for one, value in change.items()}
    if not docs:
        return
    entities.change(ports, TENANT, list(docs), lambda _old: docs)


def _doc(one: EntityKey, attributes: Mapping[str, int]) -> str:
    whole = {name: {"metadata": {}, "type": "Number", "value": value} for name, value in attributes.items()}
    return msgspec.json.encode({**whole, "id": one.id, "type": one.type}, order="sorted").decode()


def _state(ports: Ports, tenant: Tenant = TENANT) -> TenantState:
    found = ports.table.load(tenant).state
    assert found is not None
    return found


def _manifest(ports: Ports, tenant: Tenant, snapshot_id: str) -> Manifest:
    found = ports.catalog.snapshot(tenant, snapshot_id).manifest
    assert found is not None
    return manifests.read(ports.payloads, found)
