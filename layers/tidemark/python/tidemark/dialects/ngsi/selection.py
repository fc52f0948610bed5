"""Which entities a request asks for: by id, type and pattern, by service path, by query.

Source: the NGSIv2 specification, "List Entities" and "Query". All conditions must hold; of several descriptions of
entities in `POST /v2/op/query` one is enough. Parameters that nothing here knows are ignored, as in Orion.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.patterns import Pattern, compile_pattern
from tidemark.dialects.ngsi.query_language import NO_QUERY, Query, parse_query
from tidemark.dialects.ngsi.service_path import Scope
from tidemark.dialects.ngsi.syntax import allowed_text, identifier, shown
from tidemark.domain.keys import EntityKey
from tidemark.errors import InvalidRequest, NotSupported, TooManyResults

MAX_DESCRIPTIONS: Final = 1000
# Each type is looked up by itself in every shard; above this, one pass over everything costs less.
FEW_TYPES: Final = 16
_GEOGRAPHICAL: Final = ("georel", "geometry", "coords")


@dataclass(frozen=True, slots=True)
class Description:
    """What entities must be called: one of the ids or a pattern of ids, one of the types or a pattern of types."""

    ids: frozenset[str] | None = None
    id_pattern: Pattern | None = None
    types: frozenset[str] | None = None
    type_pattern: Pattern | None = None

    def admits(self, key: EntityKey) -> bool:
        """Whether an entity is called so."""
        return (
            (self.ids is None or key.id in self.ids)
            and (self.types is None or key.type in self.types)
            and (self.id_pattern is None or self.id_pattern.search(key.id) is not None)
            and (self.type_pattern is None or self.type_pattern.search(key.type) is not None)
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """All that entities must fulfil. Without descriptions every name will do."""

    scope: Scope
    descriptions: tuple[Description, ...] = ()
    query: Query = NO_QUERY

    def admits(self, key: EntityKey) -> bool:
        """Whether an entity's name and place are wanted; `query` is still to be asked about its content."""
        return self.scope.admits(key.path) and (
            not self.descriptions or any(description.admits(key) for description in self.descriptions)
        )

    def exact_types(self) -> Sequence[str] | None:
        """The only types that can be admitted, in order, where they are few; None where any type can, or many."""
        types: set[str] = set()
        for description in self.descriptions:
            if description.types is None:
                return None
            types |= description.types
        return sorted(types) if self.descriptions and len(types) <= FEW_TYPES else None

    def exact_id(self) -> str | None:
        """The only id that can be admitted, where there is just one."""
        if len(self.descriptions) == 1 and (ids := self.descriptions[0].ids) is not None and len(ids) == 1:
            return next(iter(ids))
        return None


def from_parameters(query: Mapping[str, str], scope: Scope) -> Selection:
    """The selection in the query parameters of `GET /v2/entities`. Raises InvalidRequest, NotSupported."""
    for name in ("id", "type", "idPattern", "typePattern", "q", "mq", *_GEOGRAPHICAL):
        if query.get(name) == "":
            raise InvalidRequest(f"the query parameter {name} is empty; give it a value or leave it out")
    _refuse_geography(query)
    given = {name: query[name] for name in ("id", "type", "idPattern", "typePattern") if name in query}
    descriptions = (_description(given, _listed),) if given else ()
    return Selection(scope, descriptions, parse_query(query.get("q"), query.get("mq")))


def description_of(given: Mapping[str, str]) -> Description:
    """The description in `id`, `type` (lists separated by commas), `idPattern` and `typePattern`.

    Raises InvalidRequest.
    """
    return _description(given, _listed)


def from_document(document: Mapping[str, Any], scope: Scope) -> Selection:
    """The selection in the body of `POST /v2/op/query`. Raises InvalidRequest, NotSupported."""
    given = document.get("entities", [])
    if not isinstance(given, list) or len(given) > MAX_DESCRIPTIONS:
        raise InvalidRequest(f"the member 'entities' must be an array of at most {MAX_DESCRIPTIONS} objects")
    expression = members(document.get("expression", {}), {"q", "mq", *_GEOGRAPHICAL})
    _refuse_geography(expression)
    return Selection(
        scope,
        tuple(_described(entity) for entity in given),
        parse_query(_text(expression, "q"), _text(expression, "mq")),
    )


def only_one(found: Sequence[EntityKey], entity_id: str) -> EntityKey:
    """The only key. Raises TooManyResults when there are several."""
    if len(found) > 1:
        places = ", ".join(f"type {key.type} in {key.path}" for key in found)
        raise TooManyResults(
            f"More than one matching entity. Please refine your query: {shown(entity_id)} is there as {places}; "
            "name one with the query parameter type, or with Fiware-ServicePath"
        )
    return found[0]


def _described(given: object) -> Description:
    known = members(given, {"id", "idPattern", "type", "typePattern"})
    if "id" not in known and "idPattern" not in known:
        raise InvalidRequest("an element of 'entities' needs an id or an idPattern; .* is the pattern of all")
    return _description(known, lambda kind, value: frozenset({identifier(kind, value)}))


def _description(given: Mapping[str, Any], names: Callable[[str, Any], frozenset[str]]) -> Description:
    for exact, pattern in (("id", "idPattern"), ("type", "typePattern")):
        if exact in given and pattern in given:
            raise InvalidRequest(f"{exact} and {pattern} exclude each other; use one of them")
    return Description(
        ids=names("entity id", given["id"]) if "id" in given else None,
        id_pattern=_pattern(given, "idPattern"),
        types=names("entity type", given["type"]) if "type" in given else None,
        type_pattern=_pattern(given, "typePattern"),
    )


def _pattern(given: Mapping[str, Any], name: str) -> Pattern | None:
    text = _text(given, name)
    return None if text is None else compile_pattern(name, text)


def _listed(kind: str, text: str) -> frozenset[str]:
    allowed_text(kind, text)
    return frozenset(identifier(kind, part) for part in text.split(","))


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None and name not in given:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"the member {shown(name)} must be a string that is not empty; it is {json_type(value)}")
    return value


def _refuse_geography(given: Mapping[str, Any]) -> None:
    for name in _GEOGRAPHICAL:
        if name in given:
            raise NotSupported(f"geographical queries are not supported: leave out {name}")
