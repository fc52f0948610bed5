"""Captures, verifies and reads back a volume of 2 GiB in a process of its own, and prints what that stored and took.

Usage: python -m tests.unit.blocks.bounded_image BLOCKS. So many blocks hold something, in a sparse file; the packs lie
on disk, so what is measured is the engine. The second snapshot is taken after 1 % of all blocks of the volume changed:
once from the whole volume, once from what changed alone.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

from tests.fakes import memory_ports
from tests.unit.blocks.imaging import AT, TENANT, body, nothing
from tests.unit.engine.bounded_memory import DiskPayloads, peak_mb
from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, BlockRange, Image
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import CaptureId, snapshot_id
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.engine.blocks.capture import BlockSource, ShardCut, copy_shard
from tidemark.engine.blocks.sources import RawImage, block_of
from tidemark.ports import Ports

IMAGE = Image(2 * 1024**3)


class Measured(NamedTuple):
    """Bytes that each snapshot stored, how many blocks changed, and the memory that all of it took."""

    first_bytes: int
    whole_bytes: int
    told_bytes: int
    changed: int
    peak_mb: float


class Volume:
    """A sparse file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._file, IMAGE.size_bytes)

    def write(self, index: int, content: bytes) -> None:
        os.pwrite(self._file, content, index * BLOCK_BYTES)

    def read_at(self, offset: int, length_bytes: int) -> bytes:
        return os.pread(self._file, length_bytes, offset)

    @property
    def blocks(self) -> RawImage:
        return RawImage(self.read_at, IMAGE)


@dataclass(frozen=True)
class Told:
    """Only the blocks that changed, as `ListChangedBlocks` tells them."""

    volume: Volume
    changed: list[int]
    whole: ClassVar[bool] = False

    def read(self, within: BlockRange) -> Iterator[Block]:
        for index in self.changed:
            if within.start <= index < within.stop:
                yield block_of(index, self.volume.read_at(index * BLOCK_BYTES, BLOCK_BYTES))


def main(blocks: int) -> Measured:
    rng = random.Random(6)
    with tempfile.TemporaryDirectory() as folder:
        packs = Path(folder, "packs")
        packs.mkdir()
        ports = replace(memory_ports(), payloads=DiskPayloads(packs))
        volume = Volume(Path(folder, "volume.raw"))
        held = rng.sample(range(IMAGE.blocks), blocks)
        for index in held:
            volume.write(index, body(index))
        before_mb = peak_mb()
        first, first_bytes = taken(ports, 1, volume.blocks)
        # Some were zeros, some became zeros, most were other blocks.
        changed = sorted(rng.sample(held, IMAGE.blocks // 100 - 10) + rng.sample(range(IMAGE.blocks), 10))
        for number, index in enumerate(changed):
            volume.write(index, body(("changed", index)) if number % 10 else ZEROS)
        whole, whole_bytes = taken(ports, 2, volume.blocks, first)
        told, told_bytes = taken(ports, 3, Told(volume, sorted(set(changed))), first)
        for manifest in (whole, told):
            check(ports, manifest, volume)
        return Measured(first_bytes, whole_bytes, told_bytes, len(set(changed)), peak_mb() - before_mb)


def taken(ports: Ports, number: int, source: BlockSource, base: Manifest | None = None) -> tuple[Manifest, int]:
    capture_id = CaptureId(f"c{number}")
    for shard in range(IMAGE.shards):
        below = base.shards[shard] if base else None
        copy_shard(ports, ShardCut(TENANT, capture_id, shard, IMAGE.range_of(shard), below), source, nothing)
    sealed = images.seal(ports, TENANT, snapshot_id(AT, number), capture_id, AT, IMAGE)
    return manifests.read(ports.payloads, sealed.manifest), sealed.new_bytes


def check(ports: Ports, manifest: Manifest, volume: Volume) -> None:
    """Verify a snapshot, and compare each block of it with the volume's, zeros too."""
    for shard in manifest.shards:
        images.check_shard(ports, manifest, shard, nothing)
    after = 0
    for found in images.read_image(ports, manifest):
        assert all(is_zeros(volume, index) for index in range(after, found.index))
        assert found.body == volume.read_at(found.index * BLOCK_BYTES, BLOCK_BYTES)
        after = found.index + 1
    assert all(is_zeros(volume, index) for index in range(after, IMAGE.blocks))


def is_zeros(volume: Volume, index: int) -> bool:
    return volume.read_at(index * BLOCK_BYTES, BLOCK_BYTES) == ZEROS


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))._asdict()) + "\n")
