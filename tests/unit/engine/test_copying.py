"""Copying a shard beside another worker, and on a store that does not keep what it is given."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.driving import TENANT, key, put
from tests.fakes import MemoryPayloads, memory_ports
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, Generation, Layout
from tidemark.domain.snapshot import CaptureId
from tidemark.engine import copying, packs
from tidemark.engine.merge import read_shard
from tidemark.engine.packs import build_pack
from tidemark.engine.records import record
from tidemark.errors import PackCorrupt
from tidemark.ports import Ports

COUNT = 40
JOB = copying.ShardCut(TENANT, CaptureId("capture"), Generation(1), Cut(1), 0)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some ten packs out of few entities."""
    monkeypatch.setattr(packs, "FRAME_RAW_BYTES", 500)
    monkeypatch.setattr(packs, "PACK_BYTES", 100)


class InterruptedPayloads(MemoryPayloads):
    """Lets something happen just before the pack of a number is stored."""

    def __init__(self, number: int, happens: Callable[[MemoryPayloads, str], None]) -> None:
        super().__init__()
        self._pack = f"-{number:05d}.pack"
        self._happens = happens

    def put(self, key: str, body: bytes) -> None:
        if key.endswith(self._pack):
            self._happens(self, key)
        super().put(key, body)


def full(payloads: MemoryPayloads) -> Ports:
    ports = replace(memory_ports(), payloads=payloads, layout=Layout(shards=1))
    put(ports, {key(number): number for number in range(COUNT)})
    return ports


def pack_of(*numbers: int) -> bytes:
    built = build_pack(record(key(number).sort_key, f'{{"other":{number}}}') for number in numbers)
    assert built is not None
    return built.body


@pytest.mark.parametrize("number", [0, 1, 3])
def test_worker_goes_on_behind_a_pack_that_another_stored_while_it_built_its_own(number: int) -> None:
    adopted: list[int] = []

    def another_stores_less(payloads: MemoryPayloads, name: str) -> None:
        before = sum(1 for stored in payloads.objects if stored.endswith(".pack"))
        assert before == number
        adopted.append(first_of_pack(payloads, number))
        payloads.objects[name] = pack_of(adopted[0])

    payloads = InterruptedPayloads(number, another_stores_less)
    ports = full(payloads)
    shard = copying.copy_shard(ports, JOB, lambda: None)
    found = [EntityKey.parse(one.key) for one in read_shard(payloads, shard)]
    assert found == [key(one) for one in range(COUNT)]
    others = [one for one in read_shard(payloads, shard) if b"other" in one.line]
    assert [EntityKey.parse(one.key) for one in others] == [key(adopted[0])]
    assert shard.records == COUNT
    again = copying.copy_shard(replace(ports, payloads=without_note(payloads)), JOB, lambda: None)
    assert again == shard


def first_of_pack(payloads: MemoryPayloads, number: int) -> int:
    """The first entity that is in none of the packs so far."""
    names = sorted(name for name in payloads.objects if name.endswith(".pack"))[:number]
    return sum(packs.describe(name, payloads.objects[name]).records for name in names)


def without_note(payloads: MemoryPayloads) -> MemoryPayloads:
    """The same packs for a worker that starts again before the shard is noted as done."""
    copied = MemoryPayloads()
    copied.objects = {name: body for name, body in payloads.objects.items() if name.endswith(".pack")}
    return copied


class ForgetfulPayloads(MemoryPayloads):
    """Confirms every pack and keeps another, whole one."""

    def put(self, key: str, body: bytes) -> None:
        super().put(key, pack_of(0) if key.endswith(".pack") else body)


def test_copy_fails_when_a_pack_reads_back_as_another_one() -> None:
    with pytest.raises(PackCorrupt, match=r"000-base-00000\.pack does not read back"):
        copying.copy_shard(full(ForgetfulPayloads()), JOB, lambda: None)
