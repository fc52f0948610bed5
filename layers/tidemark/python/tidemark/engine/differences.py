"""What two states of a shard differ by, told from the layers that lie above what both have in common.

A line of a delta says what was below it, and a layer holds only what differs from what is below. So nothing of the
common layers is read: an entity that one side mentions and the other does not is, on the other side, what the line says
was there. Two states without a common base are compared in full.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import NamedTuple

from tidemark.domain.change import Change, change_of
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.manifest import Layer
from tidemark.engine.lookup import Proceed, go_on
from tidemark.engine.records import Record
from tidemark.engine.scan import scan_layer
from tidemark.errors import PackCorrupt
from tidemark.ports import PayloadStore


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """A layer that is not stored: `read` gives its records in key order, from a key (inclusive) to another (exclusive).

    It is the same as no other layer.
    """

    read: Callable[[str | None, str | None], Iterator[Record]]


type Run = Layer | Lines


class Sides(NamedTuple):
    """A shard in two states: the stored layers that both begin with, and what lies above them in either."""

    common: Sequence[Layer]
    old: Sequence[Run]
    new: Sequence[Run]


class Difference(NamedTuple):
    """An entity that differs. `old` and `new` are the newest lines above the common layers, None where there is none;
    `below` is the fingerprint of what these have.
    """

    key: str
    change: Change
    below: str | None
    old: Record | None
    new: Record | None


def sides(old: Sequence[Run], new: Sequence[Run]) -> Sides:
    """Two states of a shard, each given by its layers, base first."""
    common = [
        one
        for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
        if isinstance(one, Layer)
    ]
    return Sides(common, old[len(common) :], new[len(common) :])


def differences(
    payloads: PayloadStore,
    shard: Sides,
    *,
    from_key: str | None = None,
    to_key: str | None = None,
    proceed: Proceed = go_on,
) -> Iterator[Difference]:
    """What differs, in key order, from `from_key` (inclusive) to `to_key` (exclusive). Raises PackCorrupt."""
    ranked = [
        _ranked(_read(payloads, run, from_key, to_key, proceed), (side, rank))
        for side, runs in enumerate((shard.old, shard.new))
        for rank, run in enumerate(runs)
    ]
    merged = heapq.merge(*ranked, key=lambda entry: entry[:2])
    for key, lines in groupby(merged, key=lambda entry: entry[0]):
        proceed()
        found = _difference(key, [(side, record) for _, (side, _), record in lines])
        if found is not None:
            yield found


def _difference(key: str, lines: Sequence[tuple[int, Record]]) -> Difference | None:
    old = [record for side, record in lines if side == 0]
    new = [record for side, record in lines if side == 1]
    below = (old or new)[0].was
    if old and new and new[0].was != below:
        raise PackCorrupt(f"the layers above the same ones say different things of what these have of {key!r}")
    before = fingerprint(old[-1].value) if old else below
    after = fingerprint(new[-1].value) if new else below
    change = change_of(before, after)
    if change is None:
        return None
    return Difference(key, change, below, old[-1] if old else None, new[-1] if new else None)


def _read(
    payloads: PayloadStore, run: Run, from_key: str | None, to_key: str | None, proceed: Proceed
) -> Iterator[Record]:
    if isinstance(run, Lines):
        return run.read(from_key, to_key)
    return scan_layer(payloads, run, from_key, to_key, proceed)


def _ranked[R](records: Iterator[Record], rank: R) -> Iterator[tuple[str, R, Record]]:
    for found in records:
        yield found.key, rank, found
