"""Reading a snapshot back: objects whose checksums are right and whose content is still not what it should be."""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, delete, key, put
from tests.fakes import MemoryPayloads, memory_ports
from tidemark.domain.digest import SetDigest
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import SEPARATOR
from tidemark.domain.live import Cut, Layout
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId, Snapshot
from tidemark.engine import manifests
from tidemark.engine.packs import build_pack, check_whole, describe
from tidemark.engine.records import Record, record
from tidemark.engine.verification import Checked, check_manifest, check_pack, check_shard
from tidemark.errors import BudgetSpent, ManifestCorrupt, PackCorrupt
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

MANIFEST = "smartcity/manifests/x.json.zst"
_TOC = struct.Struct("<II")


def name(number: int) -> str:
    return f"Room{SEPARATOR}{number:04d}{SEPARATOR}/"


def was(number: int) -> str | None:
    """The fingerprint of an entity in a base."""
    return fingerprint(f'{{"n":{number}}}')


def base_records(count: int, first: int = 0) -> list[Record]:
    return [record(name(number), f'{{"n":{number}}}') for number in range(first, first + count)]


def stored(payloads: MemoryPayloads, records: list[Record], number: int = 0) -> PackRef:
    built = build_pack(records)
    assert built is not None
    pack_key = f"smartcity/packs/c/000-{number:05d}.pack"
    payloads.objects[pack_key] = built.body
    return describe(pack_key, built.body)


def layer(*packs: PackRef, kind: LayerKind = LayerKind.BASE) -> Layer:
    count, raw_bytes = sum(pack.records for pack in packs), sum(pack.raw_bytes for pack in packs)
    return Layer(kind, CaptureId("c"), Cut(1), count, raw_bytes, packs)


def delta_layer(payloads: MemoryPayloads, records: list[Record], number: int) -> Layer:
    return layer(stored(payloads, records, number), kind=LayerKind.DELTA)


def shard(*layers: Layer, digest: str | None = None) -> ShardManifest:
    return ShardManifest(0, sum(one.net for one in layers), digest, layers)


def check(payloads: MemoryPayloads, found: ShardManifest) -> Checked:
    return check_shard(payloads, MANIFEST, found, lambda: None)


def digest_of(records: list[Record]) -> str:
    digest = SetDigest()
    for one in records:
        digest.add(one.line)
    return digest.hex


@pytest.fixture
def payloads() -> MemoryPayloads:
    return MemoryPayloads()


def layered(payloads: MemoryPayloads) -> ShardManifest:
    """Ten entities in two packs, of which the delta changes one, deletes one and adds one."""
    delta = [
        record(name(3), '{"n":33}', was=was(3)),
        record(name(4), None, was=was(4)),
        record(name(50), '{"n":50}'),
    ]
    base = layer(stored(payloads, base_records(6)), stored(payloads, base_records(4, first=6), 1))
    return shard(base, delta_layer(payloads, delta, 2))


def test_check_shard_counts_what_it_read(payloads: MemoryPayloads) -> None:
    found = layered(payloads)
    assert check(payloads, found) == Checked(3, sum(len(body) for body in payloads.objects.values()))
    merged = [one for one in base_records(10) if one.key not in {name(3), name(4)}]
    merged += [record(name(3), '{"n":33}'), record(name(50), '{"n":50}')]
    assert check(payloads, replace(found, digest=digest_of(merged))).packs == 3


def test_check_shard_reads_each_pack_once(payloads: MemoryPayloads) -> None:
    found = layered(payloads)
    reads: list[str] = []

    class Counting(MemoryPayloads):
        def get(self, key: str) -> bytes:
            reads.append(key)
            return payloads.get(key)

    check(Counting(), found)
    assert sorted(reads) == sorted(payloads.objects)


def test_check_shard_stops_before_a_pack_when_it_is_told_to(payloads: MemoryPayloads) -> None:
    def stop() -> None:
        raise BudgetSpent("enough")

    with pytest.raises(BudgetSpent):
        check_shard(payloads, MANIFEST, layered(payloads), stop)


def _without_last(packs: tuple[PackRef, ...]) -> tuple[PackRef, ...]:
    return packs[:-1]


LIES: dict[str, tuple[Callable[[ShardManifest], ShardManifest], str]] = {
    "count": (lambda one: replace(one, records=one.records + 1), "11 records"),
    "digest": (lambda one: replace(one, digest="0" * 64), "digest of other entities"),
    "no base": (lambda one: replace(one, layers=one.layers[1:]), "one base below"),
    "two bases": (lambda one: replace(one, layers=(one.layers[0], *one.layers[:1])), "one base below"),
    "layers upside down": (lambda one: replace(one, layers=one.layers[::-1]), "one base below"),
    "count of a layer": (
        lambda one: replace(one, layers=(replace(one.layers[0], records=9), one.layers[1])),
        "not the sum of its packs",
    ),
    "size of a layer": (
        lambda one: replace(one, layers=(replace(one.layers[0], raw_bytes=9), one.layers[1])),
        "not the sum of its packs",
    ),
    "order of packs": (
        lambda one: replace(one, layers=(replace(one.layers[0], packs=one.layers[0].packs[::-1]), one.layers[1])),
        "out of order",
    ),
    "pack left out": (
        lambda one: replace(one, records=6, layers=(layer(*_without_last(one.layers[0].packs)), one.layers[1])),
        "",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_check_shard_names_the_manifest_when_its_line_is_not_what_the_packs_hold(
    payloads: MemoryPayloads, lie: str
) -> None:
    change, said = LIES[lie]
    found = change(layered(payloads))
    if lie == "pack left out":
        # It adds up, and every record is in order: that is what the digest is for.
        whole = layered(payloads)
        merged = [one for one in base_records(10) if one.key not in {name(3), name(4)}]
        found = replace(found, digest=digest_of([*merged, record(name(3), '{"n":33}'), record(name(50), "1")]))
        assert found.records != whole.records
    with pytest.raises(ManifestCorrupt, match=f"{MANIFEST}, shard 0.*{said}"):
        check(payloads, found)


@pytest.mark.parametrize(
    "lines",
    [
        [record(name(3), '{"n":33}')],
        [record(name(3), '{"n":33}', was=was(4))],
        [record(name(4), None, was=was(3))],
        [record(name(50), '{"n":50}', was=was(50))],
        [record(name(50), None, was=was(50))],
        [record(name(3), '{"n":33}', was=was(3)), record(name(3), '{"n":34}', was=was(3))],
        [record(name(3), None, was=was(3)), record(name(3), '{"n":34}', was=was(3))],
    ],
    ids=["new", "updated", "deleted", "updated without", "deleted without", "second delta", "after a delete"],
)
def test_check_shard_names_the_entity_when_a_delta_was_made_from_something_else(
    payloads: MemoryPayloads, lines: list[Record]
) -> None:
    base = layer(stored(payloads, base_records(6)))
    deltas = [delta_layer(payloads, [line], number) for number, line in enumerate(lines, start=1)]
    entity = "Room 00(03|04|50) /"
    with pytest.raises(ManifestCorrupt, match=f"{MANIFEST}, shard 0.*'{entity}' that something else lies below it"):
        check(payloads, shard(base, *deltas))


def test_check_shard_names_the_pack_when_its_records_add_up_to_another_net(payloads: MemoryPayloads) -> None:
    base = layer(stored(payloads, base_records(6)))
    lying = stored(payloads, [record(name(3), None, was=was(3)), record(name(50), '{"n":50}')], 1)
    body = with_toc(payloads.objects[lying.key], lambda toc: toc.update(net=2))
    payloads.objects[lying.key] = body
    pack = describe(lying.key, body)
    with pytest.raises(PackCorrupt, match=f"{pack.key} says that it adds 2 entities, its records add 0"):
        check(payloads, shard(base, layer(pack, kind=LayerKind.DELTA)))


@pytest.mark.parametrize("value", [None, "{}"], ids=["tombstone", "update"])
def test_check_shard_names_the_shard_when_a_base_has_a_record_of_a_delta(
    payloads: MemoryPayloads, value: str | None
) -> None:
    pack = stored(payloads, [*base_records(2), record(name(7), value, was=was(7))])
    with pytest.raises(ManifestCorrupt, match=f"{MANIFEST}, shard 0.*a base with records that only deltas have"):
        check(payloads, shard(layer(pack)))
    body = with_toc(payloads.objects[pack.key], lambda toc: toc.update(net=3))
    payloads.objects[pack.key] = body
    with pytest.raises(PackCorrupt, match=f"{pack.key} says that it adds 3"):
        check(payloads, shard(layer(describe(pack.key, body))))


@pytest.mark.parametrize("order", [[1, 0], [0, 0], [0, 2, 1]])
def test_check_shard_names_the_pack_when_its_records_are_out_of_order(
    payloads: MemoryPayloads, order: list[int]
) -> None:
    pack = stored(payloads, [base_records(3)[number] for number in order])
    with pytest.raises(PackCorrupt, match=f"{pack.key} has records out of order"):
        check(payloads, shard(layer(pack)))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"key":["Room","1","/"]}',
        b'{"key":["Room","1","/"],"value":{}',
        b'{"key":["Room","1","/"],"value":{},"more":1}',
        b'{"key":["Room","1","/"],"value":{},"new":true}',
        b'{"key":["Room","1","/"],"value":{},"was":"AAAA"}',
        b'{"key":["Room","1","/"],"value":{},"was":null}',
        b'{"key":["Room","1","/"],"value":{},"was":"AAAAAAAA","was":"AAAAAAAA"}',
        b'{"key":["Room","1","/"],"was":"AAAAAAAA","value":{}}',
        b'{"key":["Room","1","/"],"value":,"was":"AAAAAAAA"}',
        b'{"key":["Room","1","/"],"tombstone":true}',
        b'{"key":["Room","1","/"],"tombstone":true,"was":"AAAA"}',
        b'{"key":["Room","1","/"],"tombstone":false,"was":"AAAAAAAA"}',
        b'{"key":["Room","1", "/"],"value":{}}',
        b'{"key":["Roo\\u006d","1","/"],"value":{}}',
        b'{"key":["Room","1","/"],"value":"\xff"}',
        b'{"tombstone":true,"key":["Room","1","/"]}',
        b'{"key":"Room","value":{}}',
        b"null",
    ],
)
def test_check_shard_names_the_pack_when_a_line_is_no_record(payloads: MemoryPayloads, line: bytes) -> None:
    pack = stored(payloads, [Record(name(1), b"", line)])
    with pytest.raises(PackCorrupt, match=f"{pack.key} cannot be read"):
        check(payloads, shard(layer(pack)))


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 2},
        {"records": 5},
        {"net": 5},
        {"raw_bytes": 1},
        {"first_key": "A"},
        {"last_key": "Z"},
        {"toc_offset": 3},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_check_pack_names_the_pack_when_its_reference_says_something_else(
    payloads: MemoryPayloads, changes: dict[str, Any]
) -> None:
    pack = replace(stored(payloads, base_records(6)), **changes)
    with pytest.raises(PackCorrupt, match=f"{pack.key} is not the one that the manifest describes"):
        list(check_pack(payloads, pack))


def with_toc(body: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A pack with another table of contents, well formed."""
    pack = describe("k", body)
    toc = json.loads(body[pack.toc_offset + 8 : -8])
    change(toc)
    text = json.dumps(toc).encode()
    payload = text + struct.pack("<I4s", len(text), b"TMRK")
    return body[: pack.toc_offset] + _TOC.pack(0x184D2A54, len(payload)) + payload


def shift_a_record(toc: dict[str, Any]) -> None:
    """Count one record in another frame: the sum stays."""
    toc["frames"][0]["records"] += 1
    toc["frames"][1]["records"] -= 1


TABLES: list[Callable[[dict[str, Any]], object]] = [
    lambda toc: toc.update(records=7),
    lambda toc: toc.update(rawBytes=7),
    lambda toc: toc.update(lastKey=["Room", "9999", "/"]),
    lambda toc: toc["frames"][0].update(records=7),
    lambda toc: toc["frames"][0].update(firstKey=["Room", "0001", "/"]),
    lambda toc: toc["frames"].append(toc["frames"][0]),
    lambda toc: toc.update(frames=toc["frames"][1:]),
    shift_a_record,
]


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_check_whole_names_the_pack_when_its_table_of_contents_lies(number: int) -> None:
    noise = [record(name(one), f'"{hashlib.shake_128(str(one).encode()).hexdigest(200_000)}"') for one in range(6)]
    built = build_pack(noise)
    assert built is not None
    assert len(built.toc.frames) > 1
    assert [one.line for one in check_whole("some.pack", built.body)] == [one.line for one in noise]
    with pytest.raises(PackCorrupt, match=r"some\.pack"):
        list(check_whole("some.pack", with_toc(built.body, TABLES[number])))


# --- whole snapshots


def world() -> tuple[Ports, Snapshot]:
    ports = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(ports, {key(number): number for number in range(100)})
    create_snapshot(ports, TENANT)
    put(ports, {key(5): 55, key(500): 1})
    delete(ports, key(6))
    return ports, create_snapshot(ports, TENANT)


def test_every_shard_of_a_snapshot_is_good_as_it_was_captured() -> None:
    ports, snapshot = world()
    manifest = check_manifest(ports.payloads, snapshot)
    found = [check_shard(ports.payloads, MANIFEST, one, lambda: None) for one in manifest.shards]
    assert sum(one.packs for one in found) == len(manifest.packs)
    assert sum(one.size_bytes for one in found) == snapshot.stored_bytes


@pytest.mark.parametrize(
    "changes",
    [
        {"entity_count": 1},
        {"stored_bytes": 1},
        {"capture_id": "other"},
        {"generation": 9},
        {"cut": 9},
        {"id": "snapshot_2020-01-01T00-00-00Z"},
        {"tenant": "other"},
        {"manifest": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_check_manifest_is_refused_when_the_record_says_something_else(changes: dict[str, Any]) -> None:
    ports, snapshot = world()
    with pytest.raises(ManifestCorrupt, match="snapshot_20"):
        check_manifest(ports.payloads, replace(snapshot, **changes))


def test_check_manifest_is_refused_when_it_is_that_of_another_snapshot() -> None:
    ports, snapshot = world()
    *_, first = ports.catalog.snapshots(TENANT)
    assert manifests.read(ports.payloads, first.manifest) if first.manifest else None
    with pytest.raises(ManifestCorrupt, match="is of another snapshot"):
        check_manifest(ports.payloads, replace(snapshot, manifest=first.manifest))
