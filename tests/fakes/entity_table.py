"""The table of the entity store in memory. Fast enough for some hundred thousand items."""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from tidemark.domain.keys import SEPARATOR, EntityKey
from tidemark.domain.live import ChangedKey, Cut, Gate, Generation, Item, ItemKey, ItemWrite, TenantState
from tidemark.domain.tenant import Tenant
from tidemark.errors import RecordExists, StaleRecord, WriteConflict
from tidemark.ports import ChangedPage, Loaded, Page

PAGE_BYTES: Final = 1 << 20
_TRANSACTION_ACTIONS: Final = 100
_TRANSACTION_BYTES: Final = 4 << 20
_AFTER_SEPARATOR: Final = chr(ord(SEPARATOR) + 1)
_FEW: Final = 64
_KEY_BYTES: Final = 200


class _Place(NamedTuple):
    tenant: Tenant
    generation: Generation
    shard: int


class _Partition:
    """Items by sort key, and the keys in order, which is made when it is read: so loading many items is cheap."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self._order: list[str] = []
        self._fresh: list[str] = []
        self._gone: set[str] = set()

    def put(self, item: Item) -> None:
        key = item.key.sort_key
        if key not in self.items:
            if key in self._gone:
                self._gone.remove(key)
            else:
                self._fresh.append(key)
        self.items[key] = item

    def remove(self, key: str) -> None:
        if self.items.pop(key, None) is not None:
            self._gone.add(key)

    def order(self) -> list[str]:
        """All keys in order; some may have gone."""
        if len(self._fresh) > _FEW:
            self._order.extend(self._fresh)
            self._order.sort()
        else:
            for key in self._fresh:
                insort(self._order, key)
        self._fresh.clear()
        if len(self._gone) > len(self.items):
            self._order = [key for key in self._order if key in self.items]
            self._gone.clear()
        return self._order


class MemoryEntityTable:
    """Everything behind one lock. A page ends after `page_bytes`: make it small, and few items make many pages."""

    def __init__(self, *, page_bytes: int = PAGE_BYTES) -> None:
        self._page_bytes = page_bytes
        self._lock = threading.RLock()
        self._states: dict[Tenant, TenantState] = {}
        self._gates: dict[tuple[Tenant, int], Gate] = {}
        self._partitions: dict[_Place, _Partition] = {}

    def load(self, tenant: Tenant, keys: Sequence[ItemKey] = (), gates: Sequence[int] = ()) -> Loaded:
        with self._lock:
            found = {key: item for key in keys if (item := self._item(tenant, key)) is not None}
            found_gates = {number: self._gates[tenant, number] for number in gates if (tenant, number) in self._gates}
            return Loaded(self._states.get(tenant), found_gates, found)

    def add_state(self, state: TenantState) -> None:
        with self._lock:
            if state.tenant in self._states:
                raise RecordExists(f"tenant {state.tenant} already has a state")
            self._states[state.tenant] = state

    def replace_state(self, state: TenantState) -> TenantState:
        wanted = replace(state, rev=state.rev + 1)
        with self._lock:
            present = self._states.get(state.tenant)
            if present != wanted and (present is None or present.rev != state.rev):
                raise StaleRecord(f"the state of tenant {state.tenant} has changed since it was read")
            self._states[state.tenant] = wanted
        return wanted

    def add_gate(self, gate: Gate) -> None:
        with self._lock:
            if (gate.tenant, gate.number) in self._gates:
                raise RecordExists(f"tenant {gate.tenant} already has gate {gate.number}")
            self._gates[gate.tenant, gate.number] = gate

    def replace_gate(self, gate: Gate) -> Gate:
        wanted = replace(gate, rev=gate.rev + 1)
        with self._lock:
            present = self._gates.get((gate.tenant, gate.number))
            if present != wanted and (present is None or present.rev != gate.rev):
                raise StaleRecord(f"gate {gate.number} of tenant {gate.tenant} has changed since it was read")
            self._gates[gate.tenant, gate.number] = wanted
        return wanted

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        _check_limits(gates, writes)
        with self._lock:
            for gate in gates:
                present_gate = self._gates.get((tenant, gate.number))
                if present_gate is None or present_gate.rev != gate.rev:
                    raise WriteConflict(f"gate {gate.number} of tenant {tenant} has changed since it was read")
            for key, expected_rev, _ in writes:
                present = self._item(tenant, key)
                if (present.rev if present else None) != expected_rev:
                    raise WriteConflict(f"an item of tenant {tenant} has changed since it was read")
            for key, _, item in writes:
                partition = self._partition(tenant, key)
                if item is None:
                    partition.remove(key.sort_key)
                else:
                    partition.put(item)

    def page(
        self,
        tenant: Tenant,
        generation: Generation,
        shard: int,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Page:
        with self._lock:
            partition = self._partitions.get(_Place(tenant, generation, shard))
            if partition is None:
                return Page((), more=False)
            found: list[Item] = []
            size_bytes = 0
            for key in _following(partition, prefix, after):
                item = partition.items[key]
                found.append(item)
                size_bytes += _size_bytes(item)
                # As on AWS: a page that ends by a bound does not look whether it ends at the end.
                if len(found) == limit or size_bytes >= self._page_bytes:
                    return Page(found, more=True)
            return Page(found, more=False)

    def keys_of_id(self, tenant: Tenant, generation: Generation, shard: int, entity_id: str) -> list[EntityKey]:
        with self._lock:
            partition = self._partitions.get(_Place(tenant, generation, shard))
            if partition is None:
                return []
            return [
                EntityKey.parse(key) for key in _with_id(partition, entity_id) if partition.items[key].doc is not None
            ]

    def changed_keys(
        self, tenant: Tenant, generation: Generation, shard: int, *, since: Cut, after: ChangedKey | None = None
    ) -> ChangedPage:
        with self._lock:
            partition = self._partitions.get(_Place(tenant, generation, shard))
            items = partition.items.values() if partition else ()
            found = sorted(
                ChangedKey(item.changed, item.key.sort_key, item.doc is None)
                for item in items
                if item.changed is not None and item.changed > since
            )
        if after is not None:
            found = [one for one in found if one[:2] > after[:2]]
        fitting = max(1, self._page_bytes // _KEY_BYTES)
        return ChangedPage(found[:fitting], more=len(found) >= fitting)

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        with self._lock:
            for item in items:
                if self._item(tenant, item.key) is None:
                    self._partition(tenant, item.key).put(item)

    def remove(self, tenant: Tenant, keys: Sequence[ItemKey]) -> None:
        with self._lock:
            for key in keys:
                self._partition(tenant, key).remove(key.sort_key)

    def _partition(self, tenant: Tenant, key: ItemKey) -> _Partition:
        return self._partitions.setdefault(_Place(tenant, key.generation, key.shard), _Partition())

    def _item(self, tenant: Tenant, key: ItemKey) -> Item | None:
        partition = self._partitions.get(_Place(tenant, key.generation, key.shard))
        return partition.items.get(key.sort_key) if partition else None


def _following(partition: _Partition, prefix: str, after: str | None) -> Iterator[str]:
    order = partition.order()
    start = bisect_left(order, prefix)
    if after is not None:
        start = max(start, bisect_right(order, after))
    for index in range(start, len(order)):
        key = order[index]
        if not key.startswith(prefix):
            return
        if key in partition.items:
            yield key


def _with_id(partition: _Partition, entity_id: str) -> Iterator[str]:
    """The keys with that id: one look for each type, since keys are ordered by type, then id."""
    order = partition.order()
    index = 0
    while index < len(order):
        entity_type = order[index].partition(SEPARATOR)[0]
        yield from _following(partition, SEPARATOR.join((entity_type, entity_id, "")), None)
        index = bisect_left(order, entity_type + _AFTER_SEPARATOR, index)


def _size_bytes(item: Item) -> int:
    return 100 + len(item.key.sort_key) + len(item.doc or "") + len(item.prev or "")


def _check_limits(gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
    """What AWS would refuse is a fault of the caller, so it has no name among the errors of the product."""
    if len(gates) + len(writes) > _TRANSACTION_ACTIONS:
        msg = f"a transaction takes {_TRANSACTION_ACTIONS} actions, not {len(gates) + len(writes)}"
        raise ValueError(msg)
    if len({write.key for write in writes}) < len(writes) or len({gate.number for gate in gates}) < len(gates):
        msg = "a transaction can't name an item twice"
        raise ValueError(msg)
    if sum(_size_bytes(write.item) for write in writes if write.item) > _TRANSACTION_BYTES:
        msg = f"a transaction takes {_TRANSACTION_BYTES} bytes"
        raise ValueError(msg)
