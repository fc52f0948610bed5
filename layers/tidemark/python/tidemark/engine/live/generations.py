"""Generations: reading one back, and removing one that nobody reads any more."""

from collections.abc import Iterator
from typing import Final

from tidemark.domain.live import Generation, Item
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports

_REMOVE_ITEMS: Final = 1000


def items(ports: Ports, tenant: Tenant, generation: Generation, shard: int, after: str | None = None) -> Iterator[Item]:
    """The items of a shard in key order, tombstones included, page by page."""
    while True:
        page = ports.table.page(tenant, generation, shard, after=after)
        yield from page.items
        if not page.more:
            return
        after = page.items[-1].key.sort_key


def remove(ports: Ports, tenant: Tenant, generation: Generation, shards: int, until_s: float) -> bool:
    """Delete a whole generation, shard after shard.

    False when the clock's `until_s` came first: call again. Can be repeated.
    """
    for shard in range(shards):
        while True:
            page = ports.table.page(tenant, generation, shard, limit=_REMOVE_ITEMS)
            if not page.items:
                break
            if ports.clock.monotonic_s() >= until_s:
                return False
            ports.table.remove(tenant, [item.key for item in page.items])
    return True
