"""Where the blocks of an image come from: a disk snapshot, all of it or what changed since another; or raw bytes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import ClassVar, Final

from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, BlockRange, Image
from tidemark.ports import Parallel
from tidemark.ports.volumes import BlockAccess, BlockToken

# How many blocks are read side by side: what a worker has in memory beside its pack.
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class DiskSnapshotBlocks:
    """All blocks of a disk snapshot."""

    access: BlockAccess
    parallel: Parallel
    snapshot_id: str
    whole: ClassVar[bool] = True

    def read(self, within: BlockRange) -> Iterator[Block]:
        """See `BlockSource`. Of blocks that hold only zeros, those are left out that EBS does not list."""
        listed = self.access.listed(self.snapshot_id, within)
        return _read(self.access, self.parallel, self.snapshot_id, listed)


@dataclass(frozen=True, slots=True)
class ChangedBlocks:
    """The blocks of a disk snapshot that differ from those of an earlier one of the same volume."""

    access: BlockAccess
    parallel: Parallel
    earlier_id: str
    snapshot_id: str
    whole: ClassVar[bool] = False

    def read(self, within: BlockRange) -> Iterator[Block]:
        """See `BlockSource`."""
        changed = self.access.changed(self.earlier_id, self.snapshot_id, within)
        return _read(self.access, self.parallel, self.snapshot_id, changed)


@dataclass(frozen=True, slots=True)
class RawImage:
    """The bytes of an image. `read_at` gives those from an offset on, of a length, or fewer where the image ends."""

    read_at: Callable[[int, int], bytes]
    image: Image
    whole: ClassVar[bool] = True

    def read(self, within: BlockRange) -> Iterator[Block]:
        """See `BlockSource`. Raises ValueError where the bytes end before the image does."""
        for index in range(within.start, within.stop):
            offset = index * BLOCK_BYTES
            wanted = min(BLOCK_BYTES, self.image.size_bytes - offset)
            body = self.read_at(offset, wanted)
            if len(body) != wanted:
                raise ValueError(f"the image ends in its block {index}: {len(body)} of {wanted} bytes are there")
            block = block_of(index, body.ljust(BLOCK_BYTES, b"\0"))
            if block.body is not None:
                yield block


def block_of(index: int, body: bytes, sha256: bytes | None = None) -> Block:
    """The block of some bytes, which are hashed unless they have been."""
    if body == ZEROS:
        return Block(index)
    return Block(index, body, sha256 or hashlib.sha256(body).digest())


def _read(access: BlockAccess, parallel: Parallel, snapshot_id: str, blocks: Iterable[BlockToken]) -> Iterator[Block]:
    for some in batched(blocks, _AT_ONCE, strict=False):
        yield from parallel.map(lambda block: access.read(snapshot_id, block), some)
