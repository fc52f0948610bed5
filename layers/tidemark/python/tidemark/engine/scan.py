"""Reading a shard from some key on, for somebody who may stop soon: little at first, then more and more at a time.

`merge.read_shard` is for whoever wants it all: it reads a pack at once.
"""

from collections.abc import Iterator

from tidemark.domain.manifest import Layer, PackRef, ShardManifest
from tidemark.engine.lookup import Proceed, go_on
from tidemark.engine.merge import merged
from tidemark.engine.packs import read_frames
from tidemark.engine.records import Record
from tidemark.engine.tables import MAX_FRAMES_AT_ONCE, runs, table_of
from tidemark.ports import PayloadStore


def scan_shard(
    payloads: PayloadStore,
    shard: ShardManifest,
    *,
    from_key: str | None = None,
    to_key: str | None = None,
    proceed: Proceed = go_on,
) -> Iterator[Record]:
    """The shard's records in key order, from `from_key` (inclusive) to `to_key` (exclusive), without tombstones.

    Nothing is read before the first record is asked for, and only frames that can hold keys of the range. Memory is
    bounded by the frames that are read at once, of each layer. Raises PackCorrupt.
    """
    return merged([scan_layer(payloads, layer, from_key, to_key, proceed) for layer in shard.layers])


def scan_layer(
    payloads: PayloadStore, layer: Layer, from_key: str | None, to_key: str | None, proceed: Proceed
) -> Iterator[Record]:
    """What one layer says, likewise, tombstones too."""
    at_once = 1
    for pack in layer.packs:
        if not _meets(pack, from_key, to_key):
            continue
        proceed()
        table = table_of(payloads, pack)
        places = table.between(from_key, to_key)
        while places:
            (frames,) = runs(table, places[:at_once])
            proceed()
            for found in read_frames(payloads, pack, frames):
                if (from_key is None or found.key >= from_key) and (to_key is None or found.key < to_key):
                    yield found
            places = places[at_once:]
            at_once = min(2 * at_once, MAX_FRAMES_AT_ONCE)


def _meets(pack: PackRef, from_key: str | None, to_key: str | None) -> bool:
    return (to_key is None or pack.first_key < to_key) and (from_key is None or pack.last_key >= from_key)
