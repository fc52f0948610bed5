"""Reading a shard: a streaming merge of its layers, in which the last layer that has a key wins.

Memory is bounded by packs, never by the shard.
"""

import heapq
from collections.abc import Iterable, Iterator

from tidemark.domain.manifest import Layer, ShardManifest
from tidemark.engine.packs import read_pack
from tidemark.engine.records import Record
from tidemark.ports import PayloadStore


def read_shard(
    payloads: PayloadStore, shard: ShardManifest, *, from_key: str | None = None, to_key: str | None = None
) -> Iterator[Record]:
    """The shard's records in key order, from `from_key` (inclusive) to `to_key` (exclusive), without tombstones.

    Raises PackCorrupt.
    """
    return merged(_read_layer(payloads, layer, from_key, to_key) for layer in shard.layers)


def merged(layers: Iterable[Iterator[Record]]) -> Iterator[Record]:
    """The records that layers make together, base first, without tombstones."""
    runs = [_ranked(layer, -position) for position, layer in enumerate(layers)]
    previous: str | None = None
    for key, _rank, found in heapq.merge(*runs, key=lambda entry: entry[:2]):
        if key != previous and found.value is not None:
            yield found
        previous = key


def _ranked(records: Iterator[Record], rank: int) -> Iterator[tuple[str, int, Record]]:
    for found in records:
        yield found.key, rank, found


def _read_layer(payloads: PayloadStore, layer: Layer, from_key: str | None, to_key: str | None) -> Iterator[Record]:
    for pack in layer.packs:
        yield from read_pack(payloads, pack, from_key=from_key, to_key=to_key)
