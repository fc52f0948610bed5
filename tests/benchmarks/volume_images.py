"""A raw image of a disk as a file, and the same with other blocks in one place of a hundred: what Tidemark stores of
both, and what tools that keep versions of a file do.

Usage: python -m tests.benchmarks.volume_images STEP IMAGE STORE, with the steps first, second and restore: the image is
read, or written. A quarter of the blocks are zeros, as on a disk that is not full; of the others one half are random
bytes, one half are lines. No two of them are alike, so a tool has nothing to gain within an image.
"""

import os
import random
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.benchmarks import file_tools
from tests.benchmarks.file_tools import assert_same
from tests.benchmarks.running import Row, Took, fresh, module, run, size_of
from tests.fakes import memory_ports
from tests.unit.engine.bounded_memory import DiskPayloads
from tidemark.domain.blocks import BLOCK_BYTES, Image
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import CaptureId, ManifestRef, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.engine.blocks.capture import ShardCut, copy_shard
from tidemark.engine.blocks.sources import RawImage
from tidemark.ports import Ports

_OWNER: Final = Tenant("bench")
_AT: Final = datetime(2026, 1, 15, 10, tzinfo=UTC)
_CHANGED_EVERY: Final = 100
_NAMES: Final = {"first": "c1", "second": "c2"}


@dataclass(frozen=True)
class Images:
    """Both versions, as files in a folder."""

    folder: Path
    blocks: int

    @property
    def first(self) -> Path:
        return self.folder / "first.raw"

    @property
    def second(self) -> Path:
        return self.folder / "second.raw"

    @property
    def filled_bytes(self) -> int:
        """Of blocks that are not zeros."""
        return BLOCK_BYTES * sum(_is_filled(index) for index in range(self.blocks))

    @property
    def changed_bytes(self) -> int:
        """Of blocks that are others in the second."""
        return BLOCK_BYTES * len(_changed(self.blocks))


def made(folder: Path, blocks: int) -> Images:
    """The images, the same for the same number of blocks."""
    found = Images(fresh(folder / "images"), blocks)
    changed = frozenset(_changed(blocks))
    for path, others in ((found.first, frozenset[int]()), (found.second, changed)):
        with path.open("wb") as file:
            for index, body in _bodies(blocks, others):
                file.seek(index * BLOCK_BYTES)
                file.write(body)
            file.truncate(blocks * BLOCK_BYTES)
    return found


def tidemark(of: Images, folder: Path) -> Row:
    """Both versions stored from their files by one process, as nobody told it what changed; the second restored."""
    store = fresh(folder / "image-packs")

    def step(name: str, path: Path) -> Took:
        return run(module("volume_images", name, path, store))

    first = step("first", of.first)
    stored_bytes = size_of(store)
    second = step("second", of.second)
    added_bytes = size_of(store) - stored_bytes
    restored = folder / "restored.raw"
    restore = step("restore", restored)
    assert_same(restored, of.second)
    return Row("Tidemark, engine alone, one process", first, stored_bytes, second, added_bytes, restore)


def restic(of: Images, folder: Path) -> Row | None:
    """The same by restic, where it is installed."""
    if not file_tools.is_there("restic"):
        return None
    return file_tools.measured(file_tools.restic(fresh(folder / "image-restic")), of)


def main(step: str, path: str, store: str) -> None:
    ports = replace(memory_ports(), payloads=DiskPayloads(Path(store)))
    if step == "restore":
        manifest = _manifest(ports, "second")
        with Path(path).open("wb") as file:
            for block in images.read_image(ports, manifest):
                file.seek(block.index * BLOCK_BYTES)
                file.write(block.body or b"")
            file.truncate(manifest.image.size_bytes if manifest.image else 0)
        return
    base = _manifest(ports, "first") if step == "second" else None
    image, capture_id = Image(Path(path).stat().st_size), CaptureId(_NAMES[step])
    with Path(path).open("rb") as file:
        volume = RawImage(lambda offset, length_bytes: os.pread(file.fileno(), length_bytes, offset), image)
        for shard in range(image.shards):
            below = base.shards[shard] if base else None
            copy_shard(ports, ShardCut(_OWNER, capture_id, shard, image.range_of(shard), below), volume, lambda: None)
    images.seal(ports, _OWNER, SnapshotId(_NAMES[step]), capture_id, _AT, image)


def _manifest(ports: Ports, step: str) -> Manifest:
    stored = ports.payloads.head(manifests.manifest_key(_OWNER, SnapshotId(_NAMES[step])))
    return manifests.read(ports.payloads, ManifestRef(stored.key, stored.size_bytes, stored.sha256 or ""))


def _is_filled(index: int) -> bool:
    return index % 4 != 3


def _changed(blocks: int) -> list[int]:
    return list(range(0, blocks, _CHANGED_EVERY))


def _bodies(blocks: int, others: Container[int]) -> Iterator[tuple[int, bytes]]:
    for index in filter(_is_filled, range(blocks)):
        rng = random.Random(f"{index} {index in others}")
        yield index, rng.randbytes(BLOCK_BYTES) if index % 8 < 4 else _lines(rng)


def _lines(rng: random.Random) -> bytes:
    """As a log has them: the same words, other times and values."""
    form = b'{"id":%d,"at":"2026-01-15T10:%02d:%02dZ","v":%d}\n'
    lines = (form % (line, rng.randrange(60), line % 60, rng.getrandbits(40)) for line in range(9000))
    return b"".join(lines).ljust(BLOCK_BYTES, b".")[:BLOCK_BYTES]


if __name__ == "__main__":
    main(*sys.argv[1:])
