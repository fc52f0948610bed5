"""The port of the table of the built-in entity store. The protocols on top of it are in `engine.live`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from tidemark.domain.keys import EntityKey
from tidemark.domain.live import (
    ChangedKey,
    Cut,
    Gate,
    Generation,
    Item,
    ItemKey,
    ItemWrite,
    TenantState,
)
from tidemark.domain.tenant import Tenant


class Loaded(NamedTuple):
    """What one read found: absent records are absent here."""

    state: TenantState | None
    gates: Mapping[int, Gate]
    items: Mapping[ItemKey, Item]


class Page(NamedTuple):
    """Some items in key order; `more` says that others may follow the last one, which the next page tells."""

    items: Sequence[Item]
    more: bool


class ChangedPage(NamedTuple):
    """Some changed items in the order of their cuts, then keys; `more` says that others may follow the last one."""

    keys: Sequence[ChangedKey]
    more: bool


class EntityTable(Protocol):
    """The table of the built-in entity store: tenant states, gates and items.

    The protocols on top of it are in `engine.live`.
    """

    def load(self, tenant: Tenant, keys: Sequence[ItemKey] = (), gates: Sequence[int] = ()) -> Loaded:
        """The tenant's state, and the named items and gates, in one request where they are at most 99 (each is read at
        its own moment).
        """
        ...

    def add_state(self, state: TenantState) -> None:
        """Create the tenant's state. Raises RecordExists."""
        ...

    def replace_state(self, state: TenantState) -> TenantState:
        """Store a changed state with `rev` one higher, if the stored `rev` is the given one.

        Raises StaleRecord. May be repeated.
        """
        ...

    def add_gate(self, gate: Gate) -> None:
        """Create a gate. Raises RecordExists."""
        ...

    def replace_gate(self, gate: Gate) -> Gate:
        """Store a changed gate with `rev` one higher, if the stored `rev` is the given one.

        Raises StaleRecord. May be repeated.
        """
        ...

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        """All writes or none, if every gate is still at the given `rev` and every item at its expected one. Raises
        WriteConflict.

        At most 100 gates and writes together, 4 MB in all (AWS limits of a transaction).
        """
        ...

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
        """Items of a shard in key order, tombstones included: those whose key begins with `prefix`, after key `after`,
        at most `limit`.
        """
        ...

    def keys_of_id(self, tenant: Tenant, generation: Generation, shard: int, entity_id: str) -> list[EntityKey]:
        """The keys of the live entities with this id, in key order."""
        ...

    def changed_keys(
        self, tenant: Tenant, generation: Generation, shard: int, *, since: Cut, after: ChangedKey | None = None
    ) -> ChangedPage:
        """Which items of a shard were written in cuts after `since`, by cut, then key; those after `after` only."""
        ...

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        """Create items; one that exists is left as it is. Not atomic as a whole. Repeating it changes nothing."""
        ...

    def remove(self, tenant: Tenant, keys: Sequence[ItemKey]) -> None:
        """Remove items, whatever they are. Repeating it changes nothing."""
        ...
