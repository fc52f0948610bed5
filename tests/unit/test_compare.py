"""Comparing snapshots with each other and with live data: exact, in pages, and at the price of what differs."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, content, damage, delete, doc, key, live, packs, put, run_restore
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.change import Change
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import SnapshotId
from tidemark.engine import copying
from tidemark.engine.differences import Lines, Sides, differences
from tidemark.engine.live import gates
from tidemark.engine.records import Record, record
from tidemark.errors import AnswerTooSlow, Corrupt, LeaseLost, PackCorrupt, SnapshotNotCompleted, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases import capture_phases, entities, read_inside
from tidemark.usecases import compare as compare_module
from tidemark.usecases.compare import LIVE, Comparison, Differing, Wanted, compare
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

KEYS = [key(number, type_) for type_ in ("Car", "Room") for number in range(4)]
ALL = Wanted(limit=1000)

type State = Mapping[EntityKey, str]


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    read_inside.forget()


def world(shards: int = 2) -> Ports:
    return replace(memory_ports(), layout=Layout(shards=shards, gates=2))


def expected(old: State, new: State, types: Collection[str] | None = None) -> list[Differing]:
    """What differs, told from all that there is."""
    found: list[Differing] = []
    for one in sorted({*old, *new}, key=lambda one: one.sort_key):
        before, after = old.get(one), new.get(one)
        if before == after or (types is not None and one.type not in types):
            continue
        if before is None or after is None:
            found.append(Differing(one, Change.CREATED if before is None else Change.DELETED))
        else:
            found.append(Differing(one, Change.UPDATED, before, after))
    return found


def assert_compared(found: Comparison, differing: list[Differing]) -> None:
    assert list(found.entities) == differing
    assert found.total == len(differing)
    assert found.counts == {change: sum(one.change is change for one in differing) for change in Change}


def test_comparison_names_what_was_created_updated_and_deleted_from_the_first_to_the_second() -> None:
    ports = world()
    put(ports, {KEYS[0]: 1, KEYS[1]: 1, KEYS[2]: 1})
    first = create_snapshot(ports, TENANT)
    put(ports, {KEYS[0]: 2, KEYS[5]: 5})
    delete(ports, KEYS[1])
    second = create_snapshot(ports, TENANT)
    forth = [
        Differing(KEYS[0], Change.UPDATED, doc(KEYS[0], 1), doc(KEYS[0], 2)),
        Differing(KEYS[1], Change.DELETED),
        Differing(KEYS[5], Change.CREATED),
    ]
    back = [
        Differing(KEYS[0], Change.UPDATED, doc(KEYS[0], 2), doc(KEYS[0], 1)),
        Differing(KEYS[1], Change.CREATED),
        Differing(KEYS[5], Change.DELETED),
    ]
    assert_compared(compare(ports, TENANT, first.id, second.id, ALL), forth)
    assert_compared(compare(ports, TENANT, first.id, LIVE, ALL), forth)
    assert_compared(compare(ports, TENANT, second.id, first.id, ALL), back)
    assert_compared(compare(ports, TENANT, second.id, second.id, ALL), [])
    assert_compared(compare(ports, TENANT, second.id, LIVE, ALL), [])


WRITES = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2) | st.none(), max_size=5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), WRITES),
        st.tuples(st.sampled_from(["capture", "restore", "restore of a part"]), WRITES),
    ),
    max_size=12,
)


@settings(max_examples=120, deadline=None)
@given(STEPS, st.sampled_from([0.5, 1000]), st.sampled_from([None, ["Room"], ["Boat", "Car", "Room"]]))
def test_comparison_of_any_two_states_of_any_history_is_exact(
    steps: list[tuple[str, Mapping[EntityKey, int | None]]], share: float, types: list[str] | None
) -> None:
    ports = world()
    held: dict[str, State] = {}
    with patch.object(copying, "MAX_DELTAS", 2), patch.object(copying, "COMPACT_SHARE", share):
        for step, change in [("write", {KEYS[0]: 0, KEYS[6]: 0}), ("capture", {}), *steps]:
            if step == "capture":
                held[create_snapshot(ports, TENANT).id] = live(ports)
            elif step != "write":
                before = live(ports)
                held[_restored(ports, list(held)[len(change) % len(held)], whole=step == "restore")] = before
            docs = {one: None if value is None else doc(one, value) for one, value in change.items()}
            if docs:
                entities.change(ports, TENANT, list(docs), lambda _old, docs=docs: docs)  # type: ignore[misc]
    states = {**held, LIVE: live(ports)}
    for old, was in held.items():
        for new, is_ in states.items():
            found = compare(ports, TENANT, old, new, replace(ALL, types=types))
            assert_compared(found, expected(was, is_, types))


def _restored(ports: Ports, snapshot_id: str, *, whole: bool) -> str:
    """Restore a snapshot, or the rooms of it; the safety snapshot."""
    wish = Wish() if whole else Wish(selection=restore_filter.accept({"type": "Room"}))
    restore = restore_snapshot(ports, TENANT, snapshot_id, wish)
    assert run_restore(ports, restore.id) is None
    safety = ports.catalog.restore(TENANT, restore.id).safety_snapshot_id
    assert safety is not None
    return safety


def test_pages_together_are_the_whole_and_all_counts_are_on_each() -> None:
    ports = world()
    put(ports, dict.fromkeys(map(key, range(40)), 1))
    first = create_snapshot(ports, TENANT)
    put(ports, {**dict.fromkeys(map(key, range(10)), 2), **dict.fromkeys(map(key, range(50, 55)), 2)})
    delete(ports, *map(key, range(20, 30)))
    second = create_snapshot(ports, TENANT)
    whole = compare(ports, TENANT, first.id, second.id, ALL)
    pages = [compare(ports, TENANT, first.id, second.id, Wanted(limit=7, offset=offset)) for offset in range(0, 28, 7)]
    assert [one for page in pages for one in page.entities] == whole.entities
    assert {tuple(page.counts.items()) for page in pages} == {tuple(whole.counts.items())}
    gone = compare(ports, TENANT, first.id, second.id, replace(ALL, changes=frozenset({Change.DELETED})))
    assert gone.entities == [one for one in whole.entities if one.change is Change.DELETED]
    assert (gone.total, gone.counts) == (10, whole.counts)
    admitted = compare(ports, TENANT, first.id, second.id, replace(ALL, admits=lambda one: one.id.endswith("5")))
    assert admitted.counts == {Change.CREATED: 0, Change.UPDATED: 1, Change.DELETED: 1}


# --- what it costs


class Metered(MemoryPayloads):
    """Notes how many bytes were read of each object."""

    def __init__(self) -> None:
        super().__init__()
        self.read_bytes: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        body = super().get(key)
        self.read_bytes[key] += len(body)
        return body

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        found = MemoryPayloads.get(self, key)[offset : offset + length_bytes]
        self.read_bytes[key] += len(found)
        return found


def large(one: EntityKey, value: int) -> str:
    """An entity that compresses no better than a real one."""
    noise = hashlib.shake_128(f"{one.id}{value}".encode()).hexdigest(300)
    return f'{{"id":"{one.id}","type":"{one.type}","value":{{"metadata":{{}},"type":"Text","value":"{noise}"}}}}'


def write_large(ports: Ports, numbers: range, value: int) -> None:
    for start in range(numbers.start, numbers.stop, 80 * numbers.step):
        some = {
            key(n): large(key(n), value)
            for n in range(start, min(start + 80 * numbers.step, numbers.stop), numbers.step)
        }
        entities.change(ports, TENANT, list(some), lambda _old, some=some: some)  # type: ignore[misc]


@pytest.mark.parametrize("beside", ["snapshot", LIVE])
def test_comparison_of_what_differs_in_one_percent_reads_about_one_percent(beside: str) -> None:
    payloads = Metered()
    ports = replace(memory_ports(), payloads=payloads, layout=Layout(shards=4, gates=2))
    write_large(ports, range(8000), 1)
    first = create_snapshot(ports, TENANT)
    write_large(ports, range(0, 8000, 100), 2)
    second = create_snapshot(ports, TENANT)
    base_bytes = first.stored_bytes
    other = second.id if beside == "snapshot" else LIVE
    payloads.read_bytes.clear()
    found = compare(ports, TENANT, first.id, other, Wanted(changes=frozenset({Change.CREATED})))
    assert found.counts[Change.UPDATED] == 80
    assert 0.008 * base_bytes < payloads.read_bytes.total() < 0.02 * base_bytes

    # A page costs the frames in which its entities were, no more.
    payloads.read_bytes.clear()
    page = compare(ports, TENANT, first.id, other, Wanted(limit=1))
    assert page.entities[0][2:] == (large(key(0), 1), large(key(0), 2))
    in_base = [name for name, count in payloads.read_bytes.items() if "-base-" in name and count]
    assert len(in_base) == 1


def test_comparison_with_live_data_reads_the_items_that_changed_and_nothing_of_the_base() -> None:
    ports = world()
    put(ports, dict.fromkeys(map(key, range(400)), 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(map(key, range(4)), 2))
    damage_all(ports)
    table = Noted(ports.table)
    found = compare(replace(ports, table=table), TENANT, snapshot.id, LIVE, replace(ALL, changes=frozenset()))
    assert found.counts[Change.UPDATED] == 4
    assert table.items == 4
    assert table.calls["page"] == 0


def damage_all(ports: Ports) -> None:
    for name in packs(ports):
        damage(ports, name, 20)


class Noted:
    """An entity table that notes its calls and how many items were loaded, and calls back before each load of items."""

    def __init__(self, table: Any, before: Callable[[], None] = lambda: None) -> None:
        self._table = table
        self._before = before
        self.calls: Counter[str] = Counter()
        self.items = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._table, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            if name == "load" and len(args) > 1 and args[1]:
                self.items += len(args[1])
                self._before()
            return call(*args, **kwargs)

        return noted


# --- live data that moves


def test_comparison_with_live_data_starts_over_when_a_snapshot_is_completed_meanwhile() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {KEYS[0]: 2})
    delete(ports, KEYS[1], KEYS[5])
    snapshots: list[str] = []

    def capture_once() -> None:
        if not snapshots:
            snapshots.append("under way")
            # Removes the tombstones that the comparison has listed.
            create_snapshot(ports, TENANT)

    table = Noted(ports.table, capture_once)
    found = compare(replace(ports, table=table), TENANT, snapshot.id, LIVE, ALL)
    assert snapshots
    assert_compared(found, expected(content(ports, snapshot.id), live(ports)))


def test_comparison_with_live_data_waits_while_the_tombstones_of_a_completed_snapshot_are_removed() -> None:
    ports = world()
    clock = ports.clock
    assert isinstance(clock, ManualClock)
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    delete(ports, KEYS[1], KEYS[5])
    with patch.object(gates, "finish_capture", side_effect=LeaseLost("the function dies here")):
        second = create_snapshot(ports, TENANT)
    assert second.was_completed
    with pytest.raises(AnswerTooSlow, match="comparing"):
        compare(ports, TENANT, snapshot.id, LIVE, ALL)
    capture_phases.begin(ports, TENANT, second.id, second.capture_id, attempt=1)
    assert_compared(compare(ports, TENANT, snapshot.id, LIVE, ALL), expected(content(ports, snapshot.id), live(ports)))


def test_comparison_with_live_data_goes_on_beside_a_capture_that_is_under_way() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    snapshot = create_snapshot(ports, TENANT)
    delete(ports, KEYS[1])
    assert not create_snapshot(ports, TENANT, budget_s=-1).was_completed
    put(ports, {KEYS[2]: 2})
    assert_compared(compare(ports, TENANT, snapshot.id, LIVE, ALL), expected(content(ports, snapshot.id), live(ports)))


# --- refusals


def test_comparison_is_refused_that_would_take_too_long() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    first = create_snapshot(ports, TENANT)
    put(ports, dict.fromkeys(KEYS, 2))
    second = create_snapshot(ports, TENANT)
    for other in (second.id, LIVE):
        with pytest.raises(AnswerTooSlow, match=f"comparing {first.id} with {other} .* name exact types"):
            compare(ports, TENANT, first.id, other, ALL, budget_s=0)


def test_comparison_is_refused_with_what_is_no_completed_snapshot() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    first = create_snapshot(ports, TENANT)
    running = create_snapshot(ports, TENANT, budget_s=-1)
    for old, new in ((first.id, running.id), (running.id, first.id), (running.id, LIVE)):
        with pytest.raises(SnapshotNotCompleted, match=running.id):
            compare(ports, TENANT, old, new, ALL)
    missing = SnapshotId("snapshot_2020-01-01T00-00-00Z")
    for one, other in ((first.id, missing), (missing, first.id)):
        with pytest.raises(SnapshotNotFound):
            compare(ports, TENANT, one, other, ALL)


def test_comparison_names_the_pack_that_is_damaged() -> None:
    ports = world()
    put(ports, dict.fromkeys(map(key, range(100)), 1))
    first = create_snapshot(ports, TENANT)
    put(ports, {key(1): 2})
    second = create_snapshot(ports, TENANT)
    for name in packs(ports):
        if "-delta-" in name:
            damage(ports, name, 20)
            with pytest.raises(Corrupt, match=name):
                compare(ports, TENANT, first.id, second.id, ALL)


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_snapshot_of_another_number_of_shards_is_compared_in_full(shards: int) -> None:
    ports = world(2)
    put(ports, {one: number for number, one in enumerate(KEYS)})
    first = create_snapshot(ports, TENANT)
    state = ports.table.load(TENANT).state
    assert state is not None
    other = world(shards)
    put(other, dict.fromkeys(KEYS, 1))
    there = replace(ports, table=other.table, placements={})
    assert_compared(compare(there, TENANT, first.id, LIVE, ALL), expected(content(ports, first.id), live(there)))


# --- layers that can't all be true


def lines(*records: Record) -> Lines:
    return Lines(lambda _from, _to: iter(records))


def test_comparison_is_refused_when_both_sides_say_different_things_of_what_they_have_in_common() -> None:
    a, b = fingerprint("a"), fingerprint("b")
    one, other = lines(record("k", "{}", was=a)), lines(record("k", '{"n":1}', was=b))
    with pytest.raises(PackCorrupt, match="'k'"):
        list(differences(MemoryPayloads(), Sides((), [one], [other])))


def test_comparison_is_refused_when_the_layers_below_do_not_have_what_a_delta_says() -> None:
    ports = world()
    put(ports, dict.fromkeys(KEYS, 1))
    first = create_snapshot(ports, TENANT)
    put(ports, {KEYS[0]: 2})
    second = create_snapshot(ports, TENANT)
    for found in ([], [record(KEYS[0].sort_key, doc(KEYS[0], 9))]):
        with (
            patch.object(compare_module, "read_keys_of_layers", return_value=iter(found)),
            pytest.raises(PackCorrupt, match="something else lies below"),
        ):
            compare(ports, TENANT, first.id, second.id, ALL)
