"""Staging: the parts a restore is cut into, writing them into a new generation, and reading that generation back."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import batched, pairwise
from typing import Final

from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import id_in, shard_of
from tidemark.domain.live import Generation, Item, ItemKey
from tidemark.domain.manifest import Manifest, ShardManifest
from tidemark.domain.restore import Part, ShardDigest, StagedPart
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import generations
from tidemark.engine.merge import read_shard
from tidemark.engine.records import Record, record
from tidemark.ports import Ports

# What goes to the target between two looks at the lease: some seconds of work.
_BATCH_RECORDS: Final = 1000
_FIRST_REV: Final = 1


def parts_of(manifest: Manifest) -> list[Part]:
    """The work of staging a snapshot: the key range of each base pack of each shard.

    The same manifest gives the same parts.
    """
    parts: list[Part] = []
    for shard in manifest.shards:
        if not shard.layers:
            continue
        bounds = [None, *(pack.first_key for pack in shard.layers[0].packs[1:]), None]
        for from_key, to_key in pairwise(bounds):
            parts.append(Part(len(parts), shard.shard, from_key, to_key))
    return parts


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
