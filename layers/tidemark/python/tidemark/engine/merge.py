"""Reading a shard: a streaming merge of its layers, in which the last layer that has a key wins.

Memory is bounded by packs, never by the shard.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tidemark.domain.manifest import Layer, ShardManifest
from tidemark.engine.packs import read_pack
from tidemark.engine.records import Record, marked
from tidemark.errors import PackCorrupt
from tidemark.ports import PayloadStore


def read_shard(
    payloads: PayloadStore, shard: ShardManifest, *, from_key: str | None = None, to_key: str | None = None
) -> Iterator[Record]:
    """The shard's records in key order, from `from_key` (inclusive) to `to_key` (exclusive), without tombstones.

    Raises PackCorrupt.
    """
    layers = [_read_layer(payloads, layer, from_key, to_key) for layer in shard.layers]
    return merged(layers)


def read_changes(payloads: PayloadStore, deltas: Sequence[Layer], *, from_key: str | None = None) -> Iterator[Record]:
    """The one delta that deltas which follow each other make together, in key order, from `from_key`.

    An entity that is new in them and deleted again leaves no line. Raises PackCorrupt, also where the lines of a key
    can't all be true.
    """
    for lines in _by_key([_read_layer(payloads, delta, from_key, None) for delta in deltas]):
        if any((earlier.value is None) != later.new for earlier, later in pairwise(lines)):
            raise PackCorrupt(f"the deltas of cuts {deltas[0].cut} to {deltas[-1].cut} contradict each other")
        # The first line says whether the layers below have the entity, the last one what it is now.
        first, last = lines[0], lines[-1]
        if last.value is not None:
            yield marked(last, new=first.new)
        elif not first.new:
            yield last


def merged(layers: Sequence[Iterator[Record]]) -> Iterator[Record]:
    """The records that layers make together, base first, without tombstones and as a base has them."""
    if not layers:
        return
    run, *deltas = layers
    if deltas:
        run = _overlaid(run, deltas)
    for found in run:
        if found.value is not None:
            yield found


def _overlaid(base: Iterator[Record], deltas: Sequence[Iterator[Record]]) -> Iterator[Record]:
    """The base with the deltas on top, tombstones included: most records of a base pass by after one comparison."""
    changes = _last_of_each(deltas)
    change = next(changes, None)
    for found in base:
        while change is not None and change.key < found.key:
            yield change
            change = next(changes, None)
        if change is not None and change.key == found.key:
            yield change
            change = next(changes, None)
        else:
            yield found
    if change is not None:
        yield change
    yield from changes


def _last_of_each(deltas: Sequence[Iterator[Record]]) -> Iterator[Record]:
    for lines in _by_key(deltas):
        yield marked(lines[-1], new=False)


def _by_key(deltas: Sequence[Iterator[Record]]) -> Iterator[list[Record]]:
    """What the deltas say of each key, in key order, the newest last."""
    runs = [_ranked(delta, position) for position, delta in enumerate(deltas)]
    lines: list[Record] = []
    for key, _rank, found in heapq.merge(*runs, key=lambda entry: entry[:2]):
        if lines and lines[-1].key != key:
            yield lines
            lines = []
        lines.append(found)
    if lines:
        yield lines


def _ranked(records: Iterator[Record], rank: int) -> Iterator[tuple[str, int, Record]]:
    for found in records:
        yield found.key, rank, found


def _read_layer(payloads: PayloadStore, layer: Layer, from_key: str | None, to_key: str | None) -> Iterator[Record]:
    for pack in layer.packs:
        yield from read_pack(payloads, pack, from_key=from_key, to_key=to_key)
