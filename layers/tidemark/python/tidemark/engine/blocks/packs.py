"""Packs of blocks: each zstd frame is one block of a volume's image, whole, at level 1, so `zstdcat x.pack` prints the
blocks one after another. `engine.framing` has what follows the frames; `layers/DESIGN.md` the format in full.

A block that became zeros has no frame and an entry all the same. Blocks are named and verified one by one: what is
wrong with one is said of its index.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import zstandard

from tidemark.domain.blocks import BLOCK_BYTES, Block, block_key, digest_of
from tidemark.domain.digest import SetDigest
from tidemark.domain.manifest import PackRef
from tidemark.engine.framing import encode_table, find_table, read_table, text_of_table
from tidemark.engine.storing import PackForm
from tidemark.errors import PackCorrupt
from tidemark.ports import ObjectReads

# Larger than a pack of entities: a manifest lists all packs, and a volume of 16 TiB has enough of these.
PACK_BYTES: Final = 32 * 1024 * 1024
COMPRESSION_LEVEL: Final = 1
FORMAT_VERSION: Final = 1
# zstd adds little to what it can't make smaller: three bytes for each 128 KiB, its header and its checksum.
MAX_FRAME_BYTES: Final = BLOCK_BYTES + 1024


class BlockEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One block in the table of contents. `sha256` is of the block itself; `offset` and `length` are of its frame. A
    block that became zeros has no `sha256` and no length.

    `was` is the SHA-256 of the block that the layers below have; None where they have none.
    """

    index: int
    offset: int
    length: int
    sha256: str | None = None
    was: str | None = None

    @property
    def net(self) -> int:
        """What it adds to the number of blocks that are not zeros."""
        return (self.sha256 is not None) - (self.was is not None)


class BlockTable(msgspec.Struct, frozen=True, rename="camel"):
    """What a pack of blocks says of itself."""

    version: int
    block_bytes: int
    blocks: tuple[BlockEntry, ...]

    @property
    def net(self) -> int:
        """What the pack adds to the number of blocks that are not zeros."""
        return sum(entry.net for entry in self.blocks)

    @property
    def frames(self) -> int:
        """How many blocks it holds."""
        return sum(entry.sha256 is not None for entry in self.blocks)


# Made once, while the module is imported: threads that first meet a type at the same moment can crash in msgspec.
_TABLE: Final = msgspec.json.Decoder(BlockTable)


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block on its way into a pack: its frame and SHA-256, both None where it became zeros; and `was`, as its entry
    says it.
    """

    index: int
    frame: bytes | None
    sha256: bytes | None
    was: str | None = None


class BuiltBlocks(NamedTuple):
    """A pack ready to be stored, and the digest of its blocks."""

    body: bytes
    digest: SetDigest


class Packing:
    """Makes records of blocks. Not safe to share between threads."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)

    def record(self, block: Block, was: str | None = None) -> BlockRecord:
        """The record of a block."""
        if block.body is None:
            return BlockRecord(block.index, None, None, was)
        return BlockRecord(block.index, self._compressor.compress(block.body), block.sha256, was)


class Unpacking:
    """Makes blocks of frames. Not safe to share between threads."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def block(self, key: str, entry: BlockEntry, frame: bytes) -> Block:
        """The block of an entry of the pack under `key`, verified. Raises PackCorrupt, naming the block."""
        if entry.sha256 is None:
            return Block(entry.index)
        try:
            if len(frame) != entry.length or zstandard.get_frame_parameters(frame).content_size != BLOCK_BYTES:
                raise PackCorrupt(f"block {entry.index} in pack {key} is damaged: it has the wrong length")
            body = self._decompressor.decompress(frame, max_output_size=BLOCK_BYTES)
        except zstandard.ZstdError as error:
            raise PackCorrupt(f"block {entry.index} in pack {key} is damaged: it cannot be unpacked") from error
        sha256 = hashlib.sha256(body).digest()
        if sha256.hex() != entry.sha256:
            raise PackCorrupt(f"block {entry.index} in pack {key} is damaged: it has the wrong checksum")
        return Block(entry.index, body, sha256)


def build_pack(records: Iterator[BlockRecord]) -> BuiltBlocks | None:
    """A pack of the first records, as many as fill it (about PACK_BYTES stored); None when there are none.

    `records` is consumed no further than the last record in the pack. The same records give the same pack.
    """
    frames: list[bytes] = []
    entries: list[BlockEntry] = []
    offset = 0
    for found in records:
        frame, sha256 = found.frame, None if found.sha256 is None else found.sha256.hex()
        length = len(frame) if frame is not None else 0
        entries.append(BlockEntry(found.index, offset, length, sha256, found.was))
        if frame is not None:
            frames.append(frame)
            offset += length
            if offset >= PACK_BYTES:
                break
    if not entries:
        return None
    table = BlockTable(FORMAT_VERSION, BLOCK_BYTES, tuple(entries))
    frames.append(encode_table(msgspec.json.encode(table, order="sorted")))
    return BuiltBlocks(b"".join(frames), _digest_of(table))


def describe(key: str, body: bytes) -> PackRef:
    """The reference of a pack from its bytes, after checking its table of contents. Raises PackCorrupt."""
    toc_offset, table = _table_in(key, body)
    frames = table.frames
    return PackRef(
        key=key,
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        toc_offset=toc_offset,
        toc_sha256=hashlib.sha256(memoryview(body)[toc_offset:]).hexdigest(),
        frames=frames,
        records=len(table.blocks),
        net=table.net,
        raw_bytes=frames * BLOCK_BYTES,
        first_key=block_key(table.blocks[0].index),
        last_key=block_key(table.blocks[-1].index),
    )


def check_blocks(key: str, body: bytes) -> BlockTable:
    """The table of contents of a pack from its bytes, after unpacking and verifying every block in it.

    Raises PackCorrupt, naming the block.
    """
    _, table = _table_in(key, body)
    unpacking = Unpacking()
    for entry in table.blocks:
        unpacking.block(key, entry, body[entry.offset : entry.offset + entry.length])
    return table


def read_blocks_of(payloads: ObjectReads, pack: PackRef) -> tuple[BlockEntry, ...]:
    """The entries of a pack by one ranged read, checked against the reference. Raises PackCorrupt."""
    table = _decode(pack.key, read_table(payloads, pack), pack.toc_offset)
    stated = (pack.frames, pack.records, pack.net, pack.first_key, pack.last_key)
    first, last = block_key(table.blocks[0].index), block_key(table.blocks[-1].index)
    if (table.frames, len(table.blocks), table.net, first, last) != stated:
        raise PackCorrupt(f"pack {pack.key} is not the one that the manifest describes")
    return table.blocks


def _table_in(key: str, body: bytes) -> tuple[int, BlockTable]:
    toc_offset = find_table(key, body)
    return toc_offset, _decode(key, body[toc_offset:], toc_offset)


def _decode(key: str, frame: bytes, toc_offset: int) -> BlockTable:
    try:
        table = _TABLE.decode(text_of_table(key, frame))
    except msgspec.MsgspecError as error:
        raise PackCorrupt(f"the table of contents of pack {key} cannot be read") from error
    if (table.version, table.block_bytes) != (FORMAT_VERSION, BLOCK_BYTES):
        raise PackCorrupt(
            f"pack {key} has format version {table.version} and blocks of {table.block_bytes} bytes; this release "
            f"reads version {FORMAT_VERSION} and {BLOCK_BYTES}"
        )
    offset, last = 0, -1
    for entry in table.blocks:
        if entry.index <= last or entry.offset != offset or not 0 <= entry.length <= MAX_FRAME_BYTES:
            raise PackCorrupt(f"block {entry.index} in pack {key} is out of place in its table of contents")
        if (entry.sha256 is None) != (entry.length == 0) or (entry.sha256 is None and entry.was is None):
            raise PackCorrupt(f"block {entry.index} in pack {key} is neither there nor gone")
        offset, last = offset + entry.length, entry.index
    if not table.blocks or offset != toc_offset:
        raise PackCorrupt(f"the table of contents of pack {key} is not well formed")
    return table


def _digest_of(table: BlockTable) -> SetDigest:
    return digest_of((entry.index, bytes.fromhex(entry.sha256)) for entry in table.blocks if entry.sha256 is not None)


BLOCKS: Final = PackForm(build_pack, describe, lambda key, body: _digest_of(check_blocks(key, body)))
