"""Reading a shard: a streaming merge of its layers, in which the last layer that has a key wins.

Memory is bounded by packs, never by the shard.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tidemark.domain.fingerprint import fingerprint
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

    An entity that ends as the layers below have it leaves no line. Raises PackCorrupt, also where the lines of a key
    can't all be true.
    """
    for lines in _by_key([_read_layer(payloads, delta, from_key, None) for delta in deltas]):
        if not agree(lines):
            raise PackCorrupt(f"the deltas of cuts {deltas[0].cut} to {deltas[-1].cut} contradict each other")
        # The first line says what the layers below have, the last one what it is now.
        was, last = lines[0].was, lines[-1]
        if fingerprint(last.value) != was:
            yield marked(last, was)


def agree(lines: Sequence[Record]) -> bool:
    """Whether what layers that follow each other say of one key can be true: each was made from the one before."""
    return all(fingerprint(earlier.value) == later.was for earlier, later in pairwise(lines))


def merged(
    layers: Sequence[Iterator[Record]], *, check: Callable[[Sequence[Record]], None] | None = None
) -> Iterator[Record]:
    """The records that layers make together, base first, without tombstones and as a base has them.

    `check` is given what the layers say of each key that a delta mentions, and may raise.
    """
    if not layers:
        return
    run, *deltas = layers
    if deltas:
        run = _overlaid(run, deltas, check)
    for found in run:
        if found.value is not None:
            yield found if found.was is None else marked(found, None)


def _overlaid(
    base: Iterator[Record], deltas: Sequence[Iterator[Record]], check: Callable[[Sequence[Record]], None] | None
) -> Iterator[Record]:
    """The base with the deltas on top, tombstones included: most records of a base pass by after one comparison."""
    changes = _by_key(deltas)
    lines = next(changes, None)
    for found in base:
        while lines is not None and lines[0].key < found.key:
            yield _last(lines, check)
            lines = next(changes, None)
        if lines is not None and lines[0].key == found.key:
            yield _last([found, *lines], check)
            lines = next(changes, None)
        else:
            yield found
    while lines is not None:
        yield _last(lines, check)
        lines = next(changes, None)


def _last(lines: Sequence[Record], check: Callable[[Sequence[Record]], None] | None) -> Record:
    if check is not None:
        check(lines)
    return lines[-1]


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
