"""Entities: from a request's JSON to the canonical document that is stored, and back.

The canonical document is the full normalized entity as one JSON string, members sorted at every level, no spaces. It is
a fixed point: decoding and encoding it again gives the same bytes, so equal entities are equal strings. Numbers stay
integers or floats as they came, whatever their size.
"""

from typing import Any, Final, NamedTuple

import msgspec

from tidemark.dialects.ngsi.attributes import Attributes, parse_attributes
from tidemark.dialects.ngsi.parameters import json_type
from tidemark.dialects.ngsi.syntax import check_nesting, identifier
from tidemark.dialects.wire import Request
from tidemark.domain.keys import EntityKey
from tidemark.errors import InvalidRequest

DEFAULT_TYPE: Final = "Thing"
_IDENTITY: Final = ("id", "type")
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])


class GivenEntity(NamedTuple):
    """An entity as a request names it; without a type it may mean one that exists."""

    id: str
    type: str | None
    attributes: Attributes


def body_object(request: Request) -> dict[str, Any]:
    """The body, which must be a JSON object of allowed depth. Raises InvalidRequest and what `Request.json` raises."""
    document = request.json()
    if not isinstance(document, dict):
        raise InvalidRequest(f"the body must be a JSON object; it is {json_type(document)}")
    check_nesting(document)
    return document


def parse_entity(given: object, *, key_values: bool) -> GivenEntity:
    """An entity with its id, and its type where it has one. Raises InvalidRequest, NotSupported."""
    if not isinstance(given, dict):
        raise InvalidRequest(f"an entity must be a JSON object; it is {json_type(given)}")
    if "id" not in given:
        raise InvalidRequest("an entity needs an id: add the member 'id'")
    return GivenEntity(
        id=identifier("entity id", given["id"]),
        type=identifier("entity type", given["type"]) if "type" in given else None,
        attributes=parse_attributes(
            {name: content for name, content in given.items() if name not in _IDENTITY}, key_values=key_values
        ),
    )


def parse_entity_attributes(given: dict[str, Any], *, key_values: bool) -> Attributes:
    """The attributes of an entity that the path names, so id and type have no place here. Raises InvalidRequest."""
    for name in _IDENTITY:
        if name in given:
            raise InvalidRequest(f"leave {name!r} out of the body: it can't be changed, and the path names the entity")
    return parse_attributes(given, key_values=key_values)


def encode(key: EntityKey, attributes: Attributes) -> str:
    """The canonical document of an entity."""
    return _ENCODER.encode({**attributes, "id": key.id, "type": key.type}).decode()


def attributes_of(doc: str) -> Attributes:
    """The attributes in a canonical document, by name, in the order of their names."""
    entity = _DECODER.decode(doc)
    return {name: attribute for name, attribute in entity.items() if name not in _IDENTITY}
