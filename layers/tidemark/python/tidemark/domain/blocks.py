"""Blocks: the parts of equal size that the image of a volume consists of, how they are named, and how they are shared
out among shards.

Source of the size: Amazon EBS User Guide, "Concepts for EBS direct APIs": an index counts blocks of 524288 bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tidemark.domain.digest import SetDigest

BLOCK_BYTES: Final = 512 * 1024
# 2 GiB of a volume: what one worker copies well within the time that a function has.
SHARD_BLOCKS: Final = 4096
ZEROS: Final = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Block:
    """What a volume holds in one place: BLOCK_BYTES bytes and their SHA-256; both None for nothing but zeros."""

    index: int
    body: bytes | None = None
    sha256: bytes | None = None


class BlockRange(NamedTuple):
    """Blocks from `start` up to, and without, `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Image:
    """How large an image is. Its last block is filled up with zeros where `size_bytes` ends within it."""

    size_bytes: int
    block_bytes: int = BLOCK_BYTES

    @property
    def blocks(self) -> int:
        """How many blocks it has, zeros too."""
        return -(-self.size_bytes // self.block_bytes)

    @property
    def shards(self) -> int:
        """How many shards it has."""
        return -(-self.blocks // SHARD_BLOCKS)

    def range_of(self, shard: int) -> BlockRange:
        """The blocks of a shard."""
        start = shard * SHARD_BLOCKS
        return BlockRange(start, min(start + SHARD_BLOCKS, self.blocks))


def block_key(index: int) -> str:
    """The key of a block, which sorts as its index does."""
    return f"{index:010d}"


def digest_of(blocks: Iterable[tuple[int, bytes]]) -> SetDigest:
    """The set digest of blocks that are not zeros, given as index and SHA-256: of the lines `{index} {sha256}`.

    It says what an image holds and nothing of how that is stored.
    """
    digest = SetDigest()
    digest.add_all([b"%d %b" % (index, sha256.hex().encode()) for index, sha256 in blocks])
    return digest
