"""Finding records of a shard by their keys or their id, reading only the frames that can hold them.

What it costs, each table of contents read once by a process and every byte checked:

- an id of a known type: one frame of each layer that may hold it (two, where its service paths lie in both);
- an id of any type: of each layer, a skip-scan over the types, told by the first keys of the frames. Where one type
  fills a frame and the next one begins with it too, the ids say whether the frame can be passed over; where types
  change inside a frame, it must be read. So at most two frames a type and layer, however many entities there are;
- many keys: each frame once.

A layer whose packs can't hold the key costs nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from tidemark.domain.keys import SEPARATOR, shard_of
from tidemark.domain.manifest import Layer, Manifest, PackRef, ShardManifest
from tidemark.engine.merge import merged
from tidemark.engine.packs import read_frames
from tidemark.engine.records import Record
from tidemark.engine.tables import Table, may_hold_id, runs, table_of
from tidemark.ports import Parallel, PayloadStore

type Proceed = Callable[[], None]
"""Called before each ranged read; raises to go no further."""

# A service path begins with a slash, so the root comes before any other.
_LOWEST_PATH: Final = "/"
_BEHIND: Final = chr(ord(SEPARATOR) + 1)


def go_on() -> None:
    """Proceed however long it takes."""


def shard_with(manifest: Manifest, entity_id: str) -> ShardManifest:
    """The shard in which an id is, if it is anywhere."""
    return manifest.shards[shard_of(entity_id, len(manifest.shards))]


def find_id(
    payloads: PayloadStore,
    parallel: Parallel,
    layers: Sequence[Layer],
    entity_id: str,
    types: Collection[str] | None = None,
    *,
    proceed: Proceed = go_on,
) -> list[Record]:
    """The records of an id, in key order, only of `types` where given, without tombstones.

    The layers are read side by side: an answer from all takes as long as one from the newest alone. Raises PackCorrupt.
    """
    found = parallel.map(lambda layer: in_layer(payloads, layer, entity_id, types, proceed=proceed), layers)
    return list(merged([iter(records) for records in found]))


def in_layer(
    payloads: PayloadStore,
    layer: Layer,
    entity_id: str,
    types: Collection[str] | None = None,
    *,
    proceed: Proceed = go_on,
) -> list[Record]:
    """What one layer says of an id, in key order, tombstones too. Raises PackCorrupt."""
    marked = f"{SEPARATOR}{entity_id}{SEPARATOR}"
    return [
        found
        for pack in layer.packs
        if _may_hold(pack, entity_id, types)
        for found in _records_of(payloads, pack, entity_id, types, proceed)
        if marked in found.key and (types is None or found.key.partition(SEPARATOR)[0] in types)
    ]


def read_keys(
    payloads: PayloadStore, shard: ShardManifest, sorted_keys: Sequence[str], *, proceed: Proceed = go_on
) -> Iterator[Record]:
    """The shard's records with these keys, in their order, without tombstones. Raises PackCorrupt."""
    return read_keys_of_layers(payloads, shard.layers, sorted_keys, proceed=proceed)


def read_keys_of_layers(
    payloads: PayloadStore, layers: Sequence[Layer], sorted_keys: Sequence[str], *, proceed: Proceed = go_on
) -> Iterator[Record]:
    """As `read_keys`, of what some layers make together, the one that lies lowest first.

    A key whose last word is a tombstone is left out, as is one that these layers don't mention. Raises PackCorrupt.
    """
    return merged([_keys_in_layer(payloads, layer, sorted_keys, proceed) for layer in layers])


def _keys_in_layer(
    payloads: PayloadStore, layer: Layer, sorted_keys: Sequence[str], proceed: Proceed
) -> Iterator[Record]:
    for pack in layer.packs:
        start, stop = bisect_left(sorted_keys, pack.first_key), bisect_right(sorted_keys, pack.last_key)
        if start == stop:
            continue
        wanted = set(sorted_keys[start:stop])
        proceed()
        table = table_of(payloads, pack)
        # The keys are sorted, so their places are too.
        places = list(dict.fromkeys(bisect_right(table.first_keys, key) - 1 for key in sorted_keys[start:stop]))
        for found in _read(payloads, pack, table, places, proceed):
            if found.key in wanted:
                yield found


def _may_hold(pack: PackRef, entity_id: str, types: Collection[str] | None) -> bool:
    if types is None:
        return may_hold_id(pack.first_key, pack.last_key, entity_id)
    return any(pack.first_key < to_key and from_key <= pack.last_key for from_key, to_key in _spans(entity_id, types))


def _spans(entity_id: str, types: Collection[str]) -> Iterator[tuple[str, str]]:
    """Between which keys an id stands under each type: the first inclusive, the second exclusive."""
    for type_ in sorted(types):
        stem = f"{type_}{SEPARATOR}{entity_id}"
        yield stem + SEPARATOR + _LOWEST_PATH, stem + _BEHIND


def _records_of(
    payloads: PayloadStore, pack: PackRef, entity_id: str, types: Collection[str] | None, proceed: Proceed
) -> Iterator[Record]:
    """The records of the frames that can hold the id."""
    proceed()
    table = table_of(payloads, pack)
    if types is None:
        places = list(table.of_id(entity_id))
    else:
        places = sorted({place for span in _spans(entity_id, types) for place in table.between(*span)})
    return _read(payloads, pack, table, places, proceed)


def _read(
    payloads: PayloadStore, pack: PackRef, table: Table, places: Sequence[int], proceed: Proceed
) -> Iterator[Record]:
    for frames in runs(table, places):
        proceed()
        yield from read_frames(payloads, pack, frames)
