"""Entities that can be read, and the live ones, which can be changed too. Their protocols are in `engine.live`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tidemark.domain.keys import EntityKey
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import reads, writes
from tidemark.engine.live.writes import Decide
from tidemark.ports import Ports


class StoredEntity(NamedTuple):
    """An entity as stored: `doc` is the canonical JSON of the whole entity (members sorted, no spaces)."""

    key: EntityKey
    doc: str


class Readable(Protocol):
    """Entities to read: those that are live, or those inside a snapshot."""

    def find(self, entity_id: str, *, types: Sequence[str] | None = None) -> list[StoredEntity]:
        """Every entity with this id, in key order. With `types`, others may be left out."""
        ...

    def view[T](self, fold: Callable[[Iterator[StoredEntity]], T], *, types: Sequence[str] | None = None) -> T:
        """What `fold` makes of all entities in key order (type, id, path), only of exact `types` where given.

        Entities stream. `fold` may stop early, and may be called again from the start.
        """
        ...


@dataclass(frozen=True, slots=True)
class Live:
    """A tenant's live entities."""

    ports: Ports
    tenant: Tenant

    def find(self, entity_id: str, *, types: Sequence[str] | None = None) -> list[StoredEntity]:
        """See `Readable`. The index of ids knows no types, so `types` saves nothing."""
        del types
        return find(self.ports, self.tenant, entity_id)

    def view[T](self, fold: Callable[[Iterator[StoredEntity]], T], *, types: Sequence[str] | None = None) -> T:
        """See `Readable`. `fold` is called again when a restore was cut over meanwhile."""
        return view(self.ports, self.tenant, fold, types=types)


def find(ports: Ports, tenant: Tenant, entity_id: str) -> list[StoredEntity]:
    """Every entity with this id, of any type and path, in key order."""
    return [StoredEntity(key, doc) for key, doc in reads.find(ports, tenant, entity_id)]


def view[T](
    ports: Ports, tenant: Tenant, fold: Callable[[Iterator[StoredEntity]], T], *, types: Sequence[str] | None = None
) -> T:
    """What `fold` makes of all entities in key order (type, id, path), only of exact `types` where given.

    Entities stream page by page. `fold` may stop early; it is called again from the start when a restore was cut over
    meanwhile.
    """
    return reads.view(ports, tenant, lambda found: fold(StoredEntity(key, doc) for key, doc in found), types)


def change(ports: Ports, tenant: Tenant, keys: Sequence[EntityKey], decide: Decide) -> None:
    """Read, decide, commit. See `engine.live.writes.change` for what commits together and what is raised."""
    writes.change(ports, tenant, keys, decide)
