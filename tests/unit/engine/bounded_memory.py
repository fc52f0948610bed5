"""Captures, verifies and restores many generated entities in a process of its own, and prints what memory that took.

Usage: python -m tests.unit.engine.bounded_memory ENTITIES. The live store makes its items when they are read and only
counts what is staged, and the packs lie on disk, so what is measured is the engine.
"""

import hashlib
import resource
import sys
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.driving import TENANT, run_restore
from tests.fakes import MemoryEntityTable, MemoryPayloads, memory_ports
from tidemark.domain.keys import EntityKey, shard_of
from tidemark.domain.live import Generation, Item, ItemKey
from tidemark.domain.tenant import Tenant
from tidemark.errors import ObjectExists, ObjectNotFound
from tidemark.ports import Page, StoredObject
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.verify_snapshot import verify_snapshot


def document(key: EntityKey) -> str:
    """Some 2 KB that hardly compress, so that packs fill up."""
    noise = hashlib.shake_128(key.id.encode()).hexdigest(900)
    return f'{{"id":"{key.id}","name":{{"metadata":{{}},"type":"Text","value":"{noise}"}},"type":"{key.type}"}}'


class GeneratedTable(MemoryEntityTable):
    """Gates and states as in memory; the items of the first generation are computed, those of later ones counted."""

    def __init__(self, entities: int, shards: int = 16) -> None:
        super().__init__()
        self.keys: list[list[str]] = [[] for _ in range(shards)]
        for number in range(entities):
            key = EntityKey("Room", f"urn:ngsi-ld:Room:{number:07d}", "/")
            self.keys[shard_of(key.id, shards)].append(key.sort_key)
        self.staged: Counter[tuple[int, int]] = Counter()

    def page(
        self,
        tenant: Tenant,  # noqa: ARG002 - there is one
        generation: Generation,
        shard: int,
        *,
        prefix: str = "",  # noqa: ARG002 - no capture or restore asks for one
        after: str | None = None,
        limit: int | None = None,
    ) -> Page:
        keys = self.keys[shard]
        end = len(keys) if generation == 1 else self.staged[generation, shard]
        start = 0 if after is None else bisect_right(keys, after)
        stop = min(end, start + (limit or 500))
        items = [Item(ItemKey(generation, shard, key), document(EntityKey.parse(key)), 1) for key in keys[start:stop]]
        return Page(items, more=stop < end)

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:  # noqa: ARG002 - there is one
        for item in items:
            assert item.doc == document(EntityKey.parse(item.key.sort_key))
            self.staged[item.key.generation, item.key.shard] += 1

    def remove(self, tenant: Tenant, keys: Sequence[ItemKey]) -> None:  # noqa: ARG002 - there is one
        removed = {key.sort_key for key in keys}
        self.keys[keys[0].shard] = [key for key in self.keys[keys[0].shard] if key not in removed]


class DiskPayloads(MemoryPayloads):
    """Objects in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def path_of(self, key: str) -> Path:
        """Where an object lies."""
        return self._folder / key.replace("/", "!")

    def put(self, key: str, body: bytes) -> None:
        path = self.path_of(key)
        if path.exists():
            raise ObjectExists(key)
        path.write_bytes(body)

    def get(self, key: str) -> bytes:
        path = self.path_of(key)
        if not path.exists():
            raise ObjectNotFound(key)
        return path.read_bytes()

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        path = self.path_of(key)
        if not path.exists():
            raise ObjectNotFound(key)
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length_bytes)

    def head(self, key: str) -> StoredObject:
        path = self.path_of(key)
        if not path.exists():
            raise ObjectNotFound(key)
        with path.open("rb") as file:
            return StoredObject(key, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def list(self, prefix: str) -> Iterator[StoredObject]:
        for path in sorted(self._folder.iterdir()):
            key = path.name.replace("!", "/")
            if key.startswith(prefix):
                yield StoredObject(key, path.stat().st_size)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(entities: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = GeneratedTable(entities)
        ports = replace(memory_ports(), table=table, payloads=DiskPayloads(Path(folder)))
        before_mb = peak_mb()
        snapshot = create_snapshot(ports, TENANT, budget_s=1e9)
        assert snapshot.entity_count == entities
        verified = verify_snapshot(ports, TENANT, snapshot.id, budget_s=1e9).snapshot.verification
        assert verified is not None
        assert verified.checked_bytes == snapshot.stored_bytes
        restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(safety_snapshot=False))
        assert run_restore(ports, restore.id) is None
        assert sum(table.staged.values()) == entities
        sys.stdout.write(f"{snapshot.raw_bytes} {peak_mb() - before_mb:.1f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
