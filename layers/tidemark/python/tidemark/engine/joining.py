"""A snapshot beside live data: each entity as it was and as it is, in key order, shard by shard.

A snapshot may have been cut into another number of shards than the tenant it is laid over. Both numbers are powers of
two, so a shard of one is some whole shards of the other, or a part of one.
"""

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from tidemark.domain.keys import EntityKey, shard_of
from tidemark.domain.live import Item
from tidemark.domain.manifest import Manifest, ShardManifest
from tidemark.engine.merge import read_shard
from tidemark.engine.records import Record
from tidemark.ports import PayloadStore


class Pair(NamedTuple):
    """One key: its record in the snapshot and its live item, at least one of them."""

    key: str
    was: Record | None
    now: Item | None


def joined(was: Iterator[Record], now: Iterator[Item]) -> Iterator[Pair]:
    """Both streams, each in key order, key by key."""
    record, item = next(was, None), next(now, None)
    while record is not None or item is not None:
        if item is None or (record is not None and record.key < item.key.sort_key):
            assert record is not None  # noqa: S101 - one of the two is there
            yield Pair(record.key, record, None)
            record = next(was, None)
        elif record is None or item.key.sort_key < record.key:
            yield Pair(item.key.sort_key, None, item)
            item = next(now, None)
        else:
            yield Pair(record.key, record, item)
            record, item = next(was, None), next(now, None)


def _shards_behind(manifest: Manifest, shard: int, shards: int) -> list[ShardManifest]:
    """The snapshot's shards that hold what belongs into shard `shard` of `shards`; one that is coarser holds more."""
    count = len(manifest.shards)
    if count <= shards:
        return [manifest.shards[shard * count // shards]]
    share = count // shards
    return list(manifest.shards[shard * share : (shard + 1) * share])


def records_of(
    payloads: PayloadStore, manifest: Manifest, shard: int, shards: int, *, from_key: str | None = None
) -> Iterator[Record]:
    """What the snapshot has of shard `shard` of `shards`, in key order, from `from_key` (inclusive). Raises
    PackCorrupt.
    """
    runs = [read_shard(payloads, one, from_key=from_key) for one in _shards_behind(manifest, shard, shards)]
    records = runs[0] if len(runs) == 1 else heapq.merge(*runs, key=lambda record: record.key)
    if len(manifest.shards) >= shards:
        return records
    return (record for record in records if shard_of(EntityKey.parse(record.key).id, shards) == shard)
