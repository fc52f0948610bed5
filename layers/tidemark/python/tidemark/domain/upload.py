"""Images that are uploaded instead of read from a volume: the parts that they come in, and the record of one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tidemark.domain.blocks import BLOCK_BYTES, BlockRange

# A shard has a whole number of them. Smaller ones would leave more zeros out, larger ones need fewer requests.
PART_BLOCKS: Final = 32
PART_BYTES: Final = PART_BLOCKS * BLOCK_BYTES
# What EBS allows of a volume. Source: Amazon EBS User Guide, "Amazon EBS volume types".
MAX_IMAGE_BYTES: Final = 64 * 1024**4
# The bucket forgets parts two days later; until then they can be stored.
AWAITED_FOR: Final = timedelta(days=5)
_GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Upload:
    """Where the image of a snapshot comes from that was not taken of a volume: parts of a file of `size_bytes`.

    Parts are counted from 0; those that are left out are zeros. They are waited for `until` then. `index_sha256` is of
    the list that says which parts there are, None while they are waited for. `digest` is that of the image, as whoever
    sent it has told, if so.
    """

    size_bytes: int
    until: datetime
    index_sha256: str | None = None
    digest: str | None = None

    @property
    def parts(self) -> int:
        """How many parts the file has, zeros too."""
        return -(-self.size_bytes // PART_BYTES)

    @property
    def image_bytes(self) -> int:
        """The size of the image: that of the file filled up with zeros to whole GiB, as volumes have."""
        return -(-self.size_bytes // _GIB) * _GIB

    def bytes_of(self, part: int) -> int:
        """How many bytes a part has: all but the last the same."""
        return min(PART_BYTES, self.size_bytes - part * PART_BYTES)

    def parts_of(self, blocks: BlockRange) -> range:
        """The parts that a range of blocks is in."""
        return range(blocks.start // PART_BLOCKS, min(-(-blocks.stop // PART_BLOCKS), self.parts))


def blocks_of(part: int) -> BlockRange:
    """The blocks of a part."""
    return BlockRange(part * PART_BLOCKS, (part + 1) * PART_BLOCKS)
