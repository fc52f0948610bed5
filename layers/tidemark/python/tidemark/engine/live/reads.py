"""Reads of live entities.

Each reads the tenant's state after its items: if a restore was cut over meanwhile, it starts over, so no answer mixes
two generations.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tidemark.domain.keys import SEPARATOR, EntityKey, shard_of
from tidemark.domain.live import Generation, Item, ItemKey, Placement, TenantState
from tidemark.domain.tenant import Tenant
from tidemark.errors import GenerationMoved
from tidemark.ports import Page, Ports

_TRIES: Final = 5
# A listing mostly wants one short page: read little of each shard first, then more and more.
_FIRST_PAGE_ITEMS: Final = 16
_PAGE_GROWTH: Final = 4
_LARGEST_PAGE_ITEMS: Final = 4096


def find(ports: Ports, tenant: Tenant, entity_id: str) -> list[tuple[EntityKey, str]]:
    """Every entity with this id, whatever its type and path: key and document, in key order. Raises GenerationMoved."""

    def read(placement: Placement) -> tuple[TenantState | None, list[tuple[EntityKey, str]]]:
        shard = shard_of(entity_id, placement.shards)
        keys = ports.table.keys_of_id(tenant, placement.generation, shard, entity_id)
        located = {key: ItemKey(placement.generation, shard, key.sort_key) for key in keys}
        loaded = ports.table.load(tenant, list(located.values()))
        items = {key: loaded.items.get(item_key) for key, item_key in located.items()}
        return loaded.state, [(key, item.doc) for key, item in items.items() if item and item.doc is not None]

    return _settled(ports, tenant, read, list)


def view[T](
    ports: Ports,
    tenant: Tenant,
    fold: Callable[[Iterator[tuple[EntityKey, str]]], T],
    types: Sequence[str] | None = None,
) -> T:
    """What `fold` makes of the tenant's entities in key order, only of `types` where given. It streams; `fold` may stop
    early, and may be called again.

    Raises GenerationMoved.
    """

    def read(placement: Placement) -> tuple[TenantState | None, T]:
        result = fold(_entities(ports, tenant, placement, types))
        return ports.table.load(tenant).state, result

    return _settled(ports, tenant, read, lambda: fold(iter(())))


def _settled[T](
    ports: Ports,
    tenant: Tenant,
    read: Callable[[Placement], tuple[TenantState | None, T]],
    when_new: Callable[[], T],
) -> T:
    """The result of `read` once the state read with it agrees with where it looked; `when_new` answers for a tenant
    without data.
    """
    for _ in range(_TRIES):
        placement = ports.placements.get(tenant)
        if placement is None:
            state = ports.table.load(tenant).state
            if state is None:
                return when_new()
            placement = _remember(ports, state)
        state, result = read(placement)
        if state is not None and state.generation == placement.generation:
            return result
        if state is None:
            ports.placements.pop(tenant, None)
        else:
            _remember(ports, state)
    raise GenerationMoved(f"restores of tenant {tenant} were cut over while it was read; try again")


def _remember(ports: Ports, state: TenantState) -> Placement:
    placement = Placement(state.generation, state.shards, state.gates)
    ports.placements[state.tenant] = placement
    return placement


def _entities(
    ports: Ports, tenant: Tenant, placement: Placement, types: Sequence[str] | None
) -> Iterator[tuple[EntityKey, str]]:
    for prefix in [""] if types is None else [type_ + SEPARATOR for type_ in sorted(set(types))]:
        first = ports.parallel.map(
            lambda shard, prefix=prefix: ports.table.page(  # type: ignore[misc]
                tenant, placement.generation, shard, prefix=prefix, limit=_FIRST_PAGE_ITEMS
            ),
            range(placement.shards),
        )
        runs = [
            _shard_items(ports, tenant, placement.generation, shard, prefix, page) for shard, page in enumerate(first)
        ]
        for item in heapq.merge(*runs, key=lambda item: item.key.sort_key):
            if item.doc is not None:
                yield EntityKey.parse(item.key.sort_key), item.doc


def _shard_items(
    ports: Ports, tenant: Tenant, generation: Generation, shard: int, prefix: str, page: Page
) -> Iterator[Item]:
    limit = _FIRST_PAGE_ITEMS
    yield from page.items
    while page.more:
        limit = min(limit * _PAGE_GROWTH, _LARGEST_PAGE_ITEMS)
        after = page.items[-1].key.sort_key
        page = ports.table.page(tenant, generation, shard, prefix=prefix, after=after, limit=limit)
        yield from page.items
