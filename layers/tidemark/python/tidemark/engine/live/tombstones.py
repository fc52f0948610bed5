"""Tombstones: once a completed snapshot has recorded a delete, nothing needs the tombstone any more."""

from collections.abc import Iterable
from contextlib import suppress
from itertools import batched, takewhile
from typing import Final

from tidemark.domain.live import ChangedKey, Cut, Generation, ItemKey, ItemWrite
from tidemark.domain.tenant import Tenant
from tidemark.engine.changes import changed_keys
from tidemark.errors import WriteConflict
from tidemark.ports import Ports

_AT_ONCE: Final = 50


def sweep(
    ports: Ports, tenant: Tenant, generation: Generation, shard: int, since: Cut, until: Cut, until_s: float
) -> int:
    """Remove the shard's tombstones of cuts after `since` up to `until`; how many were removed. Stops at `until_s`.

    Each is removed only as it was read: an entity that was made again meanwhile stays.
    """

    def in_question(one: ChangedKey) -> bool:
        return one.cut <= until and ports.clock.monotonic_s() < until_s

    found = takewhile(in_question, changed_keys(ports, tenant, generation, shard, since))
    old = (ItemKey(generation, shard, one.sort_key) for one in found if one.deleted)
    removed = 0
    for keys in batched(old, _AT_ONCE, strict=False):
        if ports.clock.monotonic_s() >= until_s:
            break
        removed += _remove(ports, tenant, keys, until, until_s)
    return removed


def _remove(ports: Ports, tenant: Tenant, keys: Iterable[ItemKey], until: Cut, until_s: float) -> int:
    items = ports.table.load(tenant, list(keys)).items.values()
    writes = [
        ItemWrite(item.key, item.rev, None)
        for item in items
        if item.doc is None and item.changed is not None and item.changed <= until
    ]
    removed = 0
    for write in writes:
        if ports.clock.monotonic_s() >= until_s:
            break
        # One by one: a writer that makes one of them again must not save the others.
        with suppress(WriteConflict):
            ports.table.commit(tenant, [], [write])
            removed += 1
    return removed
