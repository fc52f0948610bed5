"""What is read inside a snapshot is what was live at its cut; a history names the snapshots in which that differs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, content, damage, delete, doc, key, live, put, run_restore
from tests.fakes import ManualClock, memory_ports
from tidemark.domain.keys import EntityKey, shard_of
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests, tables
from tidemark.errors import AnswerTooSlow, ManifestCorrupt, PackCorrupt, SnapshotNotCompleted, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.entities import StoredEntity
from tidemark.usecases.entity_history import Change, Period, entity_history
from tidemark.usecases.read_inside import Inside, forget, inside
from tidemark.usecases.restore_snapshot import restore_snapshot

ROOM = key(1)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """No manifest and no table of contents is known at first."""
    forget()
    tables.forget()


@dataclass
class SlowPayloads:
    """Every read takes its time; what was read is noted."""

    port: Any
    clock: ManualClock
    read_s: float = 0.0

    def __post_init__(self) -> None:
        self.read: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def get(self, object_key: str) -> bytes:
        self._take(object_key)
        return bytes(self.port.get(object_key))

    def get_range(self, object_key: str, offset: int, length_bytes: int) -> bytes:
        self._take(object_key)
        return bytes(self.port.get_range(object_key, offset, length_bytes))

    def _take(self, object_key: str) -> None:
        self.read.append(object_key)
        self.clock.advance(self.read_s)


def small_world() -> Ports:
    return replace(memory_ports(), layout=Layout(shards=2, gates=2))


def slow(ports: Ports, read_s: float = 0.0) -> tuple[Ports, SlowPayloads]:
    assert isinstance(ports.clock, ManualClock)
    payloads = SlowPayloads(ports.payloads, ports.clock, read_s)
    return replace(ports, payloads=payloads), payloads


def everything(opened: Inside, *types: str) -> dict[EntityKey, str]:
    return opened.view(lambda found: {one.key: one.doc for one in found}, types=types or None)


type Told = tuple[str, str, EntityKey, str | None]


def history(ports: Ports, entity_id: str, **arguments: Any) -> list[Told]:
    found = entity_history(ports, TENANT, entity_id, **arguments)
    return [(one.snapshot.id, one.change.value, one.key, one.doc) for one in found]


def expected_history(snapshots: list[tuple[Snapshot, dict[EntityKey, str]]], entity_id: str) -> list[Told]:
    """From all that the snapshots hold, oldest first."""
    told: list[Told] = []
    for (_, before), (snapshot, now) in pairwise([(None, {}), *snapshots]):
        assert snapshot is not None
        for one in sorted({k for k in now.keys() | before.keys() if k.id == entity_id}, reverse=True):
            old, new = before.get(one), now.get(one)
            if old != new:
                change = Change.CREATED if old is None else Change.DELETED if new is None else Change.UPDATED
                told.append((snapshot.id, change.value, one, new))
    return told[::-1]


def numbered(number: int) -> EntityKey:
    """Few ids, each under several types and paths."""
    return EntityKey(("Car", "Room")[number % 2], f"e{number // 2 % 3}", ("/", "/a")[number // 6 % 2])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 11), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 11), st.just(0)),
        st.tuples(st.just("snapshot"), st.just(0), st.just(0)),
        st.tuples(st.just("restore"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("forget"), st.integers(0, 5), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(STEPS)
def test_reading_inside_gives_what_was_live_whatever_happened_before_and_since(
    steps: list[tuple[str, int, int]],
) -> None:
    ports = small_world()
    # So many that what changes among the few others is stored as deltas.
    put(ports, {key(number): 1 for number in range(100, 150)})
    taken: list[tuple[Snapshot, dict[EntityKey, str]]] = []
    for step, number, value in steps:
        assert isinstance(ports.clock, ManualClock)
        ports.clock.advance(1)
        if step == "put":
            put(ports, {numbered(number): value})
        elif step == "delete":
            delete(ports, numbered(number))
        elif step == "snapshot":
            taken.append((create_snapshot(ports, TENANT), live(ports)))
        elif taken and step == "restore":
            before = live(ports)
            restore = restore_snapshot(ports, TENANT, taken[number % len(taken)][0].id)
            run_restore(ports, restore.id)
            safety = ports.catalog.restore(TENANT, restore.id).safety_snapshot_id or ""
            taken.append((ports.catalog.snapshot(TENANT, safety), before))
        elif taken:
            delete_snapshot(ports, TENANT, taken.pop(number % len(taken))[0].id)

    for snapshot, expected in taken:
        opened = inside(ports, TENANT, snapshot.id)
        assert list(everything(opened).items()) == sorted(expected.items())
        assert everything(opened) == content(ports, snapshot.id)
        assert everything(opened, "Room") == {k: v for k, v in expected.items() if k.type == "Room"}
        for entity_id in ("e0", "e1", "e2", "none"):
            there = [StoredEntity(k, expected[k]) for k in sorted(expected) if k.id == entity_id]
            assert opened.find(entity_id) == there
            assert opened.find(entity_id, types=["Car"]) == [one for one in there if one.key.type == "Car"]
    for entity_id in ("e0", "e1", "e2", "none"):
        told = expected_history(taken, entity_id)
        assert history(ports, entity_id) == told
        assert history(ports, entity_id, types=["Car"]) == [one for one in told if one[2].type == "Car"]
        assert history(ports, entity_id, admits=lambda k: k.path == "/") == [one for one in told if one[2].path == "/"]


def test_few_entities_wanted_cost_few_reads_though_the_snapshot_is_large() -> None:
    ports = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(ports, {key(number): number for number in range(3000)})
    snapshot = create_snapshot(ports, TENANT)
    watched, payloads = slow(ports)
    opened = inside(watched, TENANT, snapshot.id)
    assert len(opened.view(lambda found: list(islice(found, 20)))) == 20
    assert len(payloads.read) == 1 + 2 * 2, "the manifest, and of each shard a table and a frame"


def test_manifest_and_tables_are_read_once_by_a_process() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(10)})
    snapshot = create_snapshot(ports, TENANT)
    watched, payloads = slow(ports)
    for _ in range(3):
        assert inside(watched, TENANT, snapshot.id).find(ROOM.id, types=["Room"]) == [StoredEntity(ROOM, doc(ROOM, 1))]
    assert len(payloads.read) == 2 + 3


@pytest.mark.parametrize("status", [SnapshotStatus.CREATING, SnapshotStatus.FAILED])
def test_snapshot_that_is_not_completed_is_not_read_and_it_is_said_why(status: SnapshotStatus) -> None:
    ports = small_world()
    put(ports, {ROOM: 1})
    snapshot = create_snapshot(ports, TENANT)
    ports.catalog.replace_snapshot(replace(ports.catalog.snapshot(TENANT, snapshot.id), status=status))
    said = "still being made" if status is SnapshotStatus.CREATING else "failed"
    with pytest.raises(SnapshotNotCompleted, match=f"{snapshot.id}.*{said}"):
        inside(ports, TENANT, snapshot.id)
    assert history(ports, ROOM.id) == []


def test_snapshot_of_another_tenant_or_a_deleted_one_is_not_found() -> None:
    ports = small_world()
    put(ports, {ROOM: 1})
    snapshot = create_snapshot(ports, TENANT)
    with pytest.raises(SnapshotNotFound):
        inside(ports, Tenant("other"), snapshot.id)
    delete_snapshot(ports, TENANT, snapshot.id)
    with pytest.raises(SnapshotNotFound, match="undeleted"):
        inside(ports, TENANT, snapshot.id)


def test_reading_that_takes_too_long_is_refused_with_what_to_narrow() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(100)})
    snapshot = create_snapshot(ports, TENANT)
    watched, payloads = slow(ports, read_s=3)
    with pytest.raises(AnswerTooSlow, match=r"passed; name exact types.*one id.*offset"):
        everything(inside(watched, TENANT, snapshot.id, budget_s=10))
    assert len(payloads.read) == 4, "no read is begun after the time is over"
    tables.forget()
    with pytest.raises(AnswerTooSlow, match="name the entity's type"):
        inside(watched, TENANT, snapshot.id, budget_s=2).find(ROOM.id)


def test_reading_is_refused_in_time_though_no_read_is_needed_any_more() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(100)})
    opened = inside(ports, TENANT, create_snapshot(ports, TENANT).id, budget_s=10)
    clock = ports.clock
    assert isinstance(clock, ManualClock)

    def fold(found: Iterator[StoredEntity]) -> int:
        count = 0
        for _ in found:
            clock.advance(1)
            count += 1
        return count

    with pytest.raises(AnswerTooSlow, match="10 entities were passed"):
        opened.view(fold)


def test_damage_is_noticed_and_named() -> None:
    ports = small_world()
    put(ports, {key(number): number for number in range(10)})
    snapshot = create_snapshot(ports, TENANT)
    assert snapshot.manifest is not None
    for pack in manifests.read(ports.payloads, snapshot.manifest).packs:
        damage(ports, pack.key, 9)
    for reading in (lambda: inside(ports, TENANT, snapshot.id).find(ROOM.id), lambda: history(ports, ROOM.id)):
        with pytest.raises(PackCorrupt, match=r"smartcity/packs/.*\.pack is damaged"):
            reading()
    forget()
    damage(ports, snapshot.manifest.key)
    with pytest.raises(ManifestCorrupt, match=snapshot.manifest.key):
        inside(ports, TENANT, snapshot.id)


def many_snapshots(ports: Ports, count: int, changes: dict[int, dict[EntityKey, int]]) -> list[Snapshot]:
    """Snapshots an hour apart, with changes before those with these numbers."""
    clock = ports.clock
    assert isinstance(clock, ManualClock)
    snapshots = []
    for number in range(count):
        if number in changes:
            put(ports, changes[number])
        snapshots.append(create_snapshot(ports, TENANT))
        clock.advance(3600)
    return snapshots


def test_history_reads_no_pack_of_snapshots_that_share_their_layers() -> None:
    ports = small_world()
    elsewhere = next(one for one in map(key, range(500, 600)) if shard_of(one.id, 2) != shard_of(ROOM.id, 2))
    snapshots = many_snapshots(ports, 40, {0: {ROOM: 1}, 7: {elsewhere: 1}, 20: {ROOM: 2}, 30: {elsewhere: 2}})
    watched, payloads = slow(ports)
    assert history(watched, ROOM.id) == [
        (snapshots[20].id, "updated", ROOM, doc(ROOM, 2)),
        (snapshots[0].id, "created", ROOM, doc(ROOM, 1)),
    ]
    read = [name for name in payloads.read if name.endswith(".pack")]
    assert len(read) == 4, "a table and a frame of each of two layers"
    assert len(payloads.read) - len(read) == 40


def test_history_looks_only_at_deltas_while_they_do_not_mention_the_entity() -> None:
    ports = small_world()
    beside = [one for one in map(key, range(400, 600)) if shard_of(one.id, 2) == shard_of(key(500).id, 2)]
    put(ports, dict.fromkeys(beside, 0))
    changes = {number: {beside[0]: number, beside[-1]: number} for number in range(1, 5)}
    snapshots = many_snapshots(ports, 5, changes)
    watched, payloads = slow(ports)
    assert history(watched, key(500).id, period=Period(since=snapshots[1].created_at)) == []
    packs = [name for name in payloads.read if name.endswith(".pack")]
    assert len(packs) == 8, "a table and a frame of each of four deltas"
    assert not any("-base-" in name for name in packs)
    assert history(watched, key(500).id) == [(snapshots[0].id, "created", key(500), doc(key(500), 0))]


def test_history_is_of_a_period_and_still_knows_what_was_before_it() -> None:
    ports = small_world()
    snapshots = many_snapshots(ports, 20, {number: {ROOM: number} for number in range(0, 20, 2)})
    whole = history(ports, ROOM.id)
    assert [one[0] for one in whole] == [snapshots[number].id for number in range(18, -1, -2)]
    period = Period(snapshots[4].created_at, snapshots[10].created_at)
    assert history(ports, ROOM.id, period=period) == [
        one for one in whole if one[0] in {snapshots[n].id for n in (4, 6, 8)}
    ]
    assert history(ports, ROOM.id, period=period)[-1][1] == "updated"
    late = Period(since=snapshots[19].created_at + timedelta(days=1))
    assert history(ports, ROOM.id, period=late) == []
    assert history(ports, ROOM.id, period=Period(until=snapshots[0].created_at)) == []


def test_history_that_takes_too_long_is_refused_with_what_to_narrow() -> None:
    ports = small_world()
    snapshots = many_snapshots(ports, 40, {number: {ROOM: number} for number in range(40)})
    watched, _ = slow(ports, read_s=1)
    found = entity_history(watched, TENANT, ROOM.id, budget_s=90)
    first = next(found)
    assert first.snapshot.id == snapshots[39].id
    with pytest.raises(AnswerTooSlow, match=r"came back to snapshot_.*type.*limit.*from and to"):
        list(found)
