"""The layers of a shard of blocks, folded into one map: which block lies where. Only tables of contents are read, so a
map costs some hundred bytes for each block of the shard, whatever the blocks hold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tidemark.domain.blocks import Block, BlockRange, digest_of
from tidemark.domain.manifest import Layer, PackRef, ShardManifest
from tidemark.engine.blocks.packs import BlockEntry, BlockRecord, Unpacking, read_blocks_of
from tidemark.engine.framing import read_range
from tidemark.errors import ManifestCorrupt
from tidemark.ports import ObjectReads, Parallel

# What one ranged read gets of frames that lie next to each other.
_READ_BYTES: Final = 8 * 1024 * 1024


class Reading(Protocol):
    """What stored images are read with. `Ports` has it, and so has whoever has addresses of objects alone."""

    @property
    def payloads(self) -> ObjectReads:
        """Where packs are read."""
        ...

    @property
    def parallel(self) -> Parallel:
        """How several are read at once."""
        ...


class Located(NamedTuple):
    """The newest entry of a block in some layers, and its pack. `was` is what lies below all of these layers."""

    pack: PackRef
    entry: BlockEntry
    was: str | None

    @property
    def sha256(self) -> bytes:
        """Of the block, which is not zeros."""
        return bytes.fromhex(self.entry.sha256 or "")


type BlockMap = Mapping[int, Located]
"""By index, in order."""


def fold(ports: Reading, layers: Sequence[Layer]) -> BlockMap:
    """What some layers, one upon the other, add to what is below them. A block that they leave as it was is not in it.

    Raises PackCorrupt, and ManifestCorrupt, naming the block, where a layer was made from something else than lies
    below it.
    """
    packs = [pack for layer in layers for pack in layer.packs]
    tables = ports.parallel.map(lambda pack: read_blocks_of(ports.payloads, pack), packs)
    found: dict[int, Located] = {}
    for pack, entries in zip(packs, tables, strict=True):
        for entry in entries:
            below = found.get(entry.index)
            if below is None:
                found[entry.index] = Located(pack, entry, entry.was)
            elif below.entry.sha256 != entry.was:
                raise ManifestCorrupt(
                    f"block {entry.index} in pack {pack.key} was stored on top of another one than pack "
                    f"{below.pack.key} has"
                )
            else:
                found[entry.index] = Located(pack, entry, below.was)
    return {index: found[index] for index in sorted(found) if found[index].entry.sha256 != found[index].was}


def map_of(ports: Reading, shard: ShardManifest) -> BlockMap:
    """Where each block of a shard that is not zeros lies, held against what the shard's line says of them.

    Raises PackCorrupt, ManifestCorrupt.
    """
    found = fold(ports, shard.layers)
    for index, located in found.items():
        if located.was is not None:
            raise ManifestCorrupt(f"block {index} in pack {located.pack.key} was stored on top of one that is missing")
    digest = digest_of((index, located.sha256) for index, located in found.items())
    if (digest.count, digest.hex) != (shard.records, shard.digest):
        raise ManifestCorrupt(f"shard {shard.shard} has other blocks than its layers together hold")
    return found


def records_of(payloads: ObjectReads, blocks: Iterable[Located], *, base: bool) -> Iterator[BlockRecord]:
    """The blocks as records of one layer, their frames as they are stored, each verified.

    `base`: the layer has nothing below it. Raises PackCorrupt, naming the block.
    """
    for located, frame, block in _read(payloads, blocks):
        was = None if base else located.was
        yield BlockRecord(block.index, frame if block.body is not None else None, block.sha256, was)


def read_blocks(payloads: ObjectReads, blocks: Iterable[Located]) -> Iterator[Block]:
    """The blocks, each verified. Raises PackCorrupt, naming the block."""
    return (block for _, _, block in _read(payloads, blocks))


def within(found: BlockMap, blocks: BlockRange) -> list[Located]:
    """The part of a map that is in a range."""
    return [located for index, located in found.items() if blocks.start <= index < blocks.stop]


def _read(payloads: ObjectReads, blocks: Iterable[Located]) -> Iterator[tuple[Located, bytes, Block]]:
    unpacking = Unpacking()
    for some in _runs(blocks):
        pack, start = some[0].pack, some[0].entry.offset
        end = some[-1].entry.offset + some[-1].entry.length
        stored = read_range(payloads, pack, start, end - start) if end > start else b""
        for located in some:
            offset = located.entry.offset - start
            frame = stored[offset : offset + located.entry.length]
            yield located, frame, unpacking.block(pack.key, located.entry, frame)


def _runs(blocks: Iterable[Located]) -> Iterator[list[Located]]:
    """The blocks in groups whose frames lie next to each other in one pack, each of some megabytes."""
    run: list[Located] = []
    for located in blocks:
        entry = located.entry
        if run:
            first, last = run[0].entry, run[-1].entry
            follows = located.pack == run[-1].pack and entry.offset == last.offset + last.length
            if not follows or entry.offset + entry.length - first.offset > _READ_BYTES:
                yield run
                run = []
        run.append(located)
    if run:
        yield run
