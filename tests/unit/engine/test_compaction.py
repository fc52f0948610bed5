"""Deltas are merged into one that says the same: in few layers, seldom anew, and pack by pack like any other copy."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.driving import TENANT, content, delete, key, live, put
from tests.fakes import MemoryPayloads, memory_ports
from tests.unit.engine.disturbed import KEYS, Counter, Death, numbered, settle, world
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation, Layout
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId, SnapshotStatus
from tidemark.engine import copying, manifests, packs
from tidemark.engine.copying import MAX_DELTAS, ShardCut, deltas_to_merge
from tidemark.engine.merge import read_changes, read_shard
from tidemark.engine.packs import build_pack, describe
from tidemark.engine.records import Record, parse_lines, record
from tidemark.engine.verification import check_shard
from tidemark.errors import BudgetSpent, PackCorrupt
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

type Entities = dict[int, int]

# --- which deltas are merged


def written_by_merges(sizes_bytes: list[float]) -> float:
    """What merges write while captures store deltas of these sizes, none of which has a key of another."""
    deltas: list[float] = []
    written: float = 0
    for size in sizes_bytes:
        deltas.append(size)
        if count := deltas_to_merge(deltas):
            deltas[-count:] = [sum(deltas[-count:])]
            written += deltas[-1]
        assert len(deltas) <= MAX_DELTAS
    return written


@pytest.mark.parametrize(
    ("share", "days", "bases"),
    [(0.01, 30, 0.35), (0.01, 50, 0.9), (0.001, 500, 2), (0.0001, 5000, 3.2)],
    ids=["30 days of 1 %", "until 1 % a day make half", "0.1 %", "0.01 %"],
)
def test_merges_write_little_while_changes_add_up_to_half_of_the_base(share: float, days: int, bases: float) -> None:
    assert 0.2 < written_by_merges([share] * days) < bases


@given(st.lists(st.integers(1, 1000), max_size=200))
def test_no_more_deltas_are_kept_than_may_be_and_each_record_is_merged_a_few_times(sizes_bytes: list[int]) -> None:
    assert written_by_merges([float(size) for size in sizes_bytes]) <= 10 * sum(sizes_bytes)


def test_merge_leaves_an_older_delta_alone_that_is_much_larger_than_all_newer_ones() -> None:
    assert deltas_to_merge([1.0] * MAX_DELTAS) == 0
    assert deltas_to_merge([1.0] * (MAX_DELTAS + 1)) == MAX_DELTAS + 1
    assert deltas_to_merge([17.0] + [1.0] * MAX_DELTAS) == MAX_DELTAS
    assert deltas_to_merge([16.0] + [1.0] * MAX_DELTAS) == MAX_DELTAS + 1
    assert deltas_to_merge([4.0**number for number in range(MAX_DELTAS + 1, 0, -1)]) == 2


# --- what a merged delta says


def sort_key(number: int) -> str:
    return key(number).sort_key


def value_of(value: int) -> str:
    return f'{{"value":{value},"was":"AAAAAAAA"}}'


def was(entities: Entities, number: int) -> str | None:
    return fingerprint(value_of(entities[number])) if number in entities else None


def delta_between(before: Entities, after: Entities) -> list[Record]:
    changed = sorted(number for number in before | after if before.get(number) != after.get(number))
    return [
        record(sort_key(number), value_of(after[number]) if number in after else None, was=was(before, number))
        for number in changed
    ]


def stored_layer(payloads: MemoryPayloads, records: list[Record], kind: LayerKind, name: str) -> Layer:
    left = iter(records)
    refs: list[PackRef] = []
    while (built := build_pack(left)) is not None:
        pack_key = f"{TENANT}/packs/{name}/000-{kind}-{len(refs):05d}.pack"
        payloads.objects[pack_key] = built.body
        refs.append(describe(pack_key, built.body))
    raw_bytes = sum(ref.raw_bytes for ref in refs)
    return Layer(kind, CaptureId(name), Cut(1), len(records), raw_bytes, tuple(refs))


def stored_states(payloads: MemoryPayloads, states: list[Entities]) -> ShardManifest:
    """A shard that was in these states one after another: the first in a base, the others in deltas."""
    base = [record(sort_key(number), value_of(value)) for number, value in sorted(states[0].items())]
    layers = [stored_layer(payloads, base, LayerKind.BASE, "c0")]
    for number in range(1, len(states)):
        delta = delta_between(states[number - 1], states[number])
        layers.append(stored_layer(payloads, delta, LayerKind.DELTA, f"c{number}"))
    return ShardManifest(0, len(states[-1]), None, tuple(layers))


STATES = st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 3)), min_size=2, max_size=7)


@given(STATES, st.integers(0, 6))
def test_merged_delta_is_the_one_that_a_capture_from_the_layers_below_would_make(
    states: list[Entities], from_number: int
) -> None:
    payloads = MemoryPayloads()
    shard = stored_states(payloads, states)
    below = min(from_number, len(states) - 2)
    merged = list(read_changes(payloads, shard.layers[below + 1 :]))
    assert merged == delta_between(states[below], states[-1])
    for start in range(10):
        wanted = [one for one in merged if one.key >= sort_key(start)]
        assert list(read_changes(payloads, shard.layers[below + 1 :], from_key=sort_key(start))) == wanted


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (record(sort_key(1), "{}", was="AAAAAAAA"), record(sort_key(1), "{}")),
        (record(sort_key(1), "{}"), record(sort_key(1), "{}")),
        (record(sort_key(1), "{}"), record(sort_key(1), '{"a":1}', was="AAAAAAAA")),
        (record(sort_key(1), None, was="AAAAAAAA"), record(sort_key(1), "{}", was="AAAAAAAA")),
        (record(sort_key(1), None, was="AAAAAAAA"), record(sort_key(1), None, was="AAAAAAAA")),
    ],
    ids=["new where it was", "new twice", "made from something else", "not new where it was deleted", "deleted twice"],
)
def test_deltas_that_contradict_each_other_are_not_merged(earlier: Record, later: Record) -> None:
    payloads = MemoryPayloads()
    deltas = [stored_layer(payloads, [one], LayerKind.DELTA, f"c{at}") for at, one in enumerate((earlier, later))]
    with pytest.raises(PackCorrupt, match="contradict each other"):
        list(read_changes(payloads, deltas))


# --- merging in a capture

COUNT = 300
MERGED = "000-merged-"


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few entities a pack, so that a merged delta has several."""
    monkeypatch.setattr(packs, "FRAME_RAW_BYTES", 500)
    monkeypatch.setattr(packs, "PACK_BYTES", 100)


def before_a_merge(payloads: MemoryPayloads) -> tuple[Ports, ShardCut]:
    """A shard with as many deltas as may be, and the capture of one more."""
    ports = replace(memory_ports(), payloads=payloads, layout=Layout(shards=1, gates=1))
    put(ports, dict.fromkeys(map(key, range(COUNT)), 0))
    snapshot = create_snapshot(ports, TENANT)
    for number in range(1, MAX_DELTAS + 2):
        put(ports, {key((37 * number + 5 * one) % (COUNT + 9)): number for one in range(12)})
        delete(ports, key(number), key(COUNT - number))
        if number <= MAX_DELTAS:
            snapshot = create_snapshot(ports, TENANT)
    assert snapshot.manifest is not None
    (shard,) = manifests.read(ports.payloads, snapshot.manifest).shards
    assert len(shard.layers) == 1 + MAX_DELTAS
    assert snapshot.cut is not None
    return ports, ShardCut(
        TENANT, CaptureId("merging"), Generation(1), Cut(snapshot.cut + 1), 0, shard, Cut(snapshot.cut)
    )


def merged_packs(payloads: MemoryPayloads) -> list[str]:
    return sorted(name for name in payloads.objects if MERGED in name)


def holds_what_is_live(ports: Ports, shard: ShardManifest) -> None:
    found = {EntityKey.parse(one.key): (one.value or b"").decode() for one in read_shard(ports.payloads, shard)}
    assert found == live(ports)
    assert shard.records == len(found)
    check_shard(ports.payloads, "manifest", shard, lambda: None)


@pytest.mark.usefixtures("small_packs")
def test_merge_goes_on_behind_the_packs_that_are_stored() -> None:
    payloads = MemoryPayloads()
    ports, job = before_a_merge(payloads)
    shard: ShardManifest | None = None
    stops = 0
    while shard is None:
        before = {name: payloads.objects[name] for name in merged_packs(payloads)}

        def stop_after_one_more(start: int = len(before)) -> None:
            if len(merged_packs(payloads)) > start:
                raise BudgetSpent("enough")

        try:
            shard = copying.copy_shard(ports, job, stop_after_one_more)
        except BudgetSpent:
            stops += 1
        assert before.items() <= payloads.objects.items()
        assert stops < 100, "it never ends"
    assert len(shard.layers) == 2
    assert stops == len(shard.layers[1].packs) > 5
    holds_what_is_live(ports, shard)

    undisturbed = MemoryPayloads()
    assert copying.copy_shard(*before_a_merge(undisturbed), lambda: None) == shard
    assert undisturbed.objects == payloads.objects


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("number", [0, 1, 3])
def test_merge_goes_on_behind_a_pack_that_another_worker_stored_meanwhile(number: int) -> None:
    class Contested(MemoryPayloads):
        """Another worker, that makes its packs of one record each, is the faster one once."""

        def put(self, key: str, body: bytes) -> None:
            if key.endswith(f"{MERGED}{number:05d}.pack"):
                built = build_pack(list(parsed(key, body))[:1])
                assert built is not None
                self.objects[key] = built.body
            super().put(key, body)

    payloads = Contested()
    ports, job = before_a_merge(payloads)
    shard = copying.copy_shard(ports, job, lambda: None)
    assert shard.layers[-1].packs[number].records == 1
    holds_what_is_live(ports, shard)


def parsed(name: str, body: bytes) -> Iterator[Record]:
    return parse_lines(b"".join(line + b"\n" for line in packs.lines_of(name, body)))


def test_capture_fails_when_merged_deltas_do_not_add_up_to_what_they_said() -> None:
    payloads = MemoryPayloads()
    ports, job = before_a_merge(payloads)
    assert job.base is not None
    *below, last = job.base.layers
    lying = replace(last, packs=tuple(replace(pack, net=pack.net + 1) for pack in last.packs))
    with pytest.raises(PackCorrupt, match="shard 0: merged deltas should add"):
        copying.copy_shard(ports, job._replace(base=replace(job.base, layers=(*below, lying))), lambda: None)


def test_merged_delta_without_a_line_is_no_layer() -> None:
    """What was created and deleted since the base leaves nothing."""
    ports = replace(memory_ports(), layout=Layout(shards=1, gates=1))
    put(ports, dict.fromkeys(map(key, range(COUNT)), 0))
    create_snapshot(ports, TENANT)
    for number in range(MAX_DELTAS):
        put(ports, {key(COUNT): number})
        create_snapshot(ports, TENANT)
    delete(ports, key(COUNT))
    snapshot = create_snapshot(ports, TENANT)
    assert snapshot.manifest is not None
    (shard,) = manifests.read(ports.payloads, snapshot.manifest).shards
    assert [layer.kind for layer in shard.layers] == [LayerKind.BASE]
    holds_what_is_live(ports, shard)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_capture_that_merges_ends_well_when_its_request_dies_at_any_call(
    monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """With few entities, of which more than half change: deltas are never too large here."""
    monkeypatch.setattr(copying, "MAX_DELTAS", 1)
    monkeypatch.setattr(copying, "COMPACT_SHARE", 100)

    def prepared() -> Ports:
        ports = world()
        for number in range(2):
            create_snapshot(ports, TENANT)
            put(ports, {KEYS[2]: number, key(90 + number): number, KEYS[5 + number]: 9})
            delete(ports, KEYS[8 + number])
        return ports

    ports, counter = prepared(), Counter()
    create_snapshot(numbered(ports, counter), TENANT)
    assert any(MERGED in name for name in ports.payloads.objects)  # type: ignore[attr-defined]
    for fatal in range(1, counter.calls + 1):
        ports = prepared()
        held = {one.id: content(ports, one.id) for one in ports.catalog.snapshots(TENANT)}
        before = live(ports)
        with pytest.raises(Death):
            create_snapshot(numbered(ports, Counter(fatal, after=after)), TENANT)
        settle(ports)
        for snapshot in ports.catalog.snapshots(TENANT):
            if snapshot.status is SnapshotStatus.COMPLETED:
                assert content(ports, snapshot.id) == held.get(snapshot.id, before), fatal
        assert create_snapshot(ports, TENANT).status is SnapshotStatus.COMPLETED
