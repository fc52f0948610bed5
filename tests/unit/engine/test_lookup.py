"""Looking into a shard finds what is there, reads only the frames that can hold it, and notices every damage."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import Serial
from tests.unit.engine.layered import NotedPayloads, Run, content_of, flip, shard_of_runs, text
from tidemark.domain.keys import EntityKey
from tidemark.domain.manifest import ShardManifest
from tidemark.engine import tables
from tidemark.engine.lookup import find_id, in_layer, read_keys, read_keys_of_layers
from tidemark.engine.merge import read_shard
from tidemark.engine.recent import Recent
from tidemark.engine.scan import scan_shard
from tidemark.errors import PackCorrupt

TYPES = ("Car", "Room", "Tree")
# Ids that are parts of each other.
IDS = ("0", "1", "10", "11")
KEYS = [EntityKey(type_, entity_id, path) for type_ in TYPES for entity_id in IDS for path in ("/", "/a")]
LAYERS = st.lists(
    st.dictionaries(st.sampled_from(KEYS), st.none() | st.integers(0, 99), min_size=4), min_size=1, max_size=4
)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """No table of contents is known at first."""
    tables.forget()


def rooms(count: int, type_: str = "Room") -> dict[EntityKey, int | None]:
    return {EntityKey(type_, f"{number:04d}", "/"): number for number in range(count)}


def found(payloads: NotedPayloads, shard: ShardManifest, entity_id: str, *types: str) -> list[tuple[EntityKey, str]]:
    records = find_id(payloads, Serial(), shard.layers, entity_id, types or None)
    return [(EntityKey.parse(one.key), (one.value or b"").decode()) for one in records]


def test_entity_of_a_known_type_costs_one_frame_of_each_layer_that_may_hold_it() -> None:
    payloads, shard = shard_of_runs(rooms(300), {EntityKey("Room", "0010", "/"): 1, EntityKey("Room", "0290", "/"): 2})
    frames = {
        (pack.key, frame.offset, frame.offset + frame.length)
        for layer in shard.layers
        for pack in layer.packs
        for frame in tables.table_of(payloads, pack).frames
    }
    for number in range(300):
        payloads.frames.clear()
        expected = {10: 1, 290: 2}.get(number, number)
        assert found(payloads, shard, f"{number:04d}", "Room") == [
            (EntityKey("Room", f"{number:04d}", "/"), text(expected))
        ]
        read = Counter(key.split("/")[2] for key, _, _ in payloads.frames)
        assert set(payloads.frames) <= frames, "no more than one frame by each read"
        assert read == ({"c0": 1, "c1": 1} if 10 <= number <= 290 else {"c0": 1})


def test_table_of_contents_is_read_once_by_a_process() -> None:
    payloads, shard = shard_of_runs(rooms(20), {EntityKey("Room", "0003", "/"): None}, pack_bytes=10_000)
    for _ in range(3):
        assert found(payloads, shard, "0003", "Room") == []
    assert len(payloads.tables) == len(set(payloads.tables)) == 2
    assert len(payloads.frames) == 6


@pytest.mark.parametrize("types", [(), ("Room",)])
def test_layer_that_cannot_hold_the_entity_costs_nothing(types: tuple[str, ...]) -> None:
    payloads, shard = shard_of_runs(rooms(300), rooms(10))
    assert found(payloads, shard, "9999", *types) == []
    assert (payloads.frames, payloads.tables) == ([], [])
    assert found(payloads, shard, "0200", *types) == [(EntityKey("Room", "0200", "/"), text(200))]
    assert [key.split("/")[2] for key in payloads.tables] == ["c0"]


@pytest.mark.parametrize("entities", [50, 500, 2000])
@pytest.mark.parametrize("types", [1, 3, 9])
def test_entity_of_any_type_costs_reads_in_proportion_to_the_types_alone(entities: int, types: int) -> None:
    run: Run = {key: value for number in range(types) for key, value in rooms(entities, f"T{number}").items()}
    payloads, shard = shard_of_runs(run, pack_bytes=20_000)
    assert [key.type for key, _ in found(payloads, shard, "0042")] == [f"T{number}" for number in range(types)]
    assert types <= len(payloads.frames) <= 2 * types
    read_bytes = sum(end - start for _, start, end in payloads.frames)
    assert read_bytes <= 2 * types * 150


@given(LAYERS)
def test_found_is_what_the_layers_hold_together(layers: list[Run]) -> None:
    payloads, shard = shard_of_runs(*layers)
    expected = content_of(layers)
    for entity_id in (*IDS, "100"):
        there = [(key, text(value)) for key, value in expected.items() if key.id == entity_id]
        assert found(payloads, shard, entity_id) == there
        for types in (("Room",), ("Car", "Tree"), ("Boat",)):
            assert found(payloads, shard, entity_id, *types) == [one for one in there if one[0].type in types]


@given(LAYERS, st.sets(st.sampled_from(KEYS), min_size=4))
def test_keys_read_are_those_asked_for_and_no_frame_is_read_twice(layers: list[Run], wanted: set[EntityKey]) -> None:
    payloads, shard = shard_of_runs(*layers)
    keys = [key.sort_key for key in sorted(wanted)]
    expected = [(key.sort_key, text(value)) for key, value in content_of(layers).items() if key in wanted]
    assert [(one.key, (one.value or b"").decode()) for one in read_keys(payloads, shard, keys)] == expected
    ranges = sorted(payloads.frames)
    assert all(one[0] != other[0] or one[2] <= other[1] for one, other in pairwise(ranges))
    upper = content_of(layers[1:])
    above = read_keys_of_layers(payloads, shard.layers[1:], keys)
    assert [one.key for one in above] == [key.sort_key for key in upper if key in wanted]


def test_reading_few_keys_of_many_reads_few_frames() -> None:
    payloads, shard = shard_of_runs(rooms(2000), pack_bytes=10_000)
    keys = [f"Room\x1f{number:04d}\x1f/" for number in (5, 6, 1000, 1999)]
    assert [one.key for one in read_keys(payloads, shard, keys)] == keys
    assert 3 <= len(payloads.frames) <= 4
    assert sum(end - start for _, start, end in payloads.frames) < 1000


@given(LAYERS, st.none() | st.sampled_from(KEYS), st.none() | st.sampled_from(KEYS))
def test_scan_gives_what_reading_all_gives(layers: list[Run], low: EntityKey | None, high: EntityKey | None) -> None:
    payloads, shard = shard_of_runs(*layers)
    from_key, to_key = low and low.sort_key, high and high.sort_key
    expected = list(read_shard(payloads, shard, from_key=from_key, to_key=to_key))
    assert list(scan_shard(payloads, shard, from_key=from_key, to_key=to_key)) == expected


def test_scan_reads_little_at_first_and_more_with_each_read() -> None:
    payloads, shard = shard_of_runs(rooms(1000), pack_bytes=1 << 20)
    records = scan_shard(payloads, shard)
    assert (payloads.frames, payloads.tables) == ([], [])
    next(records)
    assert len(payloads.frames) == 1
    list(records)
    frames = shard.layers[0].packs[0].frames
    assert frames > 100
    assert len(payloads.frames) == 4 + -(-(frames - 15) // tables.MAX_FRAMES_AT_ONCE)


def test_scan_reads_only_frames_of_the_range() -> None:
    run: Run = {**rooms(500, "A"), **rooms(20, "B"), **rooms(500, "C")}
    payloads, shard = shard_of_runs(run)
    assert len(list(scan_shard(payloads, shard, from_key="B\x1f", to_key="B\x20"))) == 20
    frames = sum(pack.frames for pack in shard.layers[0].packs)
    assert sum(end - start for _, start, end in payloads.frames) < 15 * 150
    assert len(payloads.frames) < frames / 20


def test_scan_reads_no_frame_that_begins_where_it_ends() -> None:
    payloads, shard = shard_of_runs(rooms(60), pack_bytes=1 << 20)
    table = tables.table_of(payloads, shard.layers[0].packs[0])
    for number in range(60):
        payloads.frames.clear()
        to_key = f"Room\x1f{number:04d}\x1f/"
        assert len(list(scan_shard(payloads, shard, to_key=to_key))) == number
        needed = [frame.length for frame, first in zip(table.frames, table.first_keys, strict=True) if first < to_key]
        assert sum(end - start for _, start, end in payloads.frames) == sum(needed)


def by_id(payloads: NotedPayloads, shard: ShardManifest) -> object:
    return found(payloads, shard, "0007", "Room")


def by_id_alone(payloads: NotedPayloads, shard: ShardManifest) -> object:
    return in_layer(payloads, shard.layers[0], "0007")


def by_key(payloads: NotedPayloads, shard: ShardManifest) -> object:
    return list(read_keys(payloads, shard, ["Room\x1f0007\x1f/"]))


def by_scan(payloads: NotedPayloads, shard: ShardManifest) -> object:
    return list(scan_shard(payloads, shard))


READERS = pytest.mark.parametrize("read", [by_id, by_id_alone, by_key, by_scan])
type Read = Callable[[NotedPayloads, ShardManifest], object]


@READERS
def test_every_flipped_bit_of_what_is_read_is_noticed_and_named(read: Read) -> None:
    payloads, shard = shard_of_runs(rooms(10), frame_bytes=10_000, pack_bytes=10_000)
    (pack,) = shard.layers[0].packs
    for offset in range(pack.size_bytes):
        tables.forget()
        flip(payloads, pack.key, offset)
        with pytest.raises(PackCorrupt, match=pack.key):
            read(payloads, shard)
        flip(payloads, pack.key, offset)
    read(payloads, shard)


@READERS
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_pack_that_is_cut_off_or_gone_is_noticed_and_named(read: Read, damage: str) -> None:
    payloads, shard = shard_of_runs(rooms(10), pack_bytes=10_000)
    (pack,) = shard.layers[0].packs
    body = payloads.objects.pop(pack.key)
    if damage == "truncated":
        payloads.objects[pack.key] = body[: pack.toc_offset // 4]
    with pytest.raises(PackCorrupt, match=pack.key):
        read(payloads, shard)


def test_frame_is_checked_though_the_table_is_kept() -> None:
    payloads, shard = shard_of_runs(rooms(10), pack_bytes=10_000)
    by_id(payloads, shard)
    flip(payloads, shard.layers[0].packs[0].key, 20)
    flip(payloads, shard.layers[0].packs[0].key, shard.layers[0].packs[0].toc_offset - 20)
    with pytest.raises(PackCorrupt, match="checksum"):
        by_scan(payloads, shard)


def test_reading_stops_where_it_may_not_go_on() -> None:
    payloads, shard = shard_of_runs(rooms(300))

    class Over(Exception):
        pass

    def proceed() -> None:
        raise Over

    readings: list[Callable[[], object]] = [
        lambda: find_id(payloads, Serial(), shard.layers, "0007", ["Room"], proceed=proceed),
        lambda: find_id(payloads, Serial(), shard.layers, "0007", proceed=proceed),
        lambda: list(read_keys(payloads, shard, ["Room\x1f0007\x1f/"], proceed=proceed)),
        lambda: list(scan_shard(payloads, shard, proceed=proceed)),
    ]
    for reading in readings:
        with pytest.raises(Over):
            reading()
    assert (payloads.frames, payloads.tables) == ([], [])


def test_recent_keeps_what_was_used_last_within_its_capacity() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    kept: Recent[str, str] = Recent(5, len)
    for name in ("aa", "bb", "aa", "cc", "aa", "bb", "too long", "bb"):
        assert kept.get(name, lambda name=name: make(name)) == name  # type: ignore[misc]
    assert made == ["aa", "bb", "cc", "bb", "too long"]
