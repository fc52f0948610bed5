"""Staging: the parts a restore is cut into, writing them into a new generation, and reading that generation back."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import batched, pairwise, zip_longest
from typing import Final

from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import SEPARATOR, id_in, shard_of
from tidemark.domain.live import Generation, Item, ItemKey
from tidemark.domain.manifest import Manifest, PackRef, ShardManifest
from tidemark.domain.restore import Part, ShardDigest, StagedPart
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import generations
from tidemark.engine.merge import read_shard
from tidemark.engine.packs import read_toc
from tidemark.engine.records import Record, record
from tidemark.ports import PayloadStore, Ports

# What one worker stages: a minute's work for a shard that takes 1,000 write units a second, of which several of its
# parts may each get a share.
PART_RECORDS: Final = 20_000
PART_RAW_BYTES: Final = 32 * 1024 * 1024
# What goes to the target between two looks at the lease: some seconds of work.
_BATCH_RECORDS: Final = 1000
_FIRST_REV: Final = 1


def parts_of(ports: Ports, manifest: Manifest) -> list[Part]:
    """The work of staging a snapshot: key ranges of each shard, none of more than what a worker surely has the time
    for. The same manifest gives the same parts. Raises PackCorrupt.

    Those that follow each other are of different shards: a shard is one partition of the target, and workers that all
    write to the same one are turned away.
    """
    shards = [shard for shard in manifest.shards if shard.layers]
    ranges = ports.parallel.map(lambda shard: _ranges(ports.payloads, shard), shards)
    places = [
        (shard.shard, *bounds)
        for some in zip_longest(*ranges)
        for shard, bounds in zip(shards, some, strict=True)
        if bounds is not None
    ]
    return [Part(number, *place) for number, place in enumerate(places)]


def _ranges(payloads: PayloadStore, shard: ShardManifest) -> list[tuple[str | None, str | None]]:
    """From which key (inclusive) to which (exclusive) each of its parts goes; None: from the first, to the last."""
    starts = [start for pack in shard.layers[0].packs for start in _starts(payloads, pack)]
    return list(pairwise([None, *starts[1:], None]))


def _starts(payloads: PayloadStore, pack: PackRef) -> Iterator[str]:
    yield pack.first_key
    if pack.records <= PART_RECORDS and pack.raw_bytes <= PART_RAW_BYTES:
        return
    records = raw_bytes = 0
    for frame in read_toc(payloads, pack).frames:
        records, raw_bytes = records + frame.records, raw_bytes + frame.raw_bytes
        if records > max(PART_RECORDS, frame.records) or raw_bytes > max(PART_RAW_BYTES, frame.raw_bytes):
            yield SEPARATOR.join(frame.first_key)
            records, raw_bytes = frame.records, frame.raw_bytes


def stage(
    ports: Ports,
    tenant: Tenant,
    generation: Generation,
    shards: int,
    manifest: ShardManifest,
    part: Part,
    proceed: Callable[[], None],
) -> StagedPart:
    """Write the part's records into the generation. Items that are there already stay as they are, so it can be
    repeated, and a late duplicate harms nothing.

    `shards` is the live tenant's number of shards, which need not be the snapshot's. `proceed` is called before each
    batch and may raise to stop.
    """
    digests: defaultdict[int, SetDigest] = defaultdict(SetDigest)
    records = read_shard(ports.payloads, manifest, from_key=part.from_key, to_key=part.to_key)
    for batch in batched(records, _BATCH_RECORDS, strict=False):
        proceed()
        items = [_item(found, generation, shards) for found in batch]
        ports.table.insert(tenant, items)
        lines: defaultdict[int, list[bytes]] = defaultdict(list)
        for found, item in zip(batch, items, strict=True):
            lines[item.key.shard].append(found.line)
        for shard, some in lines.items():
            digests[shard].add_all(some)
    return StagedPart(
        part=part.number,
        records=sum(digest.count for digest in digests.values()),
        shards=tuple(ShardDigest(shard, digest.count, digest.hex) for shard, digest in sorted(digests.items())),
    )


def read_back(ports: Ports, tenant: Tenant, generation: Generation, shard: int) -> SetDigest:
    """The set digest of what a shard of the live store holds, from fresh, consistent queries."""
    digest = SetDigest()
    for line in _lines(ports, tenant, generation, shard):
        digest.add(line)
    return digest


def _item(found: Record, generation: Generation, shards: int) -> Item:
    doc = (found.value or b"").decode()
    return Item(ItemKey(generation, shard_of(id_in(found.key), shards), found.key), doc, _FIRST_REV)


def _lines(ports: Ports, tenant: Tenant, generation: Generation, shard: int) -> Iterator[bytes]:
    for item in generations.items(ports, tenant, generation, shard):
        if item.doc is not None:
            yield record(item.key.sort_key, item.doc).line
