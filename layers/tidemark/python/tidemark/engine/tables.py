"""Tables of contents, kept by the process: which frames of a pack can hold which keys.

A pack never changes, and its manifest names the SHA-256 of its table; so a table that was read and checked once stays
right. What is kept is found by both.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tidemark.domain.keys import SEPARATOR, EntityKey
from tidemark.domain.manifest import PackRef
from tidemark.engine.packs import FrameEntry, read_toc
from tidemark.engine.recent import Recent
from tidemark.ports import PayloadStore

# About 15 MB of a process: the frames of 16 million entities of 500 bytes.
MAX_FRAMES_HELD: Final = 16_384
# Frames that lie side by side are read together, as far as memory for each of many layers allows.
MAX_FRAMES_AT_ONCE: Final = 8


class Table(NamedTuple):
    """The frames of a pack and their first keys, joined; `last_key` is the pack's."""

    frames: tuple[FrameEntry, ...]
    first_keys: tuple[str, ...]
    last_key: str

    def between(self, from_key: str | None, to_key: str | None) -> range:
        """The places of the frames that can hold keys from `from_key` (inclusive) to `to_key` (exclusive)."""
        if from_key is not None and from_key > self.last_key:
            return range(0)
        start = 0 if from_key is None else max(bisect_right(self.first_keys, from_key) - 1, 0)
        stop = len(self.frames) if to_key is None else bisect_left(self.first_keys, to_key)
        return range(start, stop)

    def of_id(self, entity_id: str) -> Iterator[int]:
        """The places of the frames that can hold the id under any type."""
        for place, (low, high) in enumerate(zip(self.first_keys, [*self.first_keys[1:], self.last_key], strict=True)):
            if may_hold_id(low, high, entity_id):
                yield place


def may_hold_id(low: str, high: str, entity_id: str) -> bool:
    """Whether the id can stand, under any type, between two keys: always, where the type changes between them."""
    first, last = EntityKey.parse(low), EntityKey.parse(high)
    return first.type != last.type or first.id <= entity_id <= last.id


def table_of(payloads: PayloadStore, pack: PackRef) -> Table:
    """The pack's table, read unless it is kept. Raises PackCorrupt."""
    return _tables.get((pack.key, pack.toc_sha256), lambda: _read(payloads, pack))


def forget() -> None:
    """Keep no table any more."""
    _tables.clear()


def runs(table: Table, places: Sequence[int], at_once: int = MAX_FRAMES_AT_ONCE) -> Iterator[Sequence[FrameEntry]]:
    """The frames at these places, in order, those side by side together: each run is one ranged read."""
    start = 0
    for place in range(1, len(places) + 1):
        ends = place == len(places) or places[place] != places[place - 1] + 1
        if ends or place - start == at_once:
            yield table.frames[places[start] : places[place - 1] + 1]
            start = place


def _read(payloads: PayloadStore, pack: PackRef) -> Table:
    toc = read_toc(payloads, pack)
    return Table(toc.frames, tuple(SEPARATOR.join(frame.first_key) for frame in toc.frames), pack.last_key)


_tables: Final[Recent[tuple[str, str], Table]] = Recent(MAX_FRAMES_HELD, lambda table: len(table.frames))
