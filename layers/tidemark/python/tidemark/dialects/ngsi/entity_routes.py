"""The routes of whole entities: `/v2/entities`, `/v2/entities/{entityId}` and its `/attrs`.

Source: the NGSIv2 specification, "Entities Operations", with the statuses and headers that Orion gives.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from tidemark.dialects.ngsi.attributes import Attributes
from tidemark.dialects.ngsi.batch import Target, carry_out, find_one
from tidemark.dialects.ngsi.edits import Action, Edit
from tidemark.dialects.ngsi.entities import (
    DEFAULT_TYPE,
    attributes_of,
    body_object,
    parse_entity,
    parse_entity_attributes,
)
from tidemark.dialects.ngsi.options import APPEND, KEY_VALUES, OVERRIDE_METADATA, UPSERT, options_of
from tidemark.dialects.ngsi.reading import entity_id_of, list_answer, one, one_answer, type_of
from tidemark.dialects.ngsi.rendering import rendering_of
from tidemark.dialects.ngsi.service_path import written_path
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.domain.keys import EntityKey
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.entities import Live, StoredEntity

type Route = Callable[[Ports, Request], Response]

NO_CONTENT: Final = Response(HTTPStatus.NO_CONTENT)
# What may stand unescaped in a path segment besides letters and digits.
_SAFE: Final = ":@!$*+,-._~"


def list_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/entities`."""
    return list_answer(request, lambda: Live(ports, request.tenant))


def create_route(ports: Ports, request: Request) -> Response:
    """`POST /v2/entities`: 201, or 204 with `options=upsert`, which appends to an entity that exists."""
    options = options_of(request)
    given = parse_entity(body_object(request), key_values=KEY_VALUES in options)
    upsert = UPSERT in options
    edit = Edit(Action.APPEND if upsert else Action.CREATE, given.attributes, override=OVERRIDE_METADATA in options)
    target = Target(given.id, DEFAULT_TYPE if given.type is None else given.type, edit)
    (key,) = carry_out(ports, request.tenant, written_path(request), [target])
    status = HTTPStatus.NO_CONTENT if upsert else HTTPStatus.CREATED
    return Response(status, headers={"Location": location(key)})


def read_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/entities/{entityId}`."""
    return one_answer(request, lambda: Live(ports, request.tenant))


def read_attributes_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/entities/{entityId}/attrs`."""
    rendering = rendering_of(request)
    return json_response(HTTPStatus.OK, rendering.attributes(attributes_of(read_one(ports, request).doc)))


def delete_route(ports: Ports, request: Request) -> Response:
    """`DELETE /v2/entities/{entityId}`."""
    edit_one(ports, request, Edit(Action.DELETE, {}))
    return NO_CONTENT


def append_route(ports: Ports, request: Request) -> Response:
    """`POST /v2/entities/{entityId}/attrs`: changes attributes and adds new ones; `options=append` only adds."""
    strict = APPEND in options_of(request)
    _edit_from_body(ports, request, Action.APPEND_STRICT if strict else Action.APPEND)
    return NO_CONTENT


def update_route(ports: Ports, request: Request) -> Response:
    """`PATCH /v2/entities/{entityId}/attrs`: changes attributes that exist."""
    _edit_from_body(ports, request, Action.UPDATE)
    return NO_CONTENT


def replace_route(ports: Ports, request: Request) -> Response:
    """`PUT /v2/entities/{entityId}/attrs`: the body's attributes take the place of all others; `{}` removes them."""
    _edit_from_body(ports, request, Action.REPLACE)
    return NO_CONTENT


def read_one(ports: Ports, request: Request) -> StoredEntity:
    """The live entity that a reading request names. Raises EntityNotFound, TooManyResults, InvalidRequest."""
    return one(request, lambda: Live(ports, request.tenant))


def edit_one(ports: Ports, request: Request, edit: Edit) -> None:
    """Edit the existing entity that the request names. Raises what `batch.carry_out` does."""
    path = written_path(request)
    key = find_one(ports, request.tenant, entity_id_of(request), type_of(request), path)
    carry_out(ports, request.tenant, path, [Target(key.id, key.type, edit)])


def location(key: EntityKey) -> str:
    """Where an entity is read."""
    return f"/v2/entities/{quote(key.id, safe=_SAFE)}?type={quote(key.type, safe=_SAFE)}"


def _edit_from_body(ports: Ports, request: Request, action: Action) -> None:
    options = options_of(request)
    attributes = _given_attributes(request, key_values=KEY_VALUES in options)
    if not attributes and action is not Action.REPLACE:
        raise InvalidRequest("empty payload: the body names no attribute")
    edit_one(ports, request, Edit(action, attributes, override=OVERRIDE_METADATA in options, existing=True))


def _given_attributes(request: Request, *, key_values: bool) -> Attributes:
    return parse_entity_attributes(body_object(request), key_values=key_values)


ROUTES: Final[Mapping[str, Route]] = {
    "GET /v2/entities": list_route,
    "POST /v2/entities": create_route,
    "GET /v2/entities/{entityId}": read_route,
    "DELETE /v2/entities/{entityId}": delete_route,
    "GET /v2/entities/{entityId}/attrs": read_attributes_route,
    "POST /v2/entities/{entityId}/attrs": append_route,
    "PATCH /v2/entities/{entityId}/attrs": update_route,
    "PUT /v2/entities/{entityId}/attrs": replace_route,
}
