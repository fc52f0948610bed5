"""Staging: the parts a restore is cut into, writing them into a new generation, and reading that generation back."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import pairwise, zip_longest
from typing import Final, NamedTuple

from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import SEPARATOR, behind, id_in, shard_of
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
# What goes to the target between two looks at the lease, and is noted then: some seconds of work.
STEP_RECORDS: Final = 1000
STEP_RAW_BYTES: Final = 4 * 1024 * 1024
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


class Step[T](NamedTuple):
    """One step of what is staged; `reached` is its last key, None where nothing follows."""

    some: list[T]
    reached: str | None


def steps[T](found: Iterable[tuple[str, int, T]]) -> Iterator[Step[T]]:
    """What comes as keys, lengths in bytes and the things themselves, in key order, cut into steps.

    The last one may be empty: a part without entities is staged as well.
    """
    some: list[T] = []
    size_bytes, last_key = 0, None
    for key, length_bytes, one in found:
        if len(some) >= STEP_RECORDS or size_bytes + length_bytes > max(STEP_RAW_BYTES, length_bytes):
            yield Step(some, last_key)
            some, size_bytes = [], 0
        some.append(one)
        size_bytes, last_key = size_bytes + length_bytes, key
    yield Step(some, None)


def stage(
    ports: Ports,
    tenant: Tenant,
    generation: Generation,
    shards: int,
    manifest: ShardManifest,
    part: Part,
    proceed: Callable[[], None],
    *,
    after: str | None = None,
) -> Iterator[StagedPart]:
    """Write the part's records into the generation, from the one behind key `after`, step by step; what each step did.
    Items that are there already stay as they are, so it can be repeated, and a late duplicate harms nothing.

    `shards` is the live tenant's number of shards, which need not be the snapshot's. `proceed` is called before each
    step and may raise to stop.
    """
    from_key = part.from_key if after is None else behind(after)
    records = read_shard(ports.payloads, manifest, from_key=from_key, to_key=part.to_key)
    for some, reached in steps((found.key, len(found.line), found) for found in records):
        proceed()
        items = [_item(found, generation, shards) for found in some]
        ports.table.insert(tenant, items)
        lines: defaultdict[int, list[bytes]] = defaultdict(list)
        for found, item in zip(some, items, strict=True):
            lines[item.key.shard].append(found.line)
        yield StagedPart(
            part=part.number,
            records=len(some),
            shards=tuple(digest_of(shard, written) for shard, written in sorted(lines.items())),
            reached=reached,
        )


def digest_of(shard: int, lines: Collection[bytes]) -> ShardDigest:
    """What is noted of the lines that were written into a shard."""
    digest = SetDigest()
    digest.add_all(lines)
    return ShardDigest(shard, digest.count, digest.hex)


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
