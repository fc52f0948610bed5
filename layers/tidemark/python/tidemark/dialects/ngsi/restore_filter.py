"""The filter of a restore: which entities, or attributes of entities, become as they were.

Members: `id`, `idPattern`, `type`, `typePattern` as in the query parameters of `GET /v2/entities` (`id` and `type` take
lists separated by commas), `q` as there, and `attrs`, an array of attribute names. All that is given must hold. An
entity is selected when it fulfils the filter as it was in the snapshot or as it is now.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidemark.dialects.ngsi.attributes import Attributes, attribute_name
from tidemark.dialects.ngsi.entities import attributes_of, encode
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.query_language import Query, parse_query
from tidemark.dialects.ngsi.selection import Description, description_of
from tidemark.domain.keys import EntityKey
from tidemark.errors import InvalidRequest

MAX_ATTRIBUTES: Final = 100
_NAMES: Final = ("id", "idPattern", "type", "typePattern")
_TEXTS: Final = (*_NAMES, "q")
_MEMBERS: Final = (*_TEXTS, "attrs")


@dataclass(frozen=True, slots=True)
class RestoreFilter:
    """See `tidemark.domain.selection.Selection`."""

    description: Description
    query: Query
    attributes: frozenset[str] | None

    def names(self, key: EntityKey) -> bool:
        return self.description.admits(key)

    def picks(self, key: EntityKey, was: str | None, now: str | None) -> bool:
        return self.names(key) and (not self.query or any(self._matches(doc) for doc in (was, now)))

    def blend(self, was: str | None, now: str | None, *, keep: bool) -> str | None:
        if self.attributes is None:
            return now if keep and was is None else was
        before, present = _attributes(was), _attributes(now)
        taken = {name: one for name, one in before.items() if name in self.attributes}
        kept = {name: one for name, one in present.items() if keep or name not in self.attributes}
        if now is None and not taken:
            return None
        return encode(_key_in(was if now is None else now), {**kept, **taken})

    def _matches(self, doc: str | None) -> bool:
        return doc is not None and self.query.matches(attributes_of(doc))


def accept(given: object) -> str:
    """The text of a filter as a request's body gives it, for `compiled`. Raises InvalidRequest naming what is wrong."""
    wanted = members(given, _MEMBERS)
    if not wanted:
        raise InvalidRequest("the member 'filter' is empty; leave it out to restore everything")
    for name in _TEXTS:
        if name in wanted and (not isinstance(wanted[name], str) or not wanted[name]):
            raise InvalidRequest(
                f"the member {name!r} of the filter must be a string that is not empty; it is {json_type(wanted[name])}"
            )
    _attribute_names(wanted)
    text = msgspec.json.encode(wanted, order="sorted").decode()
    compiled(text)
    return text


def compiled(text: str) -> RestoreFilter:
    """The filter behind a text that `accept` gave. Raises InvalidRequest."""
    wanted = msgspec.json.decode(text, type=dict[str, Any])
    return RestoreFilter(
        description=description_of({name: wanted[name] for name in _NAMES if name in wanted}),
        query=parse_query(wanted.get("q"), None),
        attributes=_attribute_names(wanted),
    )


def _attribute_names(wanted: dict[str, Any]) -> frozenset[str] | None:
    given = wanted.get("attrs")
    if "attrs" not in wanted:
        return None
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_ATTRIBUTES:
        raise InvalidRequest(f"the member 'attrs' of the filter must be an array of 1 to {MAX_ATTRIBUTES} names")
    return frozenset(attribute_name(name) for name in given)


def _attributes(doc: str | None) -> Attributes:
    return {} if doc is None else attributes_of(doc)


def _key_in(doc: str | None) -> EntityKey:
    identity = _IDENTITY.decode(doc or "{}")
    return EntityKey(identity.type, identity.id, "")


class _Identity(msgspec.Struct):
    id: str
    type: str


# Made here, by one thread: the shards that a filter is asked about are read by several.
_IDENTITY: Final = msgspec.json.Decoder(_Identity)
