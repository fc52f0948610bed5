"""The data plane of volumes: blocks into packs and back, with every checksum that is checked on the way, on one core.

Usage: python -m tests.benchmarks.blocks BLOCKS. What EBS and S3 do themselves, and the network, is not in it; what the
adapters hash for them is. Half of the blocks are random bytes, half are lines that zstd makes smaller.
"""

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tests.fakes import MemoryPayloads, memory_ports
from tidemark.domain.blocks import BLOCK_BYTES, Block, BlockRange, Image
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import CaptureId, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.engine.blocks.capture import ShardCut, copy_shard
from tidemark.engine.blocks.sources import block_of
from tidemark.ports import Ports, StoredObject

_TENANT: Final = Tenant("bench")
_AT: Final = datetime(2026, 1, 15, 10, tzinfo=UTC)
# One block in a hundred is another one in the second snapshot.
_CHANGED_EVERY: Final = 100
# How many different blocks there are: making random bytes would take longer than what is measured.
_DIFFERENT: Final = 64


class Measured(NamedTuple):
    """Megabytes of blocks that are not zeros, a second of one core; and what was stored."""

    capture: float
    read: float
    verify: float
    raw_bytes: int
    stored_bytes: int
    changed_bytes: int
    added_bytes: int

    def best(self, other: "Measured") -> "Measured":
        """The better rates of two runs over the same blocks."""
        return self._replace(
            capture=max(self.capture, other.capture),
            read=max(self.read, other.read),
            verify=max(self.verify, other.verify),
        )


class _Bucket(MemoryPayloads):
    """Hashes what it is given, as whoever sends it to S3 does, and knows the checksum from then on, as S3 does."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived: dict[str, StoredObject] = {}

    def put(self, key: str, body: bytes) -> None:
        self._arrived[key] = StoredObject(key, len(body), hashlib.sha256(body).hexdigest())
        super().put(key, body)

    def head(self, key: str) -> StoredObject:
        return self._arrived[key]


class _Volume:
    """As many blocks as the image has. Each is hashed when it is read, as one of EBS is."""

    whole = True

    def __init__(self, bodies: Mapping[int, bytes], others: Mapping[int, bytes]) -> None:
        self._bodies, self._others = bodies, others

    def read(self, within: BlockRange) -> Iterator[Block]:
        """See `BlockSource`."""
        for index in range(within.start, within.stop):
            yield block_of(index, self._others.get(index) or self._bodies[index % _DIFFERENT])


def measured(blocks: int) -> Measured:
    """Two snapshots of a volume of so many blocks; the second is read back and compared, and verified."""
    rng = random.Random(6)
    bodies = {number: _body(rng, number) for number in range(_DIFFERENT)}
    others = {index: _body(rng, index) for index in range(0, blocks, _CHANGED_EVERY)}
    ports = replace(memory_ports(), payloads=_Bucket())
    image, raw_mb = Image(blocks * BLOCK_BYTES), blocks * BLOCK_BYTES / 1e6
    started_s = time.process_time()
    first, stored_bytes = _taken(ports, image, _Volume(bodies, {}), None)
    capture_s = time.process_time() - started_s
    second, added_bytes = _taken(ports, image, _Volume(bodies, others), first)
    started_s = time.process_time()
    for found in images.read_image(ports, second):
        wanted = others.get(found.index) or bodies[found.index % _DIFFERENT]
        if found.body != wanted:
            sys.exit(f"block {found.index} differs from the volume's")
    read_s = time.process_time() - started_s
    started_s = time.process_time()
    for shard in second.shards:
        images.check_shard(ports, second, shard, lambda: None)
    verify_s = time.process_time() - started_s
    return Measured(
        raw_mb / capture_s,
        raw_mb / read_s,
        raw_mb / verify_s,
        blocks * BLOCK_BYTES,
        stored_bytes,
        len(others) * BLOCK_BYTES,
        added_bytes,
    )


def _body(rng: random.Random, number: int) -> bytes:
    if number % 2:
        return rng.randbytes(BLOCK_BYTES)
    form = b'{"id":%d,"at":"2026-01-15T10:00:%02dZ","v":%d}\n'
    lines = (form % (line, line % 60, rng.getrandbits(40)) for line in range(9000))
    return (b"%d\n" % number + b"".join(lines)).ljust(BLOCK_BYTES, b".")[:BLOCK_BYTES]


def _taken(ports: Ports, image: Image, volume: _Volume, base: Manifest | None) -> tuple[Manifest, int]:
    name = "c2" if base else "c1"
    for shard in range(image.shards):
        below = base.shards[shard] if base else None
        job = ShardCut(_TENANT, CaptureId(name), shard, image.range_of(shard), below)
        copy_shard(ports, job, volume, lambda: None)
    sealed = images.seal(ports, _TENANT, SnapshotId(name), CaptureId(name), _AT, image)
    return manifests.read(ports.payloads, sealed.manifest), sealed.new_bytes


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(int(sys.argv[1]))._asdict()) + "\n")
