"""A snapshot reads and stores what changed since its base, and still holds everything."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, content, damage, delete, doc, key, live, packs, put, run_restore
from tests.fakes import MemoryEntityTable, memory_ports
from tidemark.domain.live import ChangedKey, Cut, Generation, Layout
from tidemark.domain.manifest import LayerKind, Manifest
from tidemark.domain.snapshot import Snapshot
from tidemark.engine import manifests
from tidemark.engine.copying import COMPACT_SHARE, MAX_DELTAS
from tidemark.engine.verification import check_shard
from tidemark.errors import PackCorrupt
from tidemark.ports import ChangedPage, Clock, EntityTable, Ports
from tidemark.usecases.create_snapshot import INLINE_LIMIT_S, create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot


class Counted:
    """A port that counts its calls, and the bytes that are put."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.calls: Counter[str] = Counter()
        self.put_bytes = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if not callable(call):
            return call

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name == "put":
                self.put_bytes += len(args[1])
            if name == "load":
                self.calls["items loaded"] += len(args[1]) if len(args) > 1 else 0
            return call(*args, **kwargs)

        return counted


def small_world() -> Ports:
    return replace(memory_ports(), layout=Layout(shards=2, gates=2))


def manifest_of(ports: Ports, snapshot: Snapshot) -> Manifest:
    assert snapshot.manifest is not None
    return manifests.read(ports.payloads, snapshot.manifest)


@pytest.mark.parametrize(("changed", "loaded"), [(0, 0), (2, 2), (20, 20), (200, 200)])
def test_capture_reads_and_stores_in_proportion_to_what_changed(changed: int, loaded: int) -> None:
    ports = memory_ports()
    put(ports, {key(number): number for number in range(2000)})
    first = create_snapshot(ports, TENANT)
    put(ports, {key(number): -1 for number in range(changed)})

    table, payloads = Counted(ports.table), Counted(ports.payloads)
    second = create_snapshot(replace(ports, table=table, payloads=payloads), TENANT)

    assert second.parent_id == first.id
    assert content(ports, second.id) == live(ports)
    assert table.calls["items loaded"] == loaded
    assert table.calls["page"] == 0
    queries = table.calls["changed_keys"]
    assert queries == 16 if not changed else 16 < queries <= 32, "one query a shard, and one more to sweep what changed"
    assert payloads.put_bytes < 64 * 1024 + 300 * changed
    assert second.new_bytes < 5000 + first.new_bytes * changed / 1000 + 10 * changed


def test_unchanged_tenant_stores_no_pack_and_little_else() -> None:
    ports = memory_ports()
    put(ports, {key(number): number for number in range(5000)})
    create_snapshot(ports, TENANT)
    before = packs(ports)
    payloads = Counted(ports.payloads)
    second = create_snapshot(replace(ports, payloads=payloads), TENANT)
    assert packs(ports) == before
    assert second.new_bytes == 0
    assert payloads.put_bytes <= 64 * 1024


def test_delta_has_only_what_changed_and_says_what_was_deleted() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(100)})
    create_snapshot(ports, TENANT)
    put(ports, {key(5): 55, key(500): 1})
    delete(ports, key(6))
    second = create_snapshot(ports, TENANT)
    layers = [layer for shard in manifest_of(ports, second).shards for layer in shard.layers]
    deltas = [layer for layer in layers if layer.kind is LayerKind.DELTA]
    assert sum(delta.records for delta in deltas) == 3
    assert sum(delta.net for delta in deltas) == 0
    assert second.entity_count == 100
    assert content(ports, second.id) == live(ports)


def test_entity_made_and_deleted_between_two_snapshots_is_in_no_layer() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(10)})
    first = create_snapshot(ports, TENANT)
    put(ports, {key(700): 1})
    delete(ports, key(700))
    second = create_snapshot(ports, TENANT)
    assert manifest_of(ports, second).packs == manifest_of(ports, first).packs


class WrittenBetweenPages:
    """A table; once, after the first page of a list of what changed, something is written."""

    def __init__(self, table: EntityTable, write: Callable[[], None]) -> None:
        self._table = table
        self._writes = [write]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def changed_keys(self, *place: Any, since: Cut, after: ChangedKey | None = None) -> ChangedPage:
        page = self._table.changed_keys(*place, since=since, after=after)
        if self._writes:
            self._writes.pop()()
        return page


def test_entity_that_is_written_while_changes_are_listed_has_one_line() -> None:
    ports = replace(memory_ports(), layout=Layout(shards=1, gates=1), table=MemoryEntityTable(page_bytes=1000))
    put(ports, {key(number): number for number in range(100)})
    create_snapshot(ports, TENANT)
    put(ports, {key(number): -1 for number in range(20)})
    cut = live(ports)

    def write() -> None:
        put(ports, {key(number): -2 for number in range(20)})

    table = cast("EntityTable", WrittenBetweenPages(ports.table, write))
    second = create_snapshot(replace(ports, table=table), TENANT)
    assert content(ports, second.id) == cut != live(ports)
    (shard,) = manifest_of(ports, second).shards
    assert [layer.records for layer in shard.layers] == [100, 20]
    check_shard(ports.payloads, "manifest", shard, lambda: None)
    restore = restore_snapshot(ports, TENANT, second.id)
    assert run_restore(ports, restore.id) is None
    assert live(ports) == cut


def test_entities_that_are_listed_twice_do_not_make_a_shard_be_copied_as_a_whole() -> None:
    ports = replace(memory_ports(), layout=Layout(shards=1, gates=1), table=MemoryEntityTable(page_bytes=1000))
    put(ports, {key(number): number for number in range(100)})
    create_snapshot(ports, TENANT)
    put(ports, {key(number): -1 for number in range(40)})
    table = WrittenBetweenPages(ports.table, lambda: put(ports, {key(number): -2 for number in range(40)}))
    second = create_snapshot(replace(ports, table=cast("EntityTable", table)), TENANT)
    assert [layer.kind for layer in manifest_of(ports, second).shards[0].layers] == [LayerKind.BASE, LayerKind.DELTA]


def test_tombstones_go_once_a_snapshot_has_recorded_them() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(40)})
    create_snapshot(ports, TENANT)
    delete(ports, *(key(number) for number in range(10)))
    assert tombstones(ports) == 10
    create_snapshot(ports, TENANT)
    assert tombstones(ports) == 0


@pytest.mark.parametrize("left", [0, 1])
def test_tombstones_go_though_nothing_is_left_of_their_shard_that_a_snapshot_could_store(left: int) -> None:
    ports = small_world()
    keys = [key(number) for number in range(40)]
    put(ports, dict.fromkeys(keys, 1))
    create_snapshot(ports, TENANT)
    delete(ports, *keys[left:])
    assert tombstones(ports) == len(keys) - left
    snapshot = create_snapshot(ports, TENANT)
    assert content(ports, snapshot.id) == live(ports)
    assert tombstones(ports) == 0


class SlowCommits:
    """A table whose transactions each take a second."""

    def __init__(self, table: EntityTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def commit(self, *told: Any) -> None:
        self._clock.sleep(1)
        self._table.commit(*told)


def test_request_ends_in_time_though_there_are_more_tombstones_than_it_can_remove() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(200)})
    create_snapshot(ports, TENANT)
    delete(ports, *(key(number) for number in range(90)))
    began_s = ports.clock.monotonic_s()
    slow = replace(ports, table=cast("EntityTable", SlowCommits(ports.table, ports.clock)))
    snapshot = create_snapshot(slow, TENANT, budget_s=5)
    assert ports.clock.monotonic_s() - began_s < INLINE_LIMIT_S
    assert content(ports, snapshot.id) == live(ports)
    assert 0 < tombstones(ports) < 90
    put(ports, {key(number): -1 for number in range(90)})
    assert content(ports, create_snapshot(ports, TENANT).id) == live(ports)


def tombstones(ports: Ports) -> int:
    pages = [ports.table.page(TENANT, Generation(1), shard).items for shard in range(2)]
    return sum(item.doc is None for page in pages for item in page)


def test_shard_keeps_its_base_and_gets_one_delta_when_its_deltas_are_many() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(400)})
    first = create_snapshot(ports, TENANT)
    layers = []
    for number in range(2 * MAX_DELTAS + 2):
        put(ports, {key(1): number})
        snapshot = create_snapshot(ports, TENANT)
        shard = max(manifest_of(ports, snapshot).shards, key=lambda one: one.layers[-1].cut)
        layers.append(len(shard.layers))
        assert shard.layers[0] == manifest_of(ports, first).shards[shard.shard].layers[0]
        assert content(ports, snapshot.id) == live(ports)
    assert layers == [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3]


def test_shard_gets_a_new_base_when_its_deltas_are_large() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(400)})
    create_snapshot(ports, TENANT)
    for start in (0, 150, 300):
        put(ports, {key(number): -number for number in range(start, start + 150)})
        snapshot = create_snapshot(ports, TENANT)
        assert content(ports, snapshot.id) == live(ports)
    for shard in manifest_of(ports, snapshot).shards:
        assert sum(layer.raw_bytes for layer in shard.layers[1:]) <= shard.layers[0].raw_bytes / 2


def test_capture_after_a_restore_is_incremental_too() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(300)})
    first = create_snapshot(ports, TENANT)
    put(ports, {key(number): -1 for number in range(50)})
    restore = restore_snapshot(ports, TENANT, first.id)
    run_restore(ports, restore.id)
    safety = ports.catalog.snapshot(TENANT, ports.catalog.restore(TENANT, restore.id).safety_snapshot_id or "")
    assert safety.parent_id == first.id
    assert 0 < safety.new_bytes < first.new_bytes

    put(ports, {key(7): 7777})
    delete(ports, key(8))
    table = Counted(ports.table)
    after = create_snapshot(replace(ports, table=table), TENANT)
    assert after.parent_id == first.id
    assert table.calls["items loaded"] <= 4
    assert content(ports, after.id) == live(ports)
    assert after.entity_count == 299


def test_snapshot_stays_whole_when_the_one_it_was_made_from_is_deleted() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(100)})
    first = create_snapshot(ports, TENANT)
    put(ports, {key(1): 11})
    second = create_snapshot(ports, TENANT)
    delete_snapshot(ports, TENANT, first.id)
    put(ports, {key(2): 22})
    third = create_snapshot(ports, TENANT)
    assert content(ports, second.id)[key(1)] == doc(key(1), 11)
    assert content(ports, third.id) == live(ports)


def test_capture_fails_and_the_next_one_is_full_when_the_base_is_damaged() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(100)})
    create_snapshot(ports, TENANT)
    damage(ports, packs(ports)[0], 20)
    put(ports, {key(1): 11})
    with pytest.raises(PackCorrupt):
        create_snapshot(ports, TENANT)
    healed = create_snapshot(ports, TENANT)
    assert healed.parent_id is None
    assert content(ports, healed.id) == live(ports)


def test_capture_is_full_when_the_manifest_of_the_base_is_damaged() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(100)})
    first = create_snapshot(ports, TENANT)
    assert first.manifest is not None
    damage(ports, first.manifest.key, 5)
    second = create_snapshot(ports, TENANT)
    assert content(ports, second.id) == live(ports)


ENTITIES = 240


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        # Of these numbers the higher ones name entities that are not there at first.
        st.dictionaries(st.integers(ENTITIES - 25, ENTITIES + 15), st.integers(0, 99) | st.none(), max_size=6),
        min_size=MAX_DELTAS + 1,
        max_size=3 * MAX_DELTAS,
    )
)
def test_many_captures_hold_and_count_everything_in_few_layers_and_few_bytes(days: list[dict[int, int | None]]) -> None:
    ports = replace(memory_ports(), layout=Layout(shards=1, gates=1))
    put(ports, {key(number): number for number in range(ENTITIES)})
    (base,) = manifest_of(ports, create_snapshot(ports, TENANT)).shards[0].layers
    line_bytes = base.raw_bytes // ENTITIES + 20
    changed = 0
    for day in days:
        put(ports, {key(number): value for number, value in day.items() if value is not None})
        if gone := [key(number) for number, value in day.items() if value is None]:
            delete(ports, *gone)
        changed += len(day)
        snapshot = create_snapshot(ports, TENANT)
        (shard,) = manifest_of(ports, snapshot).shards
        expected = live(ports)
        assert content(ports, snapshot.id) == expected
        assert snapshot.entity_count == shard.records == len(expected)
        check_shard(ports.payloads, "manifest", shard, lambda: None)
        assert len(shard.layers) <= 1 + MAX_DELTAS
        # All that was changed since the base was made bounds what a capture may write, and when it may write all.
        if shard.layers[0] != base:
            assert changed * line_bytes > COMPACT_SHARE * base.raw_bytes
            base, changed = shard.layers[0], 0
        deltas_bytes = sum(layer.raw_bytes for layer in shard.layers[1:])
        assert deltas_bytes <= min(changed * line_bytes, COMPACT_SHARE * base.raw_bytes)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    assert run_restore(ports, restore.id) is None
    assert live(ports) == expected


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 12), st.integers(0, 99)),
        st.tuples(st.just("delete"), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("snapshot"), st.just(0), st.just(0)),
        st.tuples(st.just("restore"), st.integers(0, 5), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_every_snapshot_of_any_history_holds_what_was_live_and_counts_it(steps: list[tuple[str, int, int]]) -> None:
    ports = small_world()
    put(ports, {key(100): 1})
    expected: dict[str, dict[Any, str]] = {}
    for step, number, value in steps:
        if step == "put":
            put(ports, {key(number): value})
        elif step == "delete":
            delete(ports, key(number))
        elif step == "snapshot":
            snapshot = create_snapshot(ports, TENANT)
            expected[snapshot.id] = live(ports)
            assert snapshot.entity_count == len(expected[snapshot.id])
        elif expected:
            chosen = list(expected)[number % len(expected)]
            before = live(ports)
            restore = restore_snapshot(ports, TENANT, chosen)
            assert run_restore(ports, restore.id) is None
            safety = ports.catalog.restore(TENANT, restore.id).safety_snapshot_id
            assert safety is not None
            expected[safety] = before
            assert live(ports) == expected[chosen]
    for name, held in expected.items():
        assert content(ports, name) == held
        assert ports.catalog.snapshot(TENANT, name).entity_count == len(held)
