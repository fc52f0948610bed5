"""Live data as layers: the tenant's base snapshot, and above it what was written since, told by the index of changes.

Items carry what they were at the base's cut (`anchors`), so nothing of the base is read. Each entity is read at one
moment, all of them at several.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import batched
from typing import Final

from tidemark.domain.live import Cut, Generation, Item, ItemKey, TenantState
from tidemark.domain.manifest import Manifest
from tidemark.domain.tenant import Tenant
from tidemark.engine.changes import changed_keys
from tidemark.engine.differences import Lines, Run
from tidemark.engine.live import generations
from tidemark.engine.live.versions import change_between
from tidemark.engine.lookup import Proceed
from tidemark.engine.records import Record, record
from tidemark.errors import CutViolated, GenerationMoved, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.read_inside import kept_manifest

_ITEMS_AT_ONCE: Final = 200
_PAUSE_S: Final = 0.2
# Behind all cuts: items as they are, whenever they were written.
_NOW: Final = Cut(2**62)

type Shards = Sequence[Sequence[Run]]
"""The layers of each shard, base first."""


def with_live[T](ports: Ports, tenant: Tenant, fold: Callable[[Shards], T], *, proceed: Proceed) -> T:
    """What `fold` makes of the live data. It is called again when a snapshot or a restore was completed meanwhile.

    Raises what `proceed` raises, which is called before each reading, and what reading the base's manifest raises.
    """
    while True:
        proceed()
        state = ports.table.load(tenant).state
        if state is None:
            return fold([])
        try:
            result = fold(_shards(ports, state, proceed))
        except (CutViolated, GenerationMoved):
            if _settled(ports, state):
                raise
        else:
            if _settled(ports, state):
                return result
        ports.clock.sleep(_PAUSE_S)


def _settled(ports: Ports, before: TenantState) -> bool:
    """Whether what was read since `before` can be relied on: the same generation on the same base, and no snapshot that
    is completed and about to be the base, since that removes tombstones.
    """
    after = ports.table.load(before.tenant).state
    if after is None or (after.generation, after.base) != (before.generation, before.base):
        return False
    if after.capturing is None or after.lease is None:
        return True
    with suppress(SnapshotNotFound):
        return not ports.catalog.snapshot(before.tenant, after.lease.subject).was_completed
    return True


def _shards(ports: Ports, state: TenantState, proceed: Proceed) -> Shards:
    base = base_of(ports, state)
    if base is None:
        return [[_all(ports, state, shard)] for shard in range(state.shards)]
    return ports.parallel.map(lambda shard: on_base(ports, state, base, shard, proceed), range(state.shards))


def on_base(
    ports: Ports, state: TenantState, base: Manifest, shard: int, proceed: Proceed, cut: Cut = _NOW
) -> Sequence[Run]:
    """A shard of live data as of the end of `cut`, which must be the one being captured, on its base."""
    since = state.base.cut if state.base is not None else Cut(0)
    return [*base.shards[shard].layers, _between(ports, state, shard, since, cut, proceed)]


def base_of(ports: Ports, state: TenantState) -> Manifest | None:
    """The manifest of the snapshot that live data builds on, if there is one that is cut like it. Raises
    ManifestCorrupt.
    """
    if state.base is None or state.base.snapshot_id is None:
        return None
    try:
        reference = ports.catalog.snapshot(state.tenant, state.base.snapshot_id).manifest
    except SnapshotNotFound:
        return None
    base = kept_manifest(ports, reference) if reference is not None else None
    return base if base is not None and len(base.shards) == state.shards else None


def _between(ports: Ports, state: TenantState, shard: int, since: Cut, cut: Cut, proceed: Proceed) -> Lines:
    """What differs at the end of `cut` from the end of `since`."""
    keys: set[str] = set()
    for found in changed_keys(ports, state.tenant, state.generation, shard, since):
        proceed()
        keys.add(found.sort_key)
    sort_keys = sorted(keys)

    def read(from_key: str | None, to_key: str | None) -> Iterator[Record]:
        start = 0 if from_key is None else bisect_left(sort_keys, from_key)
        stop = len(sort_keys) if to_key is None else bisect_left(sort_keys, to_key)
        for some in batched(sort_keys[start:stop], _ITEMS_AT_ONCE, strict=False):
            proceed()
            for item in _loaded(ports, state, shard, some):
                change = change_between(item, since, cut)
                if change is not None:
                    yield record(item.key.sort_key, change.doc, was=change.was)

    return Lines(read)


def _loaded(ports: Ports, state: TenantState, shard: int, sort_keys: Sequence[str]) -> Iterator[Item]:
    places = [ItemKey(state.generation, shard, sort_key) for sort_key in sort_keys]
    items = ports.table.load(state.tenant, places).items
    for place in places:
        if place not in items:
            raise GenerationMoved(f"item {place.sort_key!r} was written and is gone without a tombstone; try again")
        yield items[place]


def _all(ports: Ports, state: TenantState, shard: int) -> Lines:
    """All of a shard, as a base has it."""

    def read(from_key: str | None, to_key: str | None) -> Iterator[Record]:
        for item in generations.items(ports, state.tenant, Generation(state.generation), shard, from_key):
            if to_key is not None and item.key.sort_key >= to_key:
                return
            if item.doc is not None:
                yield record(item.key.sort_key, item.doc)

    return Lines(read)
