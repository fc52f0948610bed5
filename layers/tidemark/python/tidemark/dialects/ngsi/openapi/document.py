"""The OpenAPI document, made of the operations' entries and of the models that answers are rendered from.

Source: the OpenAPI specification 3.1.1; schemas are JSON Schema 2020-12.
"""

from collections.abc import Mapping
from http import HTTPStatus
from itertools import chain
from typing import Any, Final

import msgspec

from tidemark import VERSION
from tidemark.dialects.ngsi.errors import ErrorBody
from tidemark.dialects.ngsi.openapi import (
    entity_operations,
    other_operations,
    restore_operations,
    schedule_operations,
    snapshot_operations,
    transfer_operations,
)
from tidemark.dialects.ngsi.openapi.bodies import RULES
from tidemark.dialects.ngsi.openapi.forms import FORMS, ref
from tidemark.dialects.ngsi.openapi.operation import JSON, Answer, Body, Model, Operation, Parameter, Schema
from tidemark.dialects.ngsi.openapi.parameters import CORRELATOR, HEADERS, IN_PATH, TENANT

OPERATIONS: Final[Mapping[str, Operation]] = {
    **snapshot_operations.OPERATIONS,
    **transfer_operations.OPERATIONS,
    **restore_operations.OPERATIONS,
    **schedule_operations.OPERATIONS,
    **entity_operations.OPERATIONS,
    **other_operations.OPERATIONS,
}
"""By method and path, as in the functions' own tables of routes."""

_REFERRED: Final = (
    *snapshot_operations.MODELS,
    *restore_operations.MODELS,
    *schedule_operations.MODELS,
    *other_operations.MODELS,
    ErrorBody,
)
_SCHEMA: Final = "#/components/schemas/{name}"
_SECURITY: Final[dict[str, Schema]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer tm_...`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "cloudKey": {"type": "apiKey", "in": "header", "name": "MC-Api-Key"},
}
_REFUSED: Final[dict[int, tuple[str, str, tuple[str, ...]]]] = {
    400: ("BadRequest", "The request is malformed; the description names what is wrong.", ()),
    401: ("Unauthorized", "No usable API key came with the request.", ("WWW-Authenticate",)),
    403: ("Forbidden", "The API key is not made for this tenant or action.", ()),
    404: ("NotFound", "There is no such thing here.", ()),
    406: ("NotAcceptable", "The value can't be given in a type that Accept names.", ()),
    409: ("Conflict", "It does not go with what is there, or with what is under way.", ("Location", "Retry-After")),
    413: ("RequestEntityTooLarge", "The request's body, or what it asks for, is too large.", ()),
    415: ("UnsupportedMediaType", "The body is of another type than those that are accepted.", ()),
    422: ("Unprocessable", "The request can't be carried out, or only in part.", ()),
    429: ("TooManyRequests", "Too many requests at once.", ("Retry-After",)),
    500: ("InternalServerError", "The service failed.", ("Retry-After",)),
    501: ("NotImplemented", "A part of NGSIv2 that is not supported.", ()),
    502: ("BadGateway", "The request could not be served.", ("Retry-After",)),
    503: ("ServiceUnavailable", "The request could not be finished in time; it can be sent again.", ("Retry-After",)),
    504: ("GatewayTimeout", "The request took longer than 29 seconds.", ("Retry-After",)),
}
_DESCRIPTION: Final = (
    "Point-in-time snapshots of NGSIv2 entities, with atomic restores. The tenant is the header `Fiware-Service`. "
    "Unknown query parameters are ignored; unknown members of a body are refused."
)


def build() -> dict[str, Any]:
    """The whole document."""
    bare, models = msgspec.json.schema_components(_models(), ref_template=_SCHEMA)
    del bare
    schemas = {name: {**schema, **RULES.get(name, {})} for name, schema in models.items()} | FORMS
    paths: dict[str, dict[str, Any]] = {}
    for route, operation in OPERATIONS.items():
        method, path = route.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Tidemark",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # As seen from the document itself, so that it is right whatever stage or domain serves it.
        "servers": [{"url": "."}],
        "security": [{name: []} for name in _SECURITY],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in OPERATIONS.values())],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "parameters": {one.key: _parameter(one) for one in _parameters()},
            "headers": HEADERS,
            "responses": {str(status): _refusal(status) for status in _REFUSED},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _models() -> list[type]:
    used = chain.from_iterable(
        [*([one.body.model] if one.body else []), *(answer.model for answer in one.answers.values())]
        for one in OPERATIONS.values()
    )
    return list(dict.fromkeys([*(model for model in used if isinstance(model, type)), *_REFERRED]))


def _parameters() -> list[Parameter]:
    """Every parameter once. Two that differ and have one key would hide each other."""
    found: dict[str, Parameter] = {}
    for route, operation in OPERATIONS.items():
        for one in _parameters_of(route.split(" ")[1], operation):
            if found.setdefault(one.key, one) != one:
                raise ValueError(f"two parameters are called {one.key}; give one of them another key")
    return list(found.values())


def _parameters_of(path: str, operation: Operation) -> list[Parameter]:
    named = [IN_PATH[part[1:-1]] for part in path.split("/") if part.startswith("{")]
    everywhere = [CORRELATOR] if operation.open else [TENANT, CORRELATOR]
    return [*named, *operation.parameters, *everywhere]


def _operation(path: str, operation: Operation) -> Schema:
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in operation.statuses(path)}
    described: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{one.key}"} for one in _parameters_of(path, operation)],
        "responses": {str(status): _answer(answer) for status, answer in operation.answers.items()} | refused,
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    if operation.open:
        described["security"] = []
    return described


def _parameter(parameter: Parameter) -> Schema:
    described: Schema = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required or parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        described |= {"style": "form", "explode": False}
        if parameter.example is not None:
            return {**described, "example": [parameter.example]}
    return described if parameter.example is None else {**described, "example": parameter.example}


def _body(body: Body) -> Schema:
    examples = {name: {"value": value} for name, value in body.examples.items()}
    content = {JSON: {"schema": _schema(body.model), "examples": examples}}
    return {"required": body.required, "content": content | {kind: {"schema": one} for kind, one in body.also.items()}}


def _answer(answer: Answer) -> Schema:
    content = {} if answer.model is None else {JSON: {"schema": _schema(answer.model)}}
    content |= {kind: {"schema": schema} for kind, schema in answer.also.items()}
    described: Schema = {
        "description": answer.description,
        "headers": _headers("Fiware-Correlator", *answer.headers),
    }
    return {**described, "content": content} if content else described


def _refusal(status: int) -> Schema:
    name, description, headers = _REFUSED[status]
    example = {"error": name, "description": description}
    return {
        "description": f"{HTTPStatus(status).phrase}. {description}",
        "headers": _headers(*headers),
        "content": {JSON: {"schema": ref(ErrorBody.__name__), "example": example}},
    }


def _headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schema(model: Model) -> Schema:
    return ref(model.__name__) if isinstance(model, type) else model
