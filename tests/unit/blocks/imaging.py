"""Images of a few blocks, captured, sealed and read back through the fakes."""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.fakes import MemoryDisks, MemoryPayloads, memory_ports
from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, Image
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import CaptureId, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.engine.blocks.capture import BlockSource, ShardCut, copy_shard
from tidemark.engine.blocks.images import Sealed
from tidemark.engine.blocks.sources import ChangedBlocks, DiskSnapshotBlocks
from tidemark.ports import Ports

TENANT = Tenant("compute_on")
AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
SIZE_GIB = 3
IMAGE = Image(SIZE_GIB * 1024**3)

type Content = dict[int, bytes]


def body(seed: object) -> bytes:
    """A block that zstd can't make smaller."""
    return random.Random(str(seed)).randbytes(BLOCK_BYTES)


def small(seed: object) -> bytes:
    """A block of which zstd leaves some bytes."""
    return f"{seed}\n".encode().ljust(BLOCK_BYTES, b".")


def block(index: int, content: bytes) -> Block:
    return Block(index, content, hashlib.sha256(content).digest())


def nothing() -> None:
    """Go on."""


@dataclass
class Imaging:
    """One volume, and its snapshots that were stored. `last` is the manifest of the newest, `owner` whose they are."""

    ports: Ports = field(default_factory=memory_ports)
    disks: MemoryDisks = field(default_factory=MemoryDisks)
    last: Manifest | None = None
    count: int = 0
    volume_id: str = ""
    disk_snapshot_id: str = ""
    owner: Tenant = TENANT

    @property
    def payloads(self) -> MemoryPayloads:
        assert isinstance(self.ports.payloads, MemoryPayloads)
        return self.ports.payloads

    def hold(self, content: Mapping[int, bytes]) -> None:
        """Let the volume hold these blocks."""
        if not self.volume_id:
            self.volume_id = self.disks.add_volume(SIZE_GIB, {})
        self.disks.content[self.volume_id] = dict(content)

    def take(self, *, changed: bool = False) -> Sealed:
        """A snapshot of the volume, of all its blocks or what EBS says that changed, built upon the last one."""
        earlier_id = self.disk_snapshot_id
        made = self.disks.create_snapshot(self.volume_id, description="", tags={"capture": str(self.count)})
        self.disk_snapshot_id = made.id
        source: BlockSource = DiskSnapshotBlocks(self.disks, self.ports.parallel, made.id)
        if changed:
            source = ChangedBlocks(self.disks, self.ports.parallel, earlier_id, made.id)
        return self.store(source)

    def store(self, source: BlockSource, image: Image = IMAGE) -> Sealed:
        """A snapshot of what a source gives."""
        self.count += 1
        capture_id = CaptureId(f"c{self.count}")
        for shard in range(image.shards):
            base = self.last.shards[shard] if self.last else None
            copy_shard(
                self.ports, ShardCut(self.owner, capture_id, shard, image.range_of(shard), base), source, nothing
            )
        sealed = images.seal(self.ports, self.owner, snapshot_id(AT, self.count), capture_id, AT, image)
        self.last = manifests.read(self.payloads, sealed.manifest)
        return sealed

    def read(self, manifest: Manifest | None = None) -> Content:
        """What a snapshot holds, zeros left out."""
        manifest = manifest or self.newest
        return {one.index: one.body or ZEROS for one in images.read_image(self.ports, manifest)}

    def check(self, manifest: Manifest | None = None) -> int:
        """Verify a snapshot; how many packs were read."""
        manifest = manifest or self.newest
        return sum(images.check_shard(self.ports, manifest, shard, nothing).packs for shard in manifest.shards)

    @property
    def newest(self) -> Manifest:
        assert self.last is not None
        return self.last
