"""Packs: what is stored is plain NDJSON for zstd, found by key range, and every damage is noticed."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import driving
from tests.fakes import MemoryPayloads, memory_ports
from tidemark.domain.live import Cut, Layout
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.engine import packs
from tidemark.engine.merge import read_shard
from tidemark.engine.packs import build_pack, describe, lines_of, read_pack
from tidemark.engine.records import Record, record
from tidemark.errors import PackCorrupt
from tidemark.usecases.create_snapshot import create_snapshot

KEY = "t/packs/c/000-00000.pack"


def records(count: int, size: int = 2000) -> list[Record]:
    return [record(f"Room\x1f{number:06d}\x1f/", f'{{"n":{number},"text":"{"x" * size}"}}') for number in range(count)]


def stored(found: list[Record]) -> tuple[MemoryPayloads, PackRef]:
    payloads = MemoryPayloads()
    built = build_pack(found)
    assert built is not None
    payloads.put(KEY, built.body)
    return payloads, describe(KEY, built.body)


def test_build_pack_gives_the_same_bytes_for_the_same_records() -> None:
    first, second = build_pack(records(300)), build_pack(records(300))
    assert first is not None
    assert second is not None
    assert first.body == second.body


def test_build_pack_gives_none_when_there_are_no_records() -> None:
    assert build_pack([]) is None


def test_read_pack_returns_every_record_in_order() -> None:
    payloads, pack = stored(records(1000))
    assert pack.frames > 2
    assert list(read_pack(payloads, pack)) == records(1000)
    assert (pack.records, pack.first_key, pack.last_key) == (1000, "Room\x1f000000\x1f/", "Room\x1f000999\x1f/")
    assert list(lines_of(KEY, payloads.get(KEY))) == [one.line for one in records(1000)]


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_read_pack_returns_exactly_the_records_of_a_range(start: int, stop: int) -> None:
    found = list(read_pack(PAYLOADS, PACK, from_key=f"Room\x1f{start:06d}\x1f/", to_key=f"Room\x1f{stop:06d}\x1f/"))
    assert found == records(1000)[start:stop]


PAYLOADS, PACK = stored(records(1000))


def test_read_pack_reads_only_the_frames_of_the_range() -> None:
    payloads, pack = stored(records(2000))
    reads: list[int] = []

    class Counting(MemoryPayloads):
        def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
            reads.append(length_bytes)
            return payloads.get_range(key, offset, length_bytes)

    one = list(read_pack(Counting(), pack, from_key="Room\x1f001500\x1f/", to_key="Room\x1f001501\x1f/"))
    assert [found.key for found in one] == ["Room\x1f001500\x1f/"]
    assert len(reads) == 2
    assert reads[1] < pack.toc_offset / 3


def test_build_pack_stops_at_its_size_and_takes_no_record_further() -> None:
    def endless() -> Iterator[Record]:
        number = 0
        while True:
            yield records_noise(number)
            number += 1

    source = endless()
    built = build_pack(source)
    assert built is not None
    assert packs.PACK_BYTES <= len(built.body) < packs.PACK_BYTES + 2 * packs.FRAME_RAW_BYTES
    following = next(source)
    assert following.key == records_noise(built.toc.records).key


def records_noise(number: int) -> Record:
    return record(f"Room\x1f{number:08d}\x1f/", f'"{hashlib.shake_128(str(number).encode()).hexdigest(8000)}"')


needs_plain_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("zstdcat", "jq"))),
    reason="zstdcat and jq, with which people read packs, are not installed: apt-get install zstd jq",
)


def shell(command: str, folder: Path) -> list[str]:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


@needs_plain_tools
def test_zstdcat_and_jq_print_the_entities_of_a_pack(tmp_path: Path) -> None:
    payloads, _pack = stored(records(700))
    (tmp_path / "some.pack").write_bytes(payloads.get(KEY))
    printed = shell("zstdcat some.pack | jq -c .value", tmp_path)
    assert printed == [(one.value or b"").decode() for one in records(700)]


@needs_plain_tools
def test_snapshot_is_read_without_tidemark_by_the_commands_of_the_readme(tmp_path: Path) -> None:
    """With zstdcat and jq alone: packs in the manifest's order, base first, and the last word of each key."""
    ports = replace(memory_ports(), layout=Layout(shards=4, gates=1))
    driving.put(ports, {driving.key(number): number for number in range(60)})
    create_snapshot(ports, driving.TENANT)
    driving.put(ports, {driving.key(3): 33, driving.key(600): 1})
    driving.delete(ports, driving.key(4), driving.key(5))
    snapshot = create_snapshot(ports, driving.TENANT)
    assert snapshot.manifest is not None
    for stored_object in ports.payloads.list(""):
        path = tmp_path / stored_object.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ports.payloads.get(stored_object.key))
    command = f"""
        zstdcat {snapshot.manifest.key} | jq -r '.layers[]?.packs[].key' \\
        | xargs zstdcat \\
        | jq -nc 'reduce inputs as $r ({{}}; .[$r.key | tojson] = $r) | .[] | select(.tombstone | not) | .value'
    """
    printed = {json.dumps(json.loads(line), sort_keys=True) for line in shell(command, tmp_path)}
    assert printed == {json.dumps(json.loads(doc), sort_keys=True) for doc in driving.live(ports).values()}
    assert len(printed) == 59


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed: apt-get install zstd")
def test_zstd_prints_a_pack_as_plain_record_lines(tmp_path: object) -> None:
    payloads, _pack = stored(records(700))
    done = subprocess.run(["zstd", "-dc"], input=payloads.get(KEY), capture_output=True, check=True)
    assert done.stdout.splitlines() == [one.line for one in records(700)]


def test_every_flipped_bit_is_noticed_and_named() -> None:
    payloads, pack = stored(records(60, size=50))
    good = payloads.get(KEY)
    for offset in range(len(good)):
        payloads.objects[KEY] = good[:offset] + bytes([good[offset] ^ 1]) + good[offset + 1 :]
        with pytest.raises(PackCorrupt, match=KEY):
            list(read_pack(payloads, pack))


@pytest.mark.parametrize("damage", ["truncated", "extended", "missing", "swapped", "empty"])
def test_other_damage_is_noticed_and_named(damage: str) -> None:
    payloads, pack = stored(records(60, size=50))
    other, _ = stored(records(61, size=50))
    good = payloads.objects.pop(KEY)
    bad = {
        "truncated": good[:-9],
        "extended": b"x" + good,
        "swapped": other.get(KEY),
        "empty": b"",
        "missing": None,
    }[damage]
    if bad is not None:
        payloads.objects[KEY] = bad
    with pytest.raises(PackCorrupt, match=KEY):
        list(read_pack(payloads, pack))


@pytest.mark.parametrize("read", [describe, lambda key, body: list(lines_of(key, body))], ids=["describe", "lines_of"])
def test_what_is_not_a_pack_is_refused(read: Callable[[str, bytes], object]) -> None:
    built = build_pack(records(10))
    assert built is not None
    for body in (b"", b"short", bytes(100), built.body[:-1], built.body[10:]):
        with pytest.raises(PackCorrupt, match=KEY):
            read(KEY, body)


def shard_of_layers(*layers: list[Record]) -> tuple[MemoryPayloads, ShardManifest]:
    payloads = MemoryPayloads()
    made = []
    for number, found in enumerate(layers):
        built = build_pack(found)
        assert built is not None
        key = f"t/packs/c{number}/000-00000.pack"
        payloads.put(key, built.body)
        reference = describe(key, built.body)
        kind = LayerKind.DELTA if number else LayerKind.BASE
        made.append(Layer(kind, CaptureId(f"c{number}"), Cut(number + 1), len(found), 0, (reference,)))
    return payloads, ShardManifest(0, 0, None, tuple(made))


def name(number: int) -> str:
    return f"A\x1f{number:03d}\x1f/"


@given(
    st.lists(
        st.dictionaries(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 9)), min_size=1), min_size=1, max_size=4
    )
)
def test_read_shard_gives_the_last_word_of_each_key_and_no_tombstones(layers: list[dict[int, int | None]]) -> None:
    runs = [
        [
            record(f"A\x1f{number:03d}\x1f/", None if value is None else str(value), was="AAAAAAAA")
            for number, value in sorted(run.items())
        ]
        for run in layers
    ]
    payloads, shard = shard_of_layers(*runs)
    expected: dict[int, int | None] = {}
    for run in layers:
        expected |= run
    found = [(one.key, one.value) for one in read_shard(payloads, shard)]
    assert found == [
        (f"A\x1f{number:03d}\x1f/", str(value).encode())
        for number, value in sorted(expected.items())
        if value is not None
    ]
    assert list(islice(read_shard(payloads, shard, from_key="A\x1f020\x1f/", to_key="A\x1f030\x1f/"), 50)) == [
        one for one in read_shard(payloads, shard) if "A\x1f020\x1f/" <= one.key < "A\x1f030\x1f/"
    ]
