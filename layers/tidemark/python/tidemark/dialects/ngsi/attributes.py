"""Attributes and their metadata: from a request's JSON to the stored form `{"type", "value", "metadata"}`.

Source: the NGSIv2 specification, "JSON Attribute Representation", "Partial Representations" and "Attribute names
restrictions". Attribute types are informative: a `DateTime` is stored as it was written. As in Orion, and against the
letter of the specification, `dateCreated` and `dateModified` may be attributes of the user: much real data has them.
"""

from typing import Any, Final

from tidemark.dialects.ngsi.parameters import json_type
from tidemark.dialects.ngsi.syntax import UNRESTRICTED_TYPE, allowed_text, check_value, identifier, shown
from tidemark.errors import InvalidRequest, NotSupported

type Attribute = dict[str, Any]
type Attributes = dict[str, Attribute]

RESERVED_NAMES: Final = frozenset({"id", "type", "geo:distance", "*"})
# In Orion an entity with this attribute vanishes at that moment. Storing it without doing so would break a promise.
_EXPIRY_NAME: Final = "dateExpires"
RESERVED_METADATA: Final = frozenset({"*", "actionType", "previousValue"})
_ATTRIBUTE_MEMBERS: Final = frozenset({"type", "value", "metadata"})
_METADATA_MEMBERS: Final = frozenset({"type", "value"})
# Values that Orion executes instead of storing them.
_OPERATORS: Final = frozenset(
    {"$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$pull", "$pullAll", "$set", "$unset"}
)


def default_type(value: object) -> str:
    """The type of an attribute or metadata element that names none."""
    match value:
        case None:
            return "None"
        case bool():
            return "Boolean"
        case str():
            return "Text"
        case int() | float():
            return "Number"
        case _:
            return "StructuredValue"


def parse_attributes(members: dict[str, Any], *, key_values: bool) -> Attributes:
    """The attributes of an entity, by name: each a full attribute, or with `key_values` its bare value.

    Raises InvalidRequest, NotSupported.
    """
    read = _from_value if key_values else parse_attribute
    return {attribute_name(name): read(name, given) for name, given in members.items()}


def parse_attribute(name: str, given: object) -> Attribute:
    """One attribute in the normalized representation. Raises InvalidRequest, NotSupported."""
    if not isinstance(given, dict):
        raise InvalidRequest(
            f"the attribute {shown(name)} must be an object with value, type and metadata; it is {json_type(given)}. "
            "Bare values need options=keyValues"
        )
    _only(given, _ATTRIBUTE_MEMBERS, f"attribute {shown(name)}")
    value = given.get("value")
    type_ = _type_of(given, f"type of the attribute {shown(name)}")
    if type_ != UNRESTRICTED_TYPE:
        check_value(f"value of the attribute {shown(name)}", value)
    return {
        "type": type_,
        "value": _stored_value(name, value),
        "metadata": _metadata(name, given.get("metadata", {})),
    }


def attribute_name(name: object) -> str:
    """`name` if an attribute may have it. Raises InvalidRequest, NotSupported."""
    text = identifier("attribute name", name)
    if text in RESERVED_NAMES:
        raise InvalidRequest(f"{text!r} can't be the name of an attribute: it has a meaning of its own; choose another")
    if text == _EXPIRY_NAME:
        raise NotSupported(
            f"{_EXPIRY_NAME} is not supported: entities don't expire; leave it out and delete the entity"
        )
    return text


def replace_value(name: str, attribute: Attribute, value: object) -> Attribute:
    """The attribute with another value, and its type and metadata as they were. Raises InvalidRequest, NotSupported."""
    if attribute["type"] != UNRESTRICTED_TYPE:
        check_value(f"value of the attribute {shown(name)}", value)
    return {**attribute, "value": _stored_value(name, value)}


def _from_value(name: str, value: object) -> Attribute:
    check_value(f"value of the attribute {shown(name)}", value)
    return {"type": default_type(value), "value": _stored_value(name, value), "metadata": {}}


def _stored_value(name: str, value: object) -> object:
    if isinstance(value, dict) and not _OPERATORS.isdisjoint(value):
        operator = next(iter(_OPERATORS & value.keys()))
        raise NotSupported(
            f"the update operator {operator} of the attribute {shown(name)} is not supported: "
            "read the value and send the result"
        )
    return value


def _type_of(given: dict[str, Any], kind: str) -> str:
    return identifier(kind, given["type"]) if "type" in given else default_type(given.get("value"))


def _metadata(name: str, given: object) -> dict[str, dict[str, Any]]:
    if not isinstance(given, dict):
        raise InvalidRequest(f"the metadata of the attribute {shown(name)} must be an object; it is {json_type(given)}")
    return {_metadata_name(element): _metadata_element(name, element, content) for element, content in given.items()}


def _metadata_name(name: str) -> str:
    text = identifier("metadata name", name)
    if text in RESERVED_METADATA:
        raise InvalidRequest(f"{text!r} can't be the name of metadata: it has a meaning of its own; choose another")
    return text


def _metadata_element(attribute: str, name: str, given: object) -> dict[str, Any]:
    where = f"metadata {shown(name)} of the attribute {shown(attribute)}"
    if not isinstance(given, dict):
        raise InvalidRequest(f"the {where} must be an object with value and type; it is {json_type(given)}")
    _only(given, _METADATA_MEMBERS, where)
    value = given.get("value")
    check_value(f"value of the {where}", value)
    return {"type": _type_of(given, f"type of the {where}"), "value": value}


def _only(given: dict[str, Any], known: frozenset[str], where: str) -> None:
    for member in given:
        if member not in known:
            allowed_text("member name", member)
            raise InvalidRequest(
                f"the member {shown(member)} of the {where} is unknown; known are: {', '.join(sorted(known))}"
            )
