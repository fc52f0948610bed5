"""Schemas of entities, which are free in their members and so have no models: what is sent, and what is answered.

Source: the NGSIv2 specification, "JSON Entity Representation" and "Field syntax restrictions".
"""

from typing import Any, Final

from tidemark.dialects.ngsi.attributes import RESERVED_METADATA, RESERVED_NAMES
from tidemark.dialects.ngsi.openapi.operation import Schema
from tidemark.dialects.ngsi.openapi.parameters import IDENTIFIER
from tidemark.dialects.ngsi.syntax import UNRESTRICTED_TYPE


def ref(name: str) -> Schema:
    """A reference to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def _names(reserved: frozenset[str]) -> Schema:
    return {**IDENTIFIER, "not": {"enum": sorted(reserved)}}


_SAFE_TEXT: Final = {"type": "string", "pattern": "^[^<>\"'=;()]*$"}
_IDENTITY: Final = {"id": IDENTIFIER, "type": IDENTIFIER}
# The members id and type stand beside an entity's attributes.
_MEMBER_NAMES: Final = _names(RESERVED_NAMES - _IDENTITY.keys())
ATTRIBUTE_NAME: Final = _names(RESERVED_NAMES)
_STORED: Final[Schema] = {"type": "object", "additionalProperties": False, "required": ["type", "value"]}

FORMS: Final[dict[str, Schema]] = {
    "Value": {
        "description": "A value without the characters < > \" ' = ; ( ) in its texts and member names.",
        "anyOf": [
            {"type": ["null", "boolean", "number"]},
            _SAFE_TEXT,
            {"type": "array", "items": ref("Value")},
            {"type": "object", "propertyNames": _SAFE_TEXT, "additionalProperties": ref("Value")},
        ],
    },
    "Attribute": {
        "description": f"An attribute to be stored. One of type {UNRESTRICTED_TYPE} may hold any characters.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "type": IDENTIFIER,
            "value": {},
            "metadata": {
                "type": "object",
                "propertyNames": _names(RESERVED_METADATA),
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"type": IDENTIFIER, "value": ref("Value")},
                },
            },
        },
        "anyOf": [
            {"properties": {"value": ref("Value")}},
            {"properties": {"type": {"const": UNRESTRICTED_TYPE}}, "required": ["type"]},
        ],
    },
    "Attributes": {
        "description": "Attributes by their names.",
        "type": "object",
        "propertyNames": ATTRIBUTE_NAME,
        "additionalProperties": ref("Attribute"),
    },
    "Values": {
        "description": "The values of attributes by their names, with `options=keyValues`.",
        "type": "object",
        "propertyNames": ATTRIBUTE_NAME,
        "additionalProperties": ref("Value"),
    },
    "Entity": {
        "description": "An entity to be stored.",
        "type": "object",
        "required": ["id"],
        "properties": _IDENTITY,
        "propertyNames": _MEMBER_NAMES,
        "additionalProperties": ref("Attribute"),
    },
    "EntityValues": {
        "description": "An entity to be stored, with `options=keyValues`.",
        "type": "object",
        "required": ["id"],
        "properties": _IDENTITY,
        "propertyNames": _MEMBER_NAMES,
        "additionalProperties": ref("Value"),
    },
    "StoredAttribute": {
        "description": "An attribute with its type, value and metadata.",
        **_STORED,
        "required": ["type", "value", "metadata"],
        "properties": {
            "type": {"type": "string"},
            "value": {},
            "metadata": {
                "type": "object",
                "additionalProperties": {**_STORED, "properties": {"type": {"type": "string"}, "value": {}}},
            },
        },
    },
    "StoredAttributes": {
        "description": "Attributes by their names; with `options` their values alone, by name or in an array.",
        "anyOf": [
            {"type": "object", "additionalProperties": ref("StoredAttribute")},
            {"type": "object"},
            {"type": "array"},
        ],
    },
    "StoredEntity": {
        "description": "An entity in the normalized representation.",
        "type": "object",
        "required": ["id", "type"],
        "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
        "additionalProperties": ref("StoredAttribute"),
    },
    "StoredEntityValues": {
        "description": "An entity as `options=keyValues` shows it.",
        "type": "object",
        "required": ["id", "type"],
        "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
    },
    "ShownEntity": {
        "description": "An entity in the representation that `options` asks for.",
        "anyOf": [
            ref("StoredEntity"),
            ref("StoredEntityValues"),
            {"type": "array", "description": "Values alone: `values` or `unique`."},
        ],
    },
}

ROOM: Final[dict[str, Any]] = {
    "id": "Room1",
    "type": "Room",
    "temperature": {"type": "Number", "value": 23, "metadata": {}},
}


def array_of(schema: Schema) -> Schema:
    """An array of such."""
    return {"type": "array", "items": schema}
