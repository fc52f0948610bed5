"""The routes of batches, types and entry points, and those that are open to everybody."""

from typing import Final

from tidemark.dialects.ngsi.entity_types import EntityType, TypeDetail
from tidemark.dialects.ngsi.open_routes import Health
from tidemark.dialects.ngsi.openapi import bodies
from tidemark.dialects.ngsi.openapi.forms import ROOM, array_of, ref
from tidemark.dialects.ngsi.openapi.operation import Answer, Body, Operation, Parameter
from tidemark.dialects.ngsi.openapi.parameters import (
    COUNT,
    PAGE,
    READ_PATHS,
    SELECTION,
    SHOWN,
    WRITTEN_PATH,
    text,
    words,
)

_BATCHES: Final = "Batches"
_TYPES: Final = "Types"
_SERVICE: Final = "Service"
_UPDATE_OPTIONS: Final = Parameter(
    "UpdateOptions", "options", "query", words("keyValues", "overrideMetadata"), "How the entities are meant."
)
_LIST_OPTIONS: Final = Parameter(
    "TypeListOptions", "options", "query", words("count", "values", "noAttrDetail"), "`values`: the names alone."
)
_TYPE_OPTIONS: Final = Parameter(
    "TypeOptions", "options", "query", words("noAttrDetail"), "`noAttrDetail` leaves the attributes' types out."
)
_ORDER: Final = tuple(one for one in SELECTION if one.name == "orderBy")
_EMPTY: Final = {"type": "array", "maxItems": 0}
_UNSUPPORTED: Final = Body({"type": "object"}, {"any": {}}, required=False)
_CACHED: Final = ("ETag", "Cache-Control")
_UNCHANGED: Final = Answer("It is the version that If-None-Match names.", headers=_CACHED)
_KNOWN: Final = Parameter(
    "IfNoneMatch", "If-None-Match", "header", text(), "The ETag of the version that is known.", '"0123456789abcdef"'
)

OPERATIONS: Final[dict[str, Operation]] = {
    "POST /v2/op/update": Operation(
        id="updateEntities",
        tag=_BATCHES,
        summary="Carry out one action on up to 1000 entities",
        parameters=(WRITTEN_PATH, _UPDATE_OPTIONS),
        body=Body(bodies.BatchUpdate, {"append": {"actionType": "append", "entities": [ROOM]}}),
        answers={204: Answer("It is done.")},
        refusals=(404, 409, 422, 501),
    ),
    "POST /v2/op/query": Operation(
        id="queryEntities",
        tag=_BATCHES,
        summary="List entities by a query in a body",
        parameters=(READ_PATHS, *_ORDER, SHOWN, *PAGE),
        body=Body(
            bodies.BatchQuery,
            {"rooms": {"entities": [{"idPattern": ".*", "type": "Room"}], "expression": {"q": "temperature>20"}}},
        ),
        answers={200: Answer("A page of entities.", array_of(ref("ShownEntity")), ("Fiware-Total-Count",))},
        refusals=(501,),
    ),
    "GET /v2/types": Operation(
        id="listTypes",
        tag=_TYPES,
        summary="List entity types",
        parameters=(READ_PATHS, _LIST_OPTIONS, *PAGE),
        answers={
            200: Answer(
                "A page of types.",
                array_of({"anyOf": [ref("EntityType"), {"type": "string"}]}),
                ("Fiware-Total-Count",),
            )
        },
        refusals=(413,),
    ),
    "GET /v2/types/{typeName}": Operation(
        id="getType",
        tag=_TYPES,
        summary="Show an entity type",
        parameters=(READ_PATHS, _TYPE_OPTIONS),
        answers={200: Answer("The type.", TypeDetail)},
        refusals=(413,),
    ),
    "GET /v2/subscriptions": Operation(
        id="listSubscriptions",
        tag=_SERVICE,
        summary="List subscriptions, of which there are none",
        parameters=(*PAGE, COUNT),
        answers={200: Answer("Nothing.", _EMPTY, ("Fiware-Total-Count",))},
    ),
    "POST /v2/subscriptions": Operation(
        id="createSubscription",
        tag=_SERVICE,
        summary="Refused: there are no subscriptions here",
        body=_UNSUPPORTED,
        answers={},
        refusals=(501,),
    ),
    "GET /v2/registrations": Operation(
        id="listRegistrations",
        tag=_SERVICE,
        summary="List registrations, of which there are none",
        parameters=(*PAGE, COUNT),
        answers={200: Answer("Nothing.", _EMPTY, ("Fiware-Total-Count",))},
    ),
    "POST /v2/registrations": Operation(
        id="createRegistration",
        tag=_SERVICE,
        summary="Refused: there are no registrations here",
        body=_UNSUPPORTED,
        answers={},
        refusals=(501,),
    ),
    "GET /v2": Operation(
        id="getEntryPoints",
        tag=_SERVICE,
        summary="Show the entry points",
        answers={200: Answer("Paths by name.", {"type": "object", "additionalProperties": {"type": "string"}})},
    ),
    "GET /version": Operation(
        id="getVersion",
        tag=_SERVICE,
        summary="Show the version",
        answers={
            200: Answer(
                "Versions by the name of the product.",
                {
                    "type": "object",
                    "required": ["orion", "tidemark"],
                    "additionalProperties": {
                        "type": "object",
                        "required": ["version"],
                        "properties": {"version": {"type": "string"}},
                    },
                },
            )
        },
    ),
    "GET /health": Operation(
        id="getHealth",
        tag=_SERVICE,
        summary="Say that requests are being served",
        answers={200: Answer("It is up.", Health, ("Cache-Control",))},
        open=True,
    ),
    "GET /openapi.json": Operation(
        id="getDescription",
        tag=_SERVICE,
        summary="Show this document",
        answers={
            200: Answer("An OpenAPI document.", {"type": "object", "required": ["openapi"]}, _CACHED),
            304: _UNCHANGED,
        },
        parameters=(_KNOWN,),
        open=True,
    ),
    "GET /docs": Operation(
        id="getDocumentation",
        tag=_SERVICE,
        summary="Show this document as a page to read and try",
        answers={
            200: Answer(
                "A page that needs nothing from elsewhere.",
                headers=(*_CACHED, "Content-Security-Policy"),
                also={"text/html": {"type": "string"}},
            ),
            304: _UNCHANGED,
        },
        parameters=(_KNOWN,),
        open=True,
    ),
}
MODELS: Final = (EntityType,)
"""Those that schemas refer to by name."""
