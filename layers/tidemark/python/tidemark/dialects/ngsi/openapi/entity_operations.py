"""The routes of entities and their attributes."""

from typing import Any, Final

from tidemark.dialects.ngsi.openapi.forms import ROOM, array_of, ref
from tidemark.dialects.ngsi.openapi.operation import TEXT, Answer, Body, Operation, Parameter, Schema
from tidemark.dialects.ngsi.openapi.parameters import (
    ATTRS,
    METADATA,
    PAGE,
    READ_PATHS,
    SELECTION,
    SHOWN,
    TYPE,
    WRITTEN_PATH,
    words,
)

_ENTITIES: Final = "Entities"
_ATTRIBUTES: Final = "Attributes"
_TEMPERATURE: Final[dict[str, Any]] = {"type": "Number", "value": 25.5, "metadata": {}}
_DONE: Final = Answer("It is done.")
_STRUCTURED: Final[Schema] = {"type": ["object", "array"]}
_BARE: Final[Schema] = {"type": "string", "description": 'A number, true, false, null, or a text in quotes: "on".'}


def _options(key: str, *known: str) -> Parameter:
    return Parameter(key, "options", "query", words(*known), "How the body is meant, separated by commas.")


_CREATE_OPTIONS: Final = _options("CreateOptions", "keyValues", "upsert", "overrideMetadata")
_APPEND_OPTIONS: Final = _options("AppendOptions", "keyValues", "append", "overrideMetadata")
_EDIT_OPTIONS: Final = _options("EditOptions", "keyValues", "overrideMetadata")
_ATTRIBUTE_OPTIONS: Final = _options("AttributeOptions", "overrideMetadata")
_GIVEN: Final = Body(
    {"anyOf": [ref("Attributes"), ref("Values")]},
    {"normalized": {"temperature": _TEMPERATURE}},
)

OPERATIONS: Final[dict[str, Operation]] = {
    "GET /v2/entities": Operation(
        id="listEntities",
        tag=_ENTITIES,
        summary="List entities",
        parameters=(READ_PATHS, *SELECTION, ATTRS, METADATA, SHOWN, *PAGE),
        answers={200: Answer("A page of entities.", array_of(ref("ShownEntity")), ("Fiware-Total-Count",))},
        refusals=(413, 501),
    ),
    "POST /v2/entities": Operation(
        id="createEntity",
        tag=_ENTITIES,
        summary="Create an entity",
        parameters=(WRITTEN_PATH, _CREATE_OPTIONS),
        body=Body({"anyOf": [ref("Entity"), ref("EntityValues")]}, {"normalized": ROOM}),
        answers={
            201: Answer("It is created.", headers=("Location",)),
            204: Answer("It is created or changed (`options=upsert`).", headers=("Location",)),
        },
        refusals=(409, 422, 501),
    ),
    "GET /v2/entities/{entityId}": Operation(
        id="getEntity",
        tag=_ENTITIES,
        summary="Show an entity",
        parameters=(READ_PATHS, TYPE, ATTRS, METADATA, SHOWN),
        answers={200: Answer("The entity.", ref("ShownEntity"))},
        refusals=(409,),
    ),
    "DELETE /v2/entities/{entityId}": Operation(
        id="deleteEntity",
        tag=_ENTITIES,
        summary="Delete an entity",
        parameters=(WRITTEN_PATH, TYPE),
        answers={204: _DONE},
        refusals=(409,),
    ),
    "GET /v2/entities/{entityId}/attrs": Operation(
        id="getAttributes",
        tag=_ATTRIBUTES,
        summary="Show an entity's attributes",
        parameters=(READ_PATHS, TYPE, ATTRS, METADATA, SHOWN),
        answers={200: Answer("The attributes.", ref("StoredAttributes"))},
        refusals=(409,),
    ),
    "POST /v2/entities/{entityId}/attrs": Operation(
        id="appendAttributes",
        tag=_ATTRIBUTES,
        summary="Change attributes of an entity and add new ones",
        parameters=(WRITTEN_PATH, TYPE, _APPEND_OPTIONS),
        body=_GIVEN,
        answers={204: _DONE},
        refusals=(409, 422, 501),
    ),
    "PATCH /v2/entities/{entityId}/attrs": Operation(
        id="updateAttributes",
        tag=_ATTRIBUTES,
        summary="Change attributes that an entity has",
        parameters=(WRITTEN_PATH, TYPE, _EDIT_OPTIONS),
        body=_GIVEN,
        answers={204: _DONE},
        refusals=(409, 422, 501),
    ),
    "PUT /v2/entities/{entityId}/attrs": Operation(
        id="replaceAttributes",
        tag=_ATTRIBUTES,
        summary="Replace all attributes of an entity",
        parameters=(WRITTEN_PATH, TYPE, _EDIT_OPTIONS),
        body=_GIVEN,
        answers={204: _DONE},
        refusals=(409, 501),
    ),
    "GET /v2/entities/{entityId}/attrs/{attrName}": Operation(
        id="getAttribute",
        tag=_ATTRIBUTES,
        summary="Show an attribute",
        parameters=(READ_PATHS, TYPE, METADATA),
        answers={200: Answer("The attribute.", ref("StoredAttribute"))},
        refusals=(409, 501),
    ),
    "PUT /v2/entities/{entityId}/attrs/{attrName}": Operation(
        id="updateAttribute",
        tag=_ATTRIBUTES,
        summary="Change an attribute",
        parameters=(WRITTEN_PATH, TYPE, _ATTRIBUTE_OPTIONS),
        body=Body(ref("Attribute"), {"normalized": _TEMPERATURE}),
        answers={204: _DONE},
        refusals=(409, 501),
    ),
    "DELETE /v2/entities/{entityId}/attrs/{attrName}": Operation(
        id="deleteAttribute",
        tag=_ATTRIBUTES,
        summary="Remove an attribute",
        parameters=(WRITTEN_PATH, TYPE),
        answers={204: _DONE},
        refusals=(409, 501),
    ),
    "GET /v2/entities/{entityId}/attrs/{attrName}/value": Operation(
        id="getAttributeValue",
        tag=_ATTRIBUTES,
        summary="Show an attribute's value alone",
        parameters=(READ_PATHS, TYPE),
        answers={200: Answer("An object or array as JSON, all else as text.", _STRUCTURED, also={TEXT: _BARE})},
        refusals=(406, 409, 501),
    ),
    "PUT /v2/entities/{entityId}/attrs/{attrName}/value": Operation(
        id="updateAttributeValue",
        tag=_ATTRIBUTES,
        summary="Change an attribute's value alone",
        parameters=(WRITTEN_PATH, TYPE),
        body=Body(_STRUCTURED, {"structured": {"floor": 2}}, also={TEXT: _BARE}),
        answers={204: _DONE},
        refusals=(409, 501),
    ),
}
