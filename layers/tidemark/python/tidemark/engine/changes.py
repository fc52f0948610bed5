"""What a shard's items say of a cut: all of them, or only what changed since the cut of a base."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import batched
from typing import Final

from tidemark.domain.live import ChangedKey, Cut, Generation, ItemKey
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import generations
from tidemark.engine.live.versions import change_between, doc_at
from tidemark.engine.records import Record, record
from tidemark.errors import CutViolated
from tidemark.ports import Ports

# Sort keys of a delta are held in memory: some 15 MB at most. A shard with more changes is copied as a whole.
MAX_CHANGED_KEYS: Final = 100_000
_ITEMS_AT_ONCE: Final = 200


def all_records(
    ports: Ports, tenant: Tenant, generation: Generation, shard: int, cut: Cut, after: str | None
) -> Iterator[Record]:
    """Every entity as of the end of `cut`, in key order, after key `after`."""
    for item in generations.items(ports, tenant, generation, shard, after):
        doc = doc_at(item, cut)
        if doc is not None:
            yield record(item.key.sort_key, doc)


def changed_keys(ports: Ports, tenant: Tenant, generation: Generation, shard: int, since: Cut) -> Iterator[ChangedKey]:
    """Which items were written in cuts after `since`, in the order of those cuts."""
    after: ChangedKey | None = None
    while True:
        page = ports.table.changed_keys(tenant, generation, shard, since=since, after=after)
        yield from page.keys
        if not page.more or not page.keys:
            return
        after = page.keys[-1]


def changed_records(
    ports: Ports,
    tenant: Tenant,
    generation: Generation,
    shard: int,
    cut: Cut,
    base_cut: Cut,
    sort_keys: list[str],
    after: str | None,
) -> Iterator[Record]:
    """In which of those items, in key order and after key `after`, the end of `cut` differs from that of `base_cut`."""
    start = 0 if after is None else bisect_right(sort_keys, after)
    for some in batched(sort_keys[start:], _ITEMS_AT_ONCE, strict=False):
        keys = [ItemKey(generation, shard, sort_key) for sort_key in some]
        items = ports.table.load(tenant, keys).items
        for key in keys:
            if key not in items:
                raise CutViolated(f"item {key.sort_key!r} changed after cut {base_cut} and is gone without a tombstone")
            change = change_between(items[key], base_cut, cut)
            if change is not None:
                yield record(key.sort_key, change.doc, was=change.was)
