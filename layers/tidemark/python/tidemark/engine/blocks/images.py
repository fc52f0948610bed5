"""Images of volumes as a whole: sealing what was stored, reading it back, verifying it, and writing it to a disk
snapshot.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import batched
from typing import Final, NamedTuple

from tidemark.domain.blocks import Block, BlockRange, Image
from tidemark.domain.live import Cut, Generation
from tidemark.domain.manifest import Manifest, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId, ManifestRef, SnapshotId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.blocks.layers import Located, map_of, read_blocks, within
from tidemark.engine.blocks.manifests import image_of
from tidemark.engine.blocks.packs import check_blocks, describe, read_blocks_of
from tidemark.engine.copying import check_pack as check_stored
from tidemark.engine.copying import read_note
from tidemark.engine.framing import read_whole
from tidemark.engine.verification import Checked, check_sums
from tidemark.errors import ManifestCorrupt, PackCorrupt
from tidemark.ports import PayloadStore, Ports
from tidemark.ports.volumes import BlockAccess, DiskState

# How many blocks are written side by side.
_AT_ONCE: Final = 16
# Of how many shards tables are read side by side, each of which has some dozens.
_SHARDS_AT_ONCE: Final = 8


class Sealed(NamedTuple):
    """What the record of a snapshot of a volume is to say. `digest` is of what the image holds, however it is stored;
    `blocks` are those that are not zeros; `new_bytes` what this capture stored.
    """

    manifest: ManifestRef
    digest: str
    blocks: int
    stored_bytes: int
    new_bytes: int


class Written(NamedTuple):
    """What CompleteSnapshot is told: how many blocks, and the SHA-256 of their SHA-256s in order of their indexes."""

    blocks: int
    checksum: bytes


def seal(
    ports: Ports, tenant: Tenant, snapshot_id: SnapshotId, capture_id: CaptureId, created_at: datetime, image: Image
) -> Sealed:
    """Store the manifest of an image whose shards are all noted, after asking the store for length and checksum of
    every pack, and read it back. Can be repeated. Raises ManifestCorrupt, PackCorrupt.
    """
    noted = ports.parallel.map(lambda shard: read_note(ports.payloads, tenant, capture_id, shard), range(image.shards))
    manifest = Manifest(tenant, snapshot_id, capture_id, created_at, Generation(0), Cut(0), tuple(noted), image)
    ports.parallel.map(lambda pack: check_stored(ports.payloads, pack), manifest.packs)
    digest = _digest_of(manifest)
    reference = manifests.store(ports.payloads, manifest)
    return Sealed(reference, digest, manifest.records, manifest.stored_bytes, manifest.new_bytes)


def read_range(ports: Ports, shard: ShardManifest, blocks: BlockRange) -> Iterator[Block]:
    """The blocks of a range of one shard that are not zeros, by index, each verified.

    Raises ManifestCorrupt, and PackCorrupt, naming the block.
    """
    return read_blocks(ports.payloads, within(map_of(ports, shard), blocks))


def read_image(ports: Ports, manifest: Manifest) -> Iterator[Block]:
    """The blocks of a whole image that are not zeros, by index, each verified, a shard at a time."""
    image = image_of(manifest)
    for shard in manifest.shards:
        yield from read_range(ports, shard, image.range_of(shard.shard))


def check_pack(payloads: PayloadStore, pack: PackRef) -> None:
    """Read every byte of a pack, unpack and verify every block in it, and hold it against its reference.

    Raises PackCorrupt, naming the block where one is to be blamed.
    """
    try:
        body = read_whole(payloads, pack)
    except PackCorrupt:
        entries = read_blocks_of(payloads, pack)
        # Which block is damaged says more than that something in its pack is.
        for _ in read_blocks(payloads, (Located(pack, entry, entry.was) for entry in entries)):
            pass
        raise
    check_blocks(pack.key, body)
    if describe(pack.key, body) != pack:
        raise PackCorrupt(f"pack {pack.key} is not the one that the manifest describes")


def check_shard(
    ports: Ports,
    manifest: Manifest,
    shard: ShardManifest,
    proceed: Callable[[], None],
    *,
    capture_id: CaptureId | None = None,
) -> Checked:
    """Read every byte of every pack of a shard, unpack and verify every block in them, and hold all of it against what
    the manifest says; what was read.

    With a `capture_id`, of the packs those alone that it stored; of the others only the tables of contents.

    `proceed` is called before each pack and may raise to stop. Raises ManifestCorrupt, and PackCorrupt, naming the
    block.
    """
    where = f"the manifest of {manifest.snapshot_id}, shard {shard.shard},"
    check_sums(where, shard)
    blocks = image_of(manifest).range_of(shard.shard)
    layers = [layer for layer in shard.layers if capture_id in {None, layer.capture_id}]
    packs = [pack for layer in layers for pack in layer.packs]
    for pack in packs:
        proceed()
        check_pack(ports.payloads, pack)
    outside = [index for index in map_of(ports, shard) if not blocks.start <= index < blocks.stop]
    if outside:
        raise ManifestCorrupt(f"{where} has block {outside[0]}, which is not in its range")
    return Checked(len(packs), sum(pack.size_bytes for pack in packs))


def write_range(
    ports: Ports,
    access: BlockAccess,
    target_id: str,
    shard: ShardManifest,
    blocks: BlockRange,
    proceed: Callable[[int], None],
) -> int:
    """Write the blocks of a range of one shard to a disk snapshot that was started; how many. Can be repeated: what is
    written again is the same.

    `proceed` is called before each group of blocks, with the index of its first: all blocks before are written by then.
    It may raise to stop.
    """
    count = 0
    for some in batched(read_range(ports, shard, blocks), _AT_ONCE, strict=False):
        proceed(some[0].index)
        ports.parallel.map(lambda block: access.write(target_id, block), some)
        count += len(some)
    return count


def written(ports: Ports, shards: Iterable[ShardManifest]) -> Written:
    """What CompleteSnapshot is told once all blocks of an image are written. Only tables of contents are read."""
    count, digest = 0, hashlib.sha256()
    for some in batched(shards, _SHARDS_AT_ONCE, strict=False):
        for digests in ports.parallel.map(lambda shard: _digests(ports, shard), some):
            digest.update(digests)
            count += len(digests) // digest.digest_size
    return Written(count, digest.digest())


def complete(ports: Ports, access: BlockAccess, target_id: str, manifest: Manifest) -> DiskState:
    """Say that the whole image is written to a disk snapshot, which EBS holds against the checksum. Can be repeated."""
    said = written(ports, manifest.shards)
    return access.complete(target_id, written=said.blocks, checksum=said.checksum)


def _digests(ports: Ports, shard: ShardManifest) -> bytes:
    """The SHA-256s of the blocks of a shard, one after another."""
    return b"".join(located.sha256 for located in map_of(ports, shard).values())


def _digest_of(manifest: Manifest) -> str:
    digest = manifest.digest
    if digest is None:
        raise ManifestCorrupt(f"the manifest of {manifest.snapshot_id} has a shard of blocks without a digest")
    return digest
