"""The manifest: which layers make up which shard of a snapshot.

It names everything that the snapshot needs, so no snapshot depends on another.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tidemark.domain.blocks import Image
from tidemark.domain.digest import SetDigest
from tidemark.domain.live import Cut, Generation
from tidemark.domain.snapshot import CaptureId, SnapshotId
from tidemark.domain.tenant import Tenant


class LayerKind(StrEnum):
    """A base holds every record of its shard; a delta what changed since the layer below it."""

    BASE = "base"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class PackRef:
    """One stored pack: its length and SHA-256 as a whole, where its table of contents begins, and the keys it spans
    (both inclusive).

    `records` counts lines, tombstones too; `net` is what they add to the number of entities.
    """

    key: str
    size_bytes: int
    sha256: str
    toc_offset: int
    toc_sha256: str
    frames: int
    records: int
    net: int
    raw_bytes: int
    first_key: str
    last_key: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One sorted run of a shard's records, in packs that follow each other in key order."""

    kind: LayerKind
    capture_id: CaptureId
    cut: Cut
    records: int
    raw_bytes: int
    packs: tuple[PackRef, ...]

    @property
    def stored_bytes(self) -> int:
        """The length of its packs in all."""
        return sum(pack.size_bytes for pack in self.packs)

    @property
    def net(self) -> int:
        """What it adds to the number of entities."""
        return sum(pack.net for pack in self.packs)


@dataclass(frozen=True, slots=True)
class ShardManifest:
    """The layers of one shard, base first; the last layer that has a key wins. `records` and `digest` are of the merged
    shard.

    `digest` is the set digest of the merged records' lines, None where only the layers' own checksums are known.
    """

    shard: int
    records: int
    digest: str | None
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a snapshot consists of. `shards` has one entry for every shard, in order, empty ones too.

    `image` is said of a snapshot of a volume, whose records are blocks.
    """

    tenant: Tenant
    snapshot_id: SnapshotId
    capture_id: CaptureId
    created_at: datetime
    generation: Generation
    cut: Cut
    shards: tuple[ShardManifest, ...]
    image: Image | None = None

    @property
    def records(self) -> int:
        """The number of entities in the snapshot."""
        return sum(shard.records for shard in self.shards)

    @property
    def digest(self) -> str | None:
        """The set digest of all records; None where that of a shard is not known."""
        total = SetDigest()
        for shard in self.shards:
            if shard.digest is None:
                return None
            total.add_hex(shard.digest, shard.records)
        return total.hex

    @property
    def packs(self) -> tuple[PackRef, ...]:
        """Every pack that the snapshot needs."""
        return tuple(pack for shard in self.shards for layer in shard.layers for pack in layer.packs)

    @property
    def stored_bytes(self) -> int:
        """What all its packs hold."""
        return sum(pack.size_bytes for pack in self.packs)

    @property
    def new_bytes(self) -> int:
        """What its own capture stored of them."""
        layers = (layer for shard in self.shards for layer in shard.layers)
        return sum(layer.stored_bytes for layer in layers if layer.capture_id == self.capture_id)
