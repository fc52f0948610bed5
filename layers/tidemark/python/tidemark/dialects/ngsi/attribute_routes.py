"""The routes of one attribute and of its value: `/v2/entities/{entityId}/attrs/{attrName}` and its `/value`.

Source: the NGSIv2 specification, "Attributes" and "Attribute Value". A value that is an object or array travels as
JSON, any other as text/plain in JSON's spelling: `"text"`, `21.5`, `true`, `null`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from tidemark.dialects.ngsi.attributes import Attribute, attribute_name, parse_attribute
from tidemark.dialects.ngsi.edits import Action, Edit
from tidemark.dialects.ngsi.entities import attributes_of, body_object
from tidemark.dialects.ngsi.entity_routes import NO_CONTENT, Route, edit_one, read_one
from tidemark.dialects.ngsi.options import OVERRIDE_METADATA, options_of
from tidemark.dialects.ngsi.rendering import rendering_of
from tidemark.dialects.ngsi.syntax import check_nesting, shown
from tidemark.dialects.wire import JSON, Request, Response, json_response, parse_json
from tidemark.errors import AttributeNotFound, InvalidRequest, MalformedBody, NotAcceptable
from tidemark.ports import Ports

_TEXT: Final = "text/plain"
_ENCODER: Final = msgspec.json.Encoder()


def read_attribute_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/entities/{entityId}/attrs/{attrName}`."""
    rendering = rendering_of(request)
    return json_response(HTTPStatus.OK, rendering.attribute(_read_attribute(ports, request)))


def update_attribute_route(ports: Ports, request: Request) -> Response:
    """`PUT /v2/entities/{entityId}/attrs/{attrName}`."""
    name = _name_of(request)
    override = OVERRIDE_METADATA in options_of(request)
    attribute = parse_attribute(name, body_object(request))
    edit_one(ports, request, Edit(Action.UPDATE, {name: attribute}, override=override))
    return NO_CONTENT


def delete_attribute_route(ports: Ports, request: Request) -> Response:
    """`DELETE /v2/entities/{entityId}/attrs/{attrName}`."""
    edit_one(ports, request, Edit(Action.DELETE, {_name_of(request): {}}))
    return NO_CONTENT


def read_value_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/entities/{entityId}/attrs/{attrName}/value`."""
    value = _read_attribute(ports, request)["value"]
    media_type = _answer_type(request.header("Accept"), structured=isinstance(value, dict | list))
    return Response(HTTPStatus.OK, _ENCODER.encode(value).decode(), {"Content-Type": media_type})


def update_value_route(ports: Ports, request: Request) -> Response:
    """`PUT /v2/entities/{entityId}/attrs/{attrName}/value`: type and metadata stay as they are."""
    name, value = _name_of(request), _given_value(request)
    edit_one(ports, request, Edit(Action.SET_VALUE, {name: {"value": value}}))
    return NO_CONTENT


def _read_attribute(ports: Ports, request: Request) -> Attribute:
    name = _name_of(request)
    stored = read_one(ports, request)
    attribute = attributes_of(stored.doc).get(name)
    if attribute is None:
        raise AttributeNotFound(f"The entity does not have such an attribute: {shown(stored.key.id)} has no {name}")
    return attribute


def _name_of(request: Request) -> str:
    return attribute_name(request.path_parameter("attrName"))


def _given_value(request: Request) -> Any:  # noqa: ANN401 - any JSON value
    body = request.content(JSON, _TEXT)
    if request.media_type == _TEXT:
        return _text_value(body)
    value = parse_json(body)
    if not isinstance(value, dict | list):
        raise InvalidRequest(f"with Content-Type {JSON} a value is an object or array; send any other as {_TEXT}")
    check_nesting(value)
    return value


def _text_value(body: bytes) -> str | float | bool | None:
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        raise MalformedBody("the body is not UTF-8") from None
    try:
        value = msgspec.json.decode(text, type=str | int | float | bool | None)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise InvalidRequest(
            f"the value {shown(text)} is not usable: as {_TEXT} send a number, true, false, null, "
            'or a text in quotes, with escapes as in JSON, such as "on"'
        ) from None
    return value


def _answer_type(accept: str | None, *, structured: bool) -> str:
    """The first media range that the value can be given in. Raises NotAcceptable."""
    offered = (JSON, _TEXT) if structured else (_TEXT,)
    for media_range in (accept or "*/*").split(","):
        wanted = media_range.partition(";")[0].strip().lower()
        for media_type in offered:
            if wanted in {"*/*", "", media_type, f"{media_type.partition('/')[0]}/*"}:
                return media_type
    raise NotAcceptable(f"accepted MIME types: {', '.join(offered)}")


ROUTES: Final[Mapping[str, Route]] = {
    "GET /v2/entities/{entityId}/attrs/{attrName}": read_attribute_route,
    "PUT /v2/entities/{entityId}/attrs/{attrName}": update_attribute_route,
    "DELETE /v2/entities/{entityId}/attrs/{attrName}": delete_attribute_route,
    "GET /v2/entities/{entityId}/attrs/{attrName}/value": read_value_route,
    "PUT /v2/entities/{entityId}/attrs/{attrName}/value": update_value_route,
}
