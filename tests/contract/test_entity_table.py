"""What `ports.EntityTable` promises."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.examples import (
    ACME,
    ONE,
    OTHER,
    TEN_O_CLOCK,
    change,
    create,
    delete,
    every_item,
    gate,
    item,
    key,
    state,
)
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import (
    Anchor,
    Base,
    ChangedKey,
    Cut,
    FencingToken,
    Generation,
    Item,
    Latecomers,
    Lease,
    LeaseKind,
    TenantState,
)
from tidemark.domain.snapshot import SnapshotId
from tidemark.errors import RecordExists, StaleRecord, WriteConflict
from tidemark.ports import EntityTable, Loaded

LEASE = Lease(LeaseKind.RESTORE, "owner", "restore_2026-01-15T10-00-00Z", FencingToken(3), attempt=2)
BASE = Base(SnapshotId("snapshot_2026-01-15T10-00-00Z"), Cut(4))
ITEMS = [
    item("staged", '{"id":"staged"}'),
    item("written", '{"a":"ü \\u0000 \U0001f30a"}', rev=2**48 - 1, changed=Cut(3)),
    item("caught", "{}", changed=Cut(5), prev='{"old":1}', prev_cut=Cut(3)),
    item("caught-staged", "{}", changed=Cut(5), prev="{}", prev_cut=Cut(0)),
    item("caught-new", "{}", changed=Cut(5), prev=None, prev_cut=Cut(5)),
    item("deleted", None, changed=Cut(4)),
    item("anchored", "{}", changed=Cut(9), anchors=(Anchor(Cut(2), None), Anchor(Cut(6), "9g-_QPEA"))),
    item("deleted-caught", None, changed=Cut(5), prev="{}", prev_cut=Cut(1)),
    item(key("elsewhere", entity_type="Tür", path="/a/b", generation=2**40, shard=63), "{}"),
]


# --- load


def test_load_finds_nothing_when_nothing_is_stored(table: EntityTable) -> None:
    assert table.load(ACME, [key("a")], [0, 1]) == Loaded(None, {}, {})


@pytest.mark.parametrize(
    "stored",
    [
        state(),
        state(capturing=Cut(0), base=BASE, lease=LEASE, rev=41),
        state(lease=replace(LEASE, kind=LeaseKind.CAPTURE)),
        state(latecomers=Latecomers(Cut(0), TEN_O_CLOCK)),
    ],
)
def test_load_returns_the_state_as_it_was_added(table: EntityTable, stored: TenantState) -> None:
    table.add_state(stored)
    assert table.load(ACME) == Loaded(stored, {}, {})


def test_load_returns_gates_as_they_were_added(table: EntityTable) -> None:
    closed = gate(15, capturing=Cut(3), base=Cut(0), closed_by=FencingToken(9), rev=7)
    table.add_gate(gate(0))
    table.add_gate(closed)
    assert table.load(ACME, gates=[0, 15]).gates == {0: gate(0), 15: closed}


def test_load_returns_items_as_they_were_written(table: EntityTable) -> None:
    table.insert(ACME, ITEMS)
    assert table.load(ACME, [each.key for each in ITEMS]).items == {each.key: each for each in ITEMS}


def test_load_returns_only_what_was_asked_for(table: EntityTable) -> None:
    table.add_gate(gate(0))
    table.add_gate(gate(1))
    table.insert(ACME, [item("a"), item("b")])
    assert table.load(ACME, [key("a"), key("c")], [1]) == Loaded(None, {1: gate(1)}, {key("a"): item("a")})


def test_load_returns_an_item_once_when_it_is_named_twice(table: EntityTable) -> None:
    table.add_gate(gate(0))
    table.insert(ACME, [item("a")])
    assert table.load(ACME, [key("a"), key("a")], [0, 0]) == Loaded(None, {0: gate(0)}, {key("a"): item("a")})


def test_load_returns_every_item_when_they_are_more_than_one_request_takes(table: EntityTable) -> None:
    items = [item(f"entity-{number:03}") for number in range(250)]
    table.insert(ACME, items)
    assert table.load(ACME, [each.key for each in items]).items == {each.key: each for each in items}


def test_load_finds_nothing_of_another_tenant(table: EntityTable) -> None:
    table.add_state(state(OTHER))
    table.add_gate(gate(0, OTHER))
    table.insert(OTHER, [item("a")])
    assert table.load(ACME, [key("a")], [0]) == Loaded(None, {}, {})


# --- states and gates


def test_add_state_is_refused_when_there_is_one(table: EntityTable) -> None:
    table.add_state(state(rev=3))
    with pytest.raises(RecordExists):
        table.add_state(state(rev=3))
    with pytest.raises(RecordExists):
        table.add_state(state())
    assert table.load(ACME).state == state(rev=3)


def test_add_gate_is_refused_when_there_is_one(table: EntityTable) -> None:
    table.add_gate(gate(rev=3))
    with pytest.raises(RecordExists):
        table.add_gate(gate())
    assert table.load(ACME, gates=[0]).gates == {0: gate(rev=3)}


def test_replace_state_stores_it_with_the_next_rev(table: EntityTable) -> None:
    table.add_state(state())
    stored = table.replace_state(state(base=BASE, lease=LEASE))
    assert stored == state(base=BASE, lease=LEASE, rev=1)
    assert table.load(ACME).state == stored


def test_replace_state_clears_what_is_none(table: EntityTable) -> None:
    table.add_state(state(capturing=Cut(1), base=BASE, lease=LEASE))
    table.replace_state(state())
    assert table.load(ACME).state == state(rev=1)


def test_replace_state_is_refused_when_it_changed_since(table: EntityTable) -> None:
    table.add_state(state())
    first = table.replace_state(state(lease=LEASE))
    with pytest.raises(StaleRecord):
        table.replace_state(state(lease=replace(LEASE, owner="somebody else")))
    assert table.load(ACME).state == first


def test_replace_state_is_refused_when_there_is_none(table: EntityTable) -> None:
    with pytest.raises(StaleRecord):
        table.replace_state(state())
    assert table.load(ACME).state is None


def test_replace_state_succeeds_when_it_is_repeated(table: EntityTable) -> None:
    table.add_state(state())
    first = table.replace_state(state(lease=LEASE))
    assert table.replace_state(state(lease=LEASE)) == first
    assert table.load(ACME).state == first


def test_replace_gate_stores_it_with_the_next_rev(table: EntityTable) -> None:
    table.add_gate(gate(rev=9))
    stored = table.replace_gate(gate(closed_by=FencingToken(2), rev=9))
    assert stored == gate(closed_by=FencingToken(2), rev=10)
    assert table.load(ACME, gates=[0]).gates == {0: stored}


def test_replace_gate_is_refused_when_it_changed_since(table: EntityTable) -> None:
    table.add_gate(gate())
    first = table.replace_gate(gate(closed_by=FencingToken(1)))
    with pytest.raises(StaleRecord):
        table.replace_gate(gate(closed_by=FencingToken(2)))
    assert table.load(ACME, gates=[0]).gates == {0: first}


def test_replace_gate_is_refused_when_there_is_none(table: EntityTable) -> None:
    with pytest.raises(StaleRecord):
        table.replace_gate(gate())
    assert table.load(ACME, gates=[0]).gates == {}


def test_replace_gate_succeeds_when_it_is_repeated(table: EntityTable) -> None:
    table.add_gate(gate())
    first = table.replace_gate(gate(closed_by=FencingToken(1)))
    assert table.replace_gate(gate(closed_by=FencingToken(1))) == first


# --- commit


def test_commit_creates_replaces_and_removes_in_one_go(table: EntityTable) -> None:
    table.add_gate(gate())
    table.insert(ACME, [item("b"), item("c", rev=4)])
    new = item("a", changed=Cut(1))
    changed = item("b", '{"b":2}', rev=2, changed=Cut(1))
    table.commit(ACME, [gate()], [create(new), change(item("b"), changed), delete(item("c", rev=4))])
    assert list(every_item(table)) == [new, changed]


def test_commit_replaces_an_item_as_a_whole(table: EntityTable) -> None:
    caught = item("a", "{}", changed=Cut(2), prev="{}", prev_cut=Cut(1))
    table.insert(ACME, [caught])
    tombstone = item("a", None, rev=2)
    table.commit(ACME, [], [change(caught, tombstone)])
    assert list(every_item(table)) == [tombstone]


def test_commit_leaves_the_gate_as_it_is(table: EntityTable) -> None:
    table.add_gate(gate(rev=5))
    table.commit(ACME, [gate(rev=5)], [create(item("a"))])
    assert table.load(ACME, gates=[0]).gates == {0: gate(rev=5)}


def test_commit_writes_nothing_when_a_gate_has_changed(table: EntityTable) -> None:
    table.add_gate(gate(0))
    table.add_gate(gate(1))
    table.replace_gate(gate(1, closed_by=FencingToken(1)))
    with pytest.raises(WriteConflict):
        table.commit(ACME, [gate(0), gate(1)], [create(item("a"))])
    assert list(every_item(table)) == []


def test_commit_writes_nothing_when_a_gate_is_missing(table: EntityTable) -> None:
    with pytest.raises(WriteConflict):
        table.commit(ACME, [gate()], [create(item("a"))])
    assert list(every_item(table)) == []


def test_commit_writes_nothing_when_an_item_has_changed(table: EntityTable) -> None:
    table.insert(ACME, [item("b", rev=2), item("c")])
    stale = change(item("b", rev=1), item("b", '{"b":2}', rev=2))
    with pytest.raises(WriteConflict):
        table.commit(ACME, [], [create(item("a")), stale, delete(item("c"))])
    assert list(every_item(table)) == [item("b", rev=2), item("c")]


def test_commit_writes_nothing_when_an_item_to_create_exists(table: EntityTable) -> None:
    table.insert(ACME, [item("b", None)])
    with pytest.raises(WriteConflict):
        table.commit(ACME, [], [create(item("a")), create(item("b"))])
    assert list(every_item(table)) == [item("b", None)]


@pytest.mark.parametrize("new", [item("b", rev=2), None])
def test_commit_writes_nothing_when_an_item_is_missing(table: EntityTable, new: Item | None) -> None:
    missing = change(item("b"), new) if new else delete(item("b"))
    with pytest.raises(WriteConflict):
        table.commit(ACME, [], [create(item("a")), missing])
    assert list(every_item(table)) == []


def test_commit_takes_a_hundred_gates_and_writes(table: EntityTable) -> None:
    for number in range(16):
        table.add_gate(gate(number))
    items = [item(f"entity-{number:02}") for number in range(84)]
    table.commit(ACME, [gate(number) for number in range(16)], [create(each) for each in items])
    assert list(every_item(table)) == items


def test_commit_does_nothing_when_there_is_nothing_to_do(table: EntityTable) -> None:
    table.commit(ACME, [], [])
    assert list(every_item(table)) == []


def test_commit_loses_no_update_when_writers_race(table: EntityTable) -> None:
    table.insert(ACME, [item("counter", "0", rev=0)])

    def count(_: int) -> None:
        for _attempt in range(1000):
            present = table.load(ACME, [key("counter")]).items[key("counter")]
            new = present._replace(doc=str(int(present.doc or 0) + 1), rev=present.rev + 1)
            try:
                table.commit(ACME, [], [change(present, new)])
            except WriteConflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    assert list(every_item(table)) == [item("counter", "40", rev=40)]


# --- page


def test_page_returns_nothing_when_the_shard_is_empty(table: EntityTable) -> None:
    page = table.page(ACME, ONE, 0)
    assert list(page.items) == []
    assert not page.more


def test_page_returns_items_in_key_order(table: EntityTable) -> None:
    names = ["b", "a", "Z", "ä", "a\U0001f30a", "a\uffee", "ab"]
    table.insert(ACME, [item(name) for name in names])
    found = [each.key.sort_key for each in every_item(table)]
    assert found == sorted(key(name).sort_key for name in names)


def test_page_returns_tombstones_too(table: EntityTable) -> None:
    tombstone = item("b", None, changed=Cut(2))
    table.insert(ACME, [item("a"), tombstone])
    assert list(every_item(table)) == [item("a"), tombstone]


def test_page_returns_one_shard_of_one_generation_of_one_tenant(table: EntityTable) -> None:
    places = itertools.product([ACME, OTHER], [1, 11], [0, 1, 10])
    for tenant, generation, shard in places:
        table.insert(tenant, [item(key("a", generation=generation, shard=shard))])
    for generation, shard in itertools.product([1, 11], [0, 1, 10]):
        page = table.page(ACME, Generation(generation), shard)
        assert list(page.items) == [item(key("a", generation=generation, shard=shard))]


def test_page_returns_only_keys_with_the_prefix(table: EntityTable) -> None:
    types = ["Car", "Cart", "Bus", "Taxi"]
    table.insert(ACME, [item(key(name, entity_type=kind)) for kind in types for name in ("a", "b")])
    found = every_item(table, prefix="Car\x1f")
    assert [each.key for each in found] == [key("a", entity_type="Car"), key("b", entity_type="Car")]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (key("b"), ["c", "d"]),
        (key("bb"), ["c", "d"]),
        (key("d"), []),
        (key("a", entity_type="Alpha"), ["a", "b", "c", "d"]),
        (key("a", entity_type="Zulu"), []),
    ],
    ids=["key", "absent key", "last key", "before all", "behind all"],
)
@pytest.mark.parametrize("prefix", ["", "Room\x1f", "Ro"])
def test_page_returns_what_follows_a_key(table: EntityTable, after: Any, expected: list[str], prefix: str) -> None:
    table.insert(ACME, [item(name) for name in "abcd"])
    page = table.page(ACME, ONE, 0, prefix=prefix, after=after.sort_key)
    assert [each.key for each in page.items] == [key(name) for name in expected]


def test_page_holds_at_most_the_limit(table: EntityTable) -> None:
    table.insert(ACME, [item(name) for name in "abcde"])
    first = table.page(ACME, ONE, 0, limit=2)
    assert [each.key for each in first.items] == [key("a"), key("b")]
    assert first.more
    assert [each.key for each in every_item(table, limit=2)] == [key(name) for name in "abcde"]


def test_page_tells_of_more_when_it_does_not_hold_all(table: EntityTable) -> None:
    items = [item(f"entity-{number:04}", "x" * 20_000) for number in range(120)]
    table.insert(ACME, items)
    first = table.page(ACME, ONE, 0)
    assert 0 < len(first.items) < len(items)
    assert first.more
    assert list(every_item(table)) == items


# --- keys_of_id


def test_keys_of_id_returns_every_type_and_path_in_key_order(table: EntityTable) -> None:
    found = [
        EntityKey("Car", "x", "/b"),
        EntityKey("Room", "x", "/"),
        EntityKey("Room", "x", "/a"),
    ]
    others = [EntityKey("Room", "xy", "/"), EntityKey("Room", "w", "/"), EntityKey("x", "Room", "/")]
    keys = [key(each.id, entity_type=each.type, path=each.path) for each in reversed(found + others)]
    table.insert(ACME, [item(each) for each in keys])
    assert table.keys_of_id(ACME, ONE, 0, "x") == found


def test_keys_of_id_looks_into_one_shard_of_one_generation_of_one_tenant(table: EntityTable) -> None:
    table.insert(OTHER, [item("x")])
    table.insert(ACME, [item(key("x", shard=1)), item(key("x", generation=2))])
    assert table.keys_of_id(ACME, ONE, 0, "x") == []


def test_keys_of_id_passes_over_tombstones(table: EntityTable) -> None:
    table.insert(ACME, [item("x"), item(key("x", entity_type="Car"), None)])
    assert table.keys_of_id(ACME, ONE, 0, "x") == [EntityKey("Room", "x", "/")]
    table.commit(ACME, [], [change(item("x"), item("x", None, rev=2))])
    assert table.keys_of_id(ACME, ONE, 0, "x") == []
    table.commit(ACME, [], [change(item("x", None, rev=2), item("x", rev=3))])
    assert table.keys_of_id(ACME, ONE, 0, "x") == [EntityKey("Room", "x", "/")]


# --- changed_keys


def every_change(table: EntityTable, since: int) -> list[ChangedKey]:
    after: ChangedKey | None = None
    found: list[ChangedKey] = []
    while True:
        page = table.changed_keys(ACME, ONE, 0, since=Cut(since), after=after)
        found.extend(page.keys)
        if not page.more or not page.keys:
            return found
        after = page.keys[-1]


def test_changed_keys_returns_what_was_written_after_a_cut_and_passes_over_the_rest(table: EntityTable) -> None:
    table.insert(
        ACME,
        [
            item("staged"),
            item("old", changed=Cut(3)),
            item("b", changed=Cut(5)),
            item("a", changed=Cut(5)),
            item("gone", None, changed=Cut(4)),
            item(key("elsewhere", shard=1), changed=Cut(9)),
            item(key("earlier", generation=2), changed=Cut(9)),
        ],
    )
    assert every_change(table, since=3) == [
        ChangedKey(Cut(4), key("gone").sort_key, deleted=True),
        ChangedKey(Cut(5), key("a").sort_key),
        ChangedKey(Cut(5), key("b").sort_key),
    ]
    assert every_change(table, since=5) == []


def test_changed_keys_orders_cuts_as_numbers(table: EntityTable) -> None:
    table.insert(ACME, [item("a", changed=Cut(10)), item("b", changed=Cut(9))])
    assert [one.cut for one in every_change(table, since=0)] == [9, 10]


def test_changed_keys_goes_on_after_a_key_of_the_same_cut(table: EntityTable) -> None:
    table.insert(ACME, [item(name, changed=Cut(2)) for name in "abcd"])
    page = table.changed_keys(ACME, ONE, 0, since=Cut(1), after=ChangedKey(Cut(2), key("b").sort_key))
    assert [one.sort_key for one in page.keys] == [key("c").sort_key, key("d").sort_key]


# --- insert and remove


def test_insert_leaves_what_exists_as_it_is(table: EntityTable) -> None:
    present = item("b", '{"newer":true}', rev=7, changed=Cut(3))
    tombstone = item("c", None, rev=2, changed=Cut(3))
    table.insert(ACME, [present, tombstone])
    table.insert(ACME, [item("a"), item("b"), item("c"), item("d")])
    assert list(every_item(table)) == [item("a"), present, tombstone, item("d")]


def test_insert_changes_nothing_when_it_is_repeated(table: EntityTable) -> None:
    items = [item(f"entity-{number:03}") for number in range(60)]
    table.insert(ACME, items)
    table.insert(ACME, items)
    assert list(every_item(table)) == items


def test_insert_stores_the_first_when_an_item_is_given_twice(table: EntityTable) -> None:
    table.insert(ACME, [item("a", '{"n":1}'), item("a", '{"n":2}')])
    assert list(every_item(table)) == [item("a", '{"n":1}')]


def test_insert_does_nothing_when_there_is_nothing_to_do(table: EntityTable) -> None:
    table.insert(ACME, [])
    assert list(every_item(table)) == []


def test_remove_removes_items_and_tombstones(table: EntityTable) -> None:
    table.insert(ACME, [item("a"), item("b", None), item("c", rev=9)])
    table.remove(ACME, [key("a"), key("b")])
    assert list(every_item(table)) == [item("c", rev=9)]


def test_remove_changes_nothing_when_it_is_repeated(table: EntityTable) -> None:
    items = [item(f"entity-{number:03}") for number in range(60)]
    table.insert(ACME, items)
    for _ in range(2):
        table.remove(ACME, [*(each.key for each in items[:55]), items[0].key])
        assert list(every_item(table)) == items[55:]


def test_items_can_be_inserted_again_when_they_were_removed(table: EntityTable) -> None:
    table.insert(ACME, [item("a"), item("b")])
    table.remove(ACME, [key("a")])
    assert table.keys_of_id(ACME, ONE, 0, "a") == []
    table.insert(ACME, [item("a", '{"again":1}')])
    assert list(every_item(table)) == [item("a", '{"again":1}'), item("b")]
