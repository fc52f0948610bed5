"""Late workers of a restore meet the tombstones of what was deleted since; these go once nobody is late any more."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.driving import TENANT, content, damage, delete, doc, key, live, packs, put, run_restore, work
from tests.fakes import ManualClock
from tests.unit.engine.disturbed import (
    KEYS,
    ROOMS,
    Counter,
    Death,
    calls_of,
    drive_on,
    numbered,
    prepare_restore,
    restore_oldest,
    restore_rooms,
    world,
)
from tests.unit.engine.test_late_runs import Meanwhile, begun, state_of
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.live import Item
from tidemark.domain.restore import Mode
from tidemark.domain.tenant import Tenant
from tidemark.errors import LeaseLost, PackCorrupt
from tidemark.ports import EntityTable, Ports
from tidemark.usecases import restore_phases
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_phases.cutover import LATECOMERS_LIVE
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

GONE = KEYS[0]
WISHES = [
    Wish(),
    Wish(mode=Mode.MERGE),
    Wish(selection=restore_filter.accept({"id": ",".join(one.id for one in ROOMS)})),
]


class Repeated:
    """A table whose inserts can all be made once more: by workers that stood still in them, for whatever time."""

    def __init__(self, table: EntityTable) -> None:
        self._table = table
        self._inserts: list[tuple[Tenant, Sequence[Item]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        self._inserts.append((tenant, items))
        self._table.insert(tenant, items)

    def again(self) -> None:
        for tenant, items in self._inserts:
            self._table.insert(tenant, items)


def record_the_delete(ports: Ports) -> None:
    delete(ports, GONE)
    create_snapshot(ports, TENANT)


def delete_on_a_damaged_base(ports: Ports) -> None:
    for pack in packs(ports):
        damage(ports, pack, 20)
    put(ports, {KEYS[1]: 8})
    with pytest.raises(PackCorrupt):
        create_snapshot(ports, TENANT)
    delete(ports, GONE)


@pytest.mark.parametrize("wish", WISHES, ids=["everything", "merge", "filter"])
@pytest.mark.parametrize("deletes", [record_the_delete, delete_on_a_damaged_base])
def test_worker_frozen_in_its_insert_brings_nothing_back_that_was_deleted_since(
    deletes: Callable[[Ports], None], wish: Wish
) -> None:
    ports = world()
    prepare_restore(ports)
    table = Repeated(ports.table)
    staging = replace(ports, table=cast("EntityTable", table))
    restore = restore_snapshot(staging, TENANT, list(ports.catalog.snapshots(TENANT))[-1].id, wish)
    assert run_restore(staging, restore.id) is None
    assert GONE in live(ports)
    deletes(ports)
    now = live(ports)
    assert GONE not in now
    pass_s(ports, 15 * 60)
    table.again()
    assert live(ports) == now
    assert content(ports, create_snapshot(ports, TENANT).id) == now


def test_worker_that_comes_after_the_flip_stages_nothing() -> None:
    ports = world()
    restore = begun(ports)
    inserting: list[object] = []
    late = replace(ports, table=Meanwhile(ports.table, "insert", lambda: inserting.append("something")))
    met: list[str] = []

    def come_late(phase: str) -> None:
        lease = state_of(ports).lease
        if phase in {"Preserve", "Retire"} and lease is not None:
            for part in work(ports, f"work-lists/{TENANT}/{restore.id}.json"):
                with pytest.raises(LeaseLost, match=r"cut over"):
                    restore_phases.stage(late, TENANT, restore.id, token=lease.token, part=part, budget_s=60)
            met.append(phase)

    assert run_restore(ports, restore.id, between=come_late) is None
    assert (met, inserting) == (["Preserve", "Retire"], [])


def pass_s(ports: Ports, seconds: float) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(seconds)


def items(ports: Ports) -> list[Item]:
    state = state_of(ports)
    pages = [ports.table.page(TENANT, state.generation, shard) for shard in range(state.shards)]
    return [item for page in pages for item in page.items]


def tombstones(ports: Ports) -> set[str]:
    return {item.key.sort_key for item in items(ports) if item.doc is None}


def kept(ports: Ports) -> None:
    """A restore, a delete on its base, and a snapshot of that, all of one hour."""
    prepare_restore(ports)
    restore_oldest(ports)
    record_the_delete(ports)


def nobody_is_late_any_more(ports: Ports) -> None:
    pass_s(ports, LATECOMERS_LIVE.total_seconds())


@pytest.mark.parametrize("changed", [None, 1, 5], ids=["nothing changed", "one shard changed", "the other one changed"])
def test_tombstones_go_with_the_first_snapshot_that_comes_when_nobody_is_late_any_more(changed: int | None) -> None:
    ports = world()
    kept(ports)
    assert tombstones(ports) == {GONE.sort_key}
    create_snapshot(ports, TENANT)
    assert tombstones(ports) == {GONE.sort_key}
    nobody_is_late_any_more(ports)
    if changed is not None:
        put(ports, {KEYS[changed]: 21})
    last = create_snapshot(ports, TENANT)
    assert tombstones(ports) == set()
    assert state_of(ports).latecomers is None
    assert content(ports, last.id) == live(ports)


def test_tombstones_go_as_ever_when_the_first_snapshot_comes_late_enough() -> None:
    ports = world()
    prepare_restore(ports)
    restore_oldest(ports)
    delete(ports, GONE)
    nobody_is_late_any_more(ports)
    create_snapshot(ports, TENANT)
    assert tombstones(ports) == set()
    assert state_of(ports).latecomers is None


def test_tombstones_that_a_partial_restore_took_over_go_too() -> None:
    ports = world()
    kept(ports)
    restore_rooms(ports)
    assert GONE.sort_key not in tombstones(ports), "it is in the snapshot"
    delete(ports, KEYS[11])
    create_snapshot(ports, TENANT)
    restore_rooms(ports)
    assert tombstones(ports) == {KEYS[11].sort_key}
    nobody_is_late_any_more(ports)
    create_snapshot(ports, TENANT)
    assert tombstones(ports) == set()


def test_restore_that_is_rolled_back_lets_nobody_forget_who_may_be_late_of_the_one_before() -> None:
    ports = world()
    kept(ports)
    before = state_of(ports).latecomers
    restore = restore_snapshot(ports, TENANT, list(ports.catalog.snapshots(TENANT))[-1].id)
    for stored in ports.catalog.snapshots(TENANT):
        assert stored.manifest is not None
        damage(ports, stored.manifest.key, 5)
    assert run_restore(ports, restore.id) is not None
    assert state_of(ports).latecomers == before is not None


def test_tombstones_that_a_request_has_no_time_for_go_with_a_later_snapshot() -> None:
    ports = world()
    kept(ports)
    nobody_is_late_any_more(ports)

    class Slow(Repeated):
        def commit(self, *told: Any) -> None:
            ports.clock.sleep(4)
            ports.table.commit(*told)

    slow = replace(ports, table=cast("EntityTable", Slow(ports.table)))
    delete(ports, KEYS[1], KEYS[2], KEYS[3])
    create_snapshot(slow, TENANT, budget_s=1)
    assert len(tombstones(ports)) in {1, 2, 3}
    assert state_of(ports).latecomers is not None
    create_snapshot(ports, TENANT)
    assert tombstones(ports) == set()
    assert state_of(ports).latecomers is None


def prepare_sweep(ports: Ports) -> None:
    kept(ports)
    nobody_is_late_any_more(ports)
    put(ports, {KEYS[5]: 5})


SWEEP_CALLS = calls_of(lambda ports: create_snapshot(ports, TENANT), prepare_sweep)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_no_tombstone_is_left_for_ever_when_the_snapshot_that_removes_them_dies_at_any_call(after: bool) -> None:
    for fatal in range(1, SWEEP_CALLS + 1):
        ports = world()
        prepare_sweep(ports)
        with pytest.raises(Death):
            create_snapshot(numbered(ports, Counter(fatal, after=after)), TENANT)
        drive_on(ports)
        put(ports, {key(7): 70})
        last = create_snapshot(ports, TENANT)
        assert content(ports, last.id) == live(ports), fatal
        assert tombstones(ports) == set(), fatal
        assert state_of(ports).latecomers is None, fatal
        assert live(ports)[KEYS[5]] == doc(KEYS[5], 5), fatal
