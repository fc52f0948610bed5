"""A snapshot a day, really taken: each day some entities report again, and each tool keeps every day's state.

Tidemark's engine captures through its own use cases on ports in memory, with the collection that runs daily; restic and
borg back up the entities as one file; and that file is compressed whole, as a full dump each day would be.
"""

import random
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import batched
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tests.benchmarks import file_tools
from tests.benchmarks.dataset import CHANGED_SHARE, changed_numbers, first_version
from tests.benchmarks.plot import Line
from tests.benchmarks.running import fresh, size_of
from tests.driving import TENANT, content
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tests.local.city import read_again
from tidemark.domain.keys import EntityKey
from tidemark.engine.live.writes import Decide, Documents
from tidemark.usecases import entities
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot

DAYS: Final = 30
TIDEMARK: Final = "Tidemark"
GZIP: Final = "a full gzip each day"
_DAY_S: Final = 24 * 3600
_BATCH: Final = 80
# As the command compresses unless it is told otherwise.
_GZIP_LEVEL: Final = 6
_GZIP_FORMAT: Final = 31
_CHUNK_BYTES: Final = 1 << 20


class Daily(NamedTuple):
    """What each tool has stored after each day; Tidemark's line is the first."""

    entities: int
    raw_bytes: int
    lines: list[Line]


def stored_daily(folder: Path, count: int, days: int = DAYS) -> Daily:
    """Take the snapshots; compare the last one of each tool, and Tidemark's first one, with the data of that day."""
    world, tidemark = _World(count), _Tidemark()
    data = fresh(folder / "daily") / "data"
    data.mkdir()
    tools = [file_tools.TOOLS[name](data.parent / name) for name in ("restic", "borg") if file_tools.is_there(name)]
    empty_bytes = [size_of(tool.repository) for tool in tools]
    file = data / file_tools.FILE
    stored: dict[str, list[int]] = {name: [] for name in (TIDEMARK, *(tool.name for tool in tools), GZIP)}
    for day in range(days):
        changed = world.report_again(day) if day else world.keys
        world.write(file)
        # Nothing is timed here: all may run side by side.
        with ThreadPoolExecutor() as pool:
            running = [pool.submit(tool.backup, data) for tool in tools]
            compressed = pool.submit(_gzip_bytes, file)
            stored[TIDEMARK].append(tidemark.snapshot(world, changed))
            for done in running:
                done.result()
        for tool, before_bytes in zip(tools, empty_bytes, strict=True):
            stored[tool.name].append(size_of(tool.repository) - before_bytes)
        stored[GZIP].append(sum(stored[GZIP][-1:]) + compressed.result())
    tidemark.assert_last_is(world)
    tidemark.assert_first_is(_World(count))
    for tool in tools:
        file_tools.restored(tool, file)
    return Daily(count, file.stat().st_size, [Line(name, values) for name, values in stored.items()])


class _World:
    """The entities as they are now, in key order."""

    def __init__(self, count: int) -> None:
        found = sorted(first_version(number) for number in range(count))
        self.docs = {EntityKey.parse(one.sort_key): one.doc for one in found}
        self.keys = list(self.docs)

    def report_again(self, day: int) -> list[EntityKey]:
        """Let some sensors report; whose they are."""
        chosen = [self.keys[number] for number in changed_numbers(len(self.keys), CHANGED_SHARE, seed=day)]
        for key in chosen:
            before = msgspec.json.decode(self.docs[key])
            after = before | read_again(before, random.Random(f"{day}/{key.id}"))
            self.docs[key] = msgspec.json.encode(after, order="sorted")
        return chosen

    def write(self, path: Path) -> None:
        """All as lines of a file."""
        with path.open("wb") as file:
            file.writelines(doc + b"\n" for doc in self.docs.values())


class _Tidemark:
    """The product on ports in memory."""

    def __init__(self) -> None:
        self._payloads, self._clock = MemoryPayloads(), ManualClock()
        self._ports = replace(memory_ports(), payloads=self._payloads, clock=self._clock)
        self._snapshots: list[str] = []

    def snapshot(self, world: _World, changed: Iterable[EntityKey]) -> int:
        """Write what changed, take the snapshot, collect; the bytes that all snapshots together have stored."""
        for some in batched(changed, _BATCH, strict=False):
            docs = {key: world.docs[key].decode() for key in some}
            entities.change(self._ports, TENANT, some, _becomes(docs))
        snapshot = create_snapshot(self._ports, TENANT, budget_s=float("inf"))
        assert snapshot.entity_count == len(world.docs)
        self._snapshots.append(snapshot.id)
        collect_garbage(self._ports, TENANT)
        self._clock.advance(_DAY_S)
        return sum(map(len, self._payloads.objects.values()))

    def assert_first_is(self, world: _World) -> None:
        """Raises AssertionError when the first snapshot holds anything else."""
        self._assert_same(self._snapshots[0], world)

    def assert_last_is(self, world: _World) -> None:
        """Raises AssertionError when the last snapshot holds anything else."""
        self._assert_same(self._snapshots[-1], world)

    def _assert_same(self, snapshot_id: str, world: _World) -> None:
        found = content(self._ports, snapshot_id)
        assert {key: doc.encode() for key, doc in found.items()} == world.docs, f"{snapshot_id} is not that day's data"


def _becomes(docs: Documents) -> Decide:
    return lambda _old: docs


def _gzip_bytes(path: Path) -> int:
    compressor = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FORMAT)
    size_bytes = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            size_bytes += len(compressor.compress(chunk))
    return size_bytes + len(compressor.flush())
