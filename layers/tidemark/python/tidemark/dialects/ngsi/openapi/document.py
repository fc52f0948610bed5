"""The OpenAPI document, made of the operations' entries and of the models that answers are rendered from.

Source: the OpenAPI specification 3.1.1; schemas are JSON Schema 2020-12.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from tidemark import VERSION
from tidemark.dialects.cloudca.errors import ErrorBody as CloudcaErrorBody
from tidemark.dialects.cloudca.openapi import image_operations
from tidemark.dialects.cloudca.openapi import operations as volume_operations
from tidemark.dialects.cloudca.openapi import schedule_operations as volume_schedule_operations
from tidemark.dialects.cloudca.openapi.parameters import IN_PATH as IN_PATH_OF_VOLUMES
from tidemark.dialects.cloudca.routes import serves
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
    **volume_operations.OPERATIONS,
    **volume_schedule_operations.OPERATIONS,
    **image_operations.OPERATIONS,
}
"""By method and path, as in the functions' own tables of routes."""

_REFERRED: Final = (
    *snapshot_operations.MODELS,
    *restore_operations.MODELS,
    *schedule_operations.MODELS,
    *other_operations.MODELS,
)
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
_REFUSED_OF_VOLUMES: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    400: ("The request is malformed, or does not go with what is there; the message names what is wrong.", ()),
    403: ("No usable API key came with the request, or it is not made for this environment or action.", ()),
    404: ("There is no such thing here.", ()),
    413: ("The request's body is too large.", ()),
    429: ("Too many requests at once.", ("Retry-After",)),
    500: ("The service failed, or could not finish the request in time.", ("Retry-After",)),
    502: ("The request could not be served.", ("Retry-After",)),
    504: ("The request took longer than 29 seconds.", ("Retry-After",)),
}


class _Dialect(NamedTuple):
    """What differs between operations of one dialect and those of another. `prefix` is of the names of its components,
    of which two dialects may have the same.
    """

    prefix: str
    in_path: Mapping[str, Parameter]
    everywhere: tuple[Parameter, ...]
    error: type
    statuses: Callable[[Operation, str], list[int]]


_DESCRIPTION: Final = (
    "Point-in-time snapshots of NGSIv2 entities, with atomic restores. The tenant is the header `Fiware-Service`. "
    "Unknown query parameters are ignored; unknown members of a body are refused. What lies under `/v1` is about "
    "snapshots of volumes, as cloud.ca documents it: an environment in the path takes the tenant's place."
)
_NGSI: Final = _Dialect("", IN_PATH, (TENANT, CORRELATOR), ErrorBody, Operation.statuses)
_CLOUDCA: Final = _Dialect(
    "Cloudca",
    IN_PATH_OF_VOLUMES,
    (CORRELATOR,),
    CloudcaErrorBody,
    lambda _operation, _path: list(_REFUSED_OF_VOLUMES),
)


def build() -> dict[str, Any]:
    """The whole document."""
    schemas = {name: {**schema, **RULES.get(name, {})} for name, schema in _schemas(_NGSI, _REFERRED).items()}
    schemas |= FORMS | _schemas(_CLOUDCA, (*volume_operations.MODELS, *image_operations.MODELS))
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
            "responses": {str(status): _refusal(status) for status in _REFUSED}
            | {f"{_CLOUDCA.prefix}{status}": _refusal_of_volumes(status) for status in _REFUSED_OF_VOLUMES},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _dialect_of(path: str) -> _Dialect:
    return _CLOUDCA if serves(path) else _NGSI


def _schemas(dialect: _Dialect, referred: tuple[type, ...]) -> dict[str, Schema]:
    """The schemas of a dialect's models, by their names among the components."""
    used = [
        model
        for route, one in OPERATIONS.items()
        if _dialect_of(route.split(" ")[1]) is dialect
        for model in [*([one.body.model] if one.body else []), *(answer.model for answer in one.answers.values())]
    ]
    models = dict.fromkeys([*(model for model in used if not isinstance(model, dict | None)), *referred, dialect.error])
    template = f"#/components/schemas/{dialect.prefix}{{name}}"
    _, schemas = msgspec.json.schema_components(models, ref_template=template)
    return {f"{dialect.prefix}{name}": schema for name, schema in schemas.items()}


def _parameters() -> list[Parameter]:
    """Every parameter once. Two that differ and have one key would hide each other."""
    found: dict[str, Parameter] = {}
    for route, operation in OPERATIONS.items():
        for one in _parameters_of(route.split(" ")[1], operation):
            if found.setdefault(one.key, one) != one:
                raise ValueError(f"two parameters are called {one.key}; give one of them another key")
    return list(found.values())


def _parameters_of(path: str, operation: Operation) -> list[Parameter]:
    dialect = _dialect_of(path)
    named = [dialect.in_path[part[1:-1]] for part in path.split("/") if part.startswith("{")]
    everywhere = (CORRELATOR,) if operation.open else dialect.everywhere
    return [*named, *operation.parameters, *everywhere]


def _operation(path: str, operation: Operation) -> Schema:
    dialect = _dialect_of(path)
    refused = {
        str(status): {"$ref": f"#/components/responses/{dialect.prefix}{status}"}
        for status in dialect.statuses(operation, path)
    }
    described: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [{"$ref": f"#/components/parameters/{one.key}"} for one in _parameters_of(path, operation)],
        "responses": {str(status): _answer(answer, dialect) for status, answer in operation.answers.items()} | refused,
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        described["requestBody"] = _body(operation.body, dialect)
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


def _body(body: Body, dialect: _Dialect) -> Schema:
    examples = {name: {"value": value} for name, value in body.examples.items()}
    content = {JSON: {"schema": _schema(body.model, dialect), "examples": examples}}
    return {"required": body.required, "content": content | {kind: {"schema": one} for kind, one in body.also.items()}}


def _answer(answer: Answer, dialect: _Dialect) -> Schema:
    content = {} if answer.model is None else {JSON: {"schema": _schema(answer.model, dialect)}}
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


def _refusal_of_volumes(status: int) -> Schema:
    description, headers = _REFUSED_OF_VOLUMES[status]
    example = {"errors": [{"code": status, "errorCode": str(status), "message": description, "context": {}}]}
    return {
        "description": f"{HTTPStatus(status).phrase}. {description}",
        "headers": _headers(*headers),
        "content": {JSON: {"schema": _schema(_CLOUDCA.error, _CLOUDCA), "example": example}},
    }


def _headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schema(model: Model, dialect: _Dialect) -> Schema:
    """What stands for a model: its place among the components, or the schema that it is."""
    if isinstance(model, dict):
        return model
    (reference,), _ = msgspec.json.schema_components(
        [model], ref_template=f"#/components/schemas/{dialect.prefix}{{name}}"
    )
    return dict(reference)
