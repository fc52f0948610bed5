"""The history of an entity: in which snapshots it differs from the snapshot before, newest first.

Snapshots that share the layers of the entity's shard are passed over without reading them. Where one only has layers
on top of those of the other, these alone are looked at, and each layer once: so it costs about one read for each
snapshot of which the shard changed. How far back it goes is for the caller to say, by stopping or by `since`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import batched, pairwise, takewhile
from typing import Final, NamedTuple

from tidemark.domain.keys import EntityKey
from tidemark.domain.manifest import Layer
from tidemark.domain.snapshot import ManifestRef, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.lookup import Proceed, in_layer, shard_with
from tidemark.engine.recent import Recent
from tidemark.engine.records import Record
from tidemark.ports import Ports
from tidemark.usecases.read_inside import READ_BUDGET_S, in_time, kept_manifest

# How many snapshots are looked at side by side.
_AT_ONCE: Final = 16
_MAX_HELD_BYTES: Final = 64 * 1024 * 1024

type Layers = tuple[Layer, ...]


class Change(StrEnum):
    """How an entity in a snapshot differs from the snapshot before.

    What is in the oldest snapshot that is kept counts as created there: nothing tells when it was.
    """

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Difference(NamedTuple):
    """One entity that differs: its documents in the snapshot, and in the one before; None where it is not there."""

    snapshot: Snapshot
    key: EntityKey
    doc: str | None
    before: str | None

    @property
    def change(self) -> Change:
        """What became of it."""
        if self.before is None:
            return Change.CREATED
        return Change.DELETED if self.doc is None else Change.UPDATED


class Period(NamedTuple):
    """Snapshots taken from `since` (inclusive) to `until` (exclusive)."""

    since: datetime | None = None
    until: datetime | None = None


def entity_history(
    ports: Ports,
    tenant: Tenant,
    entity_id: str,
    *,
    admits: Callable[[EntityKey], bool] = lambda _key: True,
    types: Collection[str] | None = None,
    period: Period = Period(),  # noqa: B008 - a frozen tuple
    budget_s: float = READ_BUDGET_S,
) -> Iterator[Difference]:
    """Where entities with this id differ, newest snapshot first, and by key within one; it reads as it is consumed.

    Only completed snapshots count: those that were deleted have no part in it. Raises AnswerTooSlow once `budget_s` is
    over, ManifestCorrupt, PackCorrupt.
    """
    reached: list[str] = []
    proceed = in_time(ports, ports.clock.monotonic_s() + budget_s, lambda: _refusal(entity_id, reached))
    shard = _Shard(ports, entity_id, types, proceed)
    for (newer, layers), (older, layers_before) in _pairs(ports, tenant, shard, period):
        if older is not None:
            reached[:] = [older.id]
        proceed()
        for key in sorted(shard.touched(layers, layers_before)):
            doc, before = shard.word(layers, key), shard.word(layers_before, key)
            if doc != before and admits(named := EntityKey.parse(key)):
                yield Difference(newer, named, doc, before)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A completed snapshot and where its manifest is."""

    snapshot: Snapshot
    manifest: ManifestRef


type _Placed = tuple[Snapshot, Layers]
type _Before = tuple[Snapshot | None, Layers]


class _Shard:
    """What the layers of the entity's shard say of it. Each layer is read once, if it is not too long ago."""

    def __init__(self, ports: Ports, entity_id: str, types: Collection[str] | None, proceed: Proceed) -> None:
        self._ports = ports
        self._entity_id = entity_id
        self._types = types
        self._proceed = proceed
        self._words: Recent[tuple[str, ...], Mapping[str, Record]] = Recent(_MAX_HELD_BYTES, _weight)

    def layers(self, kept: _Kept) -> Layers:
        """The layers of the shard in which the entity is, or would be."""
        self._proceed()
        return shard_with(kept_manifest(self._ports, kept.manifest), self._entity_id).layers

    def prepare(self, pairs: list[tuple[Layers, Layers]]) -> None:
        """Read the layers by which snapshots differ, side by side."""
        differing = {_name(layer): layer for newer, older in pairs for layer in _differing(newer, older)}
        self._ports.parallel.map(self._said, differing.values())

    def touched(self, newer: Layers, older: Layers) -> set[str]:
        """The keys that may differ: those that any layer mentions which is not in both."""
        return {key for layer in _differing(newer, older) for key in self._said(layer)}

    def word(self, layers: Layers, key: str) -> str | None:
        """The document of a key: what the newest layer says that mentions it."""
        for layer in reversed(layers):
            if (found := self._said(layer).get(key)) is not None:
                return None if found.value is None else found.value.decode()
        return None

    def _said(self, layer: Layer) -> Mapping[str, Record]:
        return self._words.get(_name(layer), lambda: self._read(layer))

    def _read(self, layer: Layer) -> Mapping[str, Record]:
        found = in_layer(self._ports.payloads, layer, self._entity_id, self._types, proceed=self._proceed)
        return {record.key: record for record in found}


def _pairs(ports: Ports, tenant: Tenant, shard: _Shard, period: Period) -> Iterator[tuple[_Placed, _Before]]:
    """Each snapshot of the period with the one before it, which may be older than the period."""
    newer: _Placed | None = None
    for some in batched(_kept(ports, tenant, period), _AT_ONCE, strict=False):
        layers = ports.parallel.map(shard.layers, some)
        placed = [(kept.snapshot, found) for kept, found in zip(some, layers, strict=True)]
        chain = placed if newer is None else [newer, *placed]
        shard.prepare([(one[1], other[1]) for one, other in pairwise(chain)])
        yield from pairwise(chain)
        newer = chain[-1]
    if newer is not None and _since(newer[0], period):
        yield newer, (None, ())


def _kept(ports: Ports, tenant: Tenant, period: Period) -> Iterator[_Kept]:
    """The completed snapshots of the period, newest first, and the one before them."""
    completed = (
        _Kept(one, one.manifest)
        for one in ports.catalog.snapshots(tenant)
        if one.status is SnapshotStatus.COMPLETED
        and one.manifest is not None
        and (period.until is None or one.created_at < period.until)
    )
    for kept in completed:
        yield kept
        if not _since(kept.snapshot, period):
            return


def _since(snapshot: Snapshot, period: Period) -> bool:
    return period.since is None or snapshot.created_at >= period.since


def _differing(newer: Layers, older: Layers) -> Layers:
    """The layers that lie on top of what both have in common. None where they are the same."""
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(newer, older, strict=False)))
    return newer[shared:] + older[shared:]


def _name(layer: Layer) -> tuple[str, ...]:
    return tuple(pack.key for pack in layer.packs)


def _weight(words: Mapping[str, Record]) -> int:
    return 1024 + sum(len(found.line) for found in words.values())


def _refusal(entity_id: str, reached: list[str]) -> str:
    back = f"; it came back to {reached[0]}" if reached else ""
    return (
        f"looking through all snapshots for {entity_id} takes longer than one answer may{back}: "
        "name the entity's type, ask for less with limit and without options=count, or for a time with from and to"
    )
