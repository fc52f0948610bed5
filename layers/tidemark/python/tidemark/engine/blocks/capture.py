"""Storing one shard of an image: what differs from the shard as the last snapshot of the volume has it.

Memory is bounded by one pack and what the source reads ahead. A pack is the unit of resume, as `engine.storing` says;
a worker whose time is over stores a smaller one, and says how far it has looked, as most blocks leave no pack behind.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from tidemark.domain.blocks import Block, BlockRange, digest_of
from tidemark.domain.live import Cut
from tidemark.domain.manifest import Layer, LayerKind, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.blocks.layers import BlockMap, fold, map_of, records_of
from tidemark.engine.blocks.packs import BLOCKS, BlockRecord, Packing
from tidemark.engine.copying import COMPACT_SHARE, deltas_to_merge, layer_of, note_key, noted, pack_prefix, read_note
from tidemark.engine.storing import store_run
from tidemark.errors import ObjectExists, PackCorrupt
from tidemark.ports import Ports

# An image is of no cut of live data.
_CUT = Cut(0)


class BlockSource(Protocol):
    """Where blocks of an image come from.

    `whole`: what it leaves out is zeros; otherwise it is as it was in the snapshot that is built upon.
    """

    @property
    def whole(self) -> bool:
        """See above."""
        ...

    def read(self, within: BlockRange) -> Iterator[Block]:
        """Blocks of a range, by index. The same range gives the same blocks whenever it is asked for."""
        ...


class ShardCut(NamedTuple):
    """What is to be stored: the blocks of one shard. `base` is the shard as the last snapshot of the volume has it."""

    tenant: Tenant
    capture_id: CaptureId
    shard: int
    within: BlockRange
    base: ShardManifest | None = None


class Stint(NamedTuple):
    """How much one worker takes on: the blocks from `place` on, until its time is `spent`.

    Of those before it, all that differ from the base are in packs, whoever stored them. At least one block is looked at
    in each, so the next one is nearer to the end.
    """

    place: int
    spent: Callable[[], bool]


class Unfinished(NamedTuple):
    """Where the next worker has to begin."""

    place: int


def copy_shard(ports: Ports, job: ShardCut, source: BlockSource, proceed: Callable[[], None]) -> ShardManifest:
    """Store what the shard needs beyond its base, and a note of the whole, which is returned. Can be repeated.

    `proceed` is called before each pack and may raise to stop: the packs stored so far are kept. Raises ValueError when
    there is no base and the source tells only what changed.
    """
    stint = Stint(job.within.start, lambda: False)
    while isinstance(copied := copy_in_time(ports, job, source, proceed, stint), Unfinished):
        stint = stint._replace(place=copied.place)
    return copied


def copy_in_time(
    ports: Ports, job: ShardCut, source: BlockSource, proceed: Callable[[], None], stint: Stint
) -> ShardManifest | Unfinished:
    """As `copy_shard`, as far as the time allows."""
    key = note_key(job.tenant, job.capture_id, job.shard)
    found = noted(ports.payloads, key)
    if found is not None:
        return found
    copied = _copy(ports, job, source, proceed, stint)
    if isinstance(copied, Unfinished):
        return copied
    with suppress(ObjectExists):
        ports.payloads.put(key, manifests.encode_note(key, copied))
    return read_note(ports.payloads, job.tenant, job.capture_id, job.shard)


@dataclass
class _Reading:
    """Reads a source until the time is over; `stopped_at` is the first block that was not looked at then."""

    source: BlockSource
    stint: Stint
    stopped_at: int | None = None

    def read(self, within: BlockRange) -> Iterator[Block]:
        self.stopped_at = None
        if within.start >= within.stop:
            return
        for block in self.source.read(within):
            yield block
            if self.stint.spent():
                self.stopped_at = block.index + 1
                return


def _copy(
    ports: Ports, job: ShardCut, source: BlockSource, proceed: Callable[[], None], stint: Stint
) -> ShardManifest | Unfinished:
    if job.base is None and not source.whole:
        raise ValueError(f"shard {job.shard} has no base, and its source tells only what changed")
    base = job.base or ShardManifest(job.shard, 0, digest_of([]).hex, ())
    below = map_of(ports, base)
    kind = LayerKind.DELTA if base.layers else LayerKind.BASE
    reading = _Reading(source, stint)

    def records(after: str | None) -> Iterator[BlockRecord]:
        start = stint.place if after is None else max(stint.place, int(after) + 1)
        return _changes(below, reading, BlockRange(start, job.within.stop))

    layer = _stored(ports, job, kind, str(kind), records, proceed)
    if reading.stopped_at is not None:
        return Unfinished(reading.stopped_at)
    if layer is None:
        return base
    if stint.place < job.within.stop and stint.spent():
        # What follows reads and may store the shard once more, so it gets a time of its own.
        return Unfinished(job.within.stop)
    merged = dict(below)
    compact = replace(base, layers=_compacted(ports, job, base, below, proceed))
    merged.update(fold(ports, (layer,)))
    digest = digest_of((index, one.sha256) for index, one in merged.items() if one.entry.sha256 is not None)
    return ShardManifest(job.shard, digest.count, digest.hex, (*compact.layers, layer))


def _changes(below: BlockMap, reading: _Reading, blocks: BlockRange) -> Iterator[BlockRecord]:
    """A record of each block that differs from the one below, as far as the source is read."""
    packing = Packing()
    pending = iter([index for index in below if index >= blocks.start] if reading.source.whole else [])
    gone = next(pending, None)
    for block in reading.read(blocks):
        while gone is not None and gone < block.index:
            yield packing.record(Block(gone), below[gone].entry.sha256)
            gone = next(pending, None)
        if gone == block.index:
            gone = next(pending, None)
        lies = below.get(block.index)
        if block.sha256 != (None if lies is None else lies.sha256):
            yield packing.record(block, None if lies is None else lies.entry.sha256)
    while gone is not None and reading.stopped_at is None:
        yield packing.record(Block(gone), below[gone].entry.sha256)
        gone = next(pending, None)


def _compacted(
    ports: Ports, job: ShardCut, base: ShardManifest, below: BlockMap, proceed: Callable[[], None]
) -> tuple[Layer, ...]:
    """The layers that an earlier snapshot left, in fewer where they are too many or too large: by the rules of
    `engine.copying`, except that the layer on top, which was just stored, does not count. So a snapshot stores what
    changed, and only later ones store anew what earlier ones did.
    """
    if not below:
        # A base without a block would be none.
        return base.layers
    bottom, *deltas = base.layers
    sizes_bytes = [one.raw_bytes for one in deltas]
    if sum(sizes_bytes) > COMPACT_SHARE * bottom.raw_bytes:
        layer = _merged(ports, job, LayerKind.BASE, below, proceed)
        return (layer,) if layer else ()
    count = deltas_to_merge(sizes_bytes)
    if not count:
        return base.layers
    newest = fold(ports, base.layers[-count:])
    layer = _merged(ports, job, LayerKind.DELTA, newest, proceed)
    net, said = layer.net if layer else 0, sum(one.net for one in base.layers[-count:])
    if net != said:
        raise PackCorrupt(f"shard {job.shard}: merged deltas should add {said} to its blocks, their blocks add {net}")
    return (*base.layers[:-count], *((layer,) if layer else ()))


def _merged(
    ports: Ports, job: ShardCut, kind: LayerKind, blocks: BlockMap, proceed: Callable[[], None]
) -> Layer | None:
    def records(after: str | None) -> Iterator[BlockRecord]:
        start = 0 if after is None else int(after) + 1
        wanted = [located for index, located in blocks.items() if index >= start]
        return records_of(ports.payloads, wanted, base=kind is LayerKind.BASE)

    return _stored(ports, job, kind, f"merged-{kind}", records, proceed)


def _stored(
    ports: Ports,
    job: ShardCut,
    kind: LayerKind,
    name: str,
    records: Callable[[str | None], Iterator[BlockRecord]],
    proceed: Callable[[], None],
) -> Layer | None:
    prefix = f"{pack_prefix(job.tenant, job.capture_id, job.shard)}-{name}"
    packs, _ = store_run(ports.payloads, prefix, records, proceed, BLOCKS)
    return layer_of(kind, job.capture_id, _CUT, packs) if packs else None
