"""The entity types of a tenant and what their entities look like, from one pass over the entities.

Source: the NGSIv2 specification, "Types".
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated

import msgspec
from msgspec import Meta

from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.service_path import Scope
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases import entities
from tidemark.usecases.entities import StoredEntity


class AttributeTypes(msgspec.Struct, frozen=True):
    """The types that an attribute has among the entities of one type."""

    types: list[str]


class TypeDetail(msgspec.Struct, frozen=True):
    """The attributes of an entity type, and how many entities it has."""

    attrs: dict[str, AttributeTypes]
    count: Annotated[int, Meta(ge=0)]


class EntityType(msgspec.Struct, frozen=True):
    """An entity type with its attributes, and how many entities it has."""

    type: str
    attrs: dict[str, AttributeTypes]
    count: Annotated[int, Meta(ge=0)]


def list_types(
    ports: Ports, tenant: Tenant, scope: Scope, *, only: str | None = None, detail: bool = True
) -> list[EntityType]:
    """Every type, or only one, with its attributes, the types of these (none without `detail`), and its count."""

    def fold(stream: Iterator[StoredEntity]) -> list[EntityType]:
        visible = (stored for stored in stream if scope.admits(stored.key.path))
        return [
            _described(name, group, detail=detail) for name, group in groupby(visible, lambda stored: stored.key.type)
        ]

    return entities.view(ports, tenant, fold, types=None if only is None else [only])


def list_names(ports: Ports, tenant: Tenant, scope: Scope) -> Sequence[str]:
    """The names of the types alone, in order."""

    def fold(stream: Iterator[StoredEntity]) -> list[str]:
        return list(dict.fromkeys(stored.key.type for stored in stream if scope.admits(stored.key.path)))

    return entities.view(ports, tenant, fold)


def _described(name: str, group: Iterator[StoredEntity], *, detail: bool) -> EntityType:
    count = 0
    types: dict[str, set[str]] = {}
    for stored in group:
        count += 1
        for attribute, content in attributes_of(stored.doc).items():
            types.setdefault(attribute, set()).add(content["type"])
    attrs = {attribute: AttributeTypes(sorted(types[attribute]) if detail else []) for attribute in sorted(types)}
    return EntityType(name, attrs, count)
