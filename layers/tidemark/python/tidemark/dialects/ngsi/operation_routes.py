"""The routes besides entities themselves: batches, types, the API's entry points, and lists that are always empty.

Source: the NGSIv2 specification, "Batch Operations", "Types" and "Group API Entry Point". There are no subscriptions
and no registrations here; clients that clear a tenant list them first, so the lists exist.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from tidemark import VERSION
from tidemark.dialects.ngsi.batch import carry_out, parse_update
from tidemark.dialects.ngsi.entities import body_object
from tidemark.dialects.ngsi.entity_routes import NO_CONTENT, Route
from tidemark.dialects.ngsi.entity_types import TypeDetail, list_names, list_types
from tidemark.dialects.ngsi.listing import list_entities
from tidemark.dialects.ngsi.options import (
    KEY_VALUES,
    NO_ATTRIBUTE_DETAIL,
    OVERRIDE_METADATA,
    VALUES,
    options_of,
)
from tidemark.dialects.ngsi.ordering import parse_order
from tidemark.dialects.ngsi.parameters import members, page_wanted
from tidemark.dialects.ngsi.rendering import Rendering, names_in, rendering_of
from tidemark.dialects.ngsi.selection import from_document
from tidemark.dialects.ngsi.service_path import read_scope, written_path
from tidemark.dialects.ngsi.syntax import identifier
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.errors import NotFound, NotSupported
from tidemark.ports import Ports
from tidemark.usecases.entities import Live

# Clients read the Orion version to know what they may send: it is the one whose NGSIv2 this is modelled on.
ORION_VERSION: Final = "3.10.1"
_ENTRY_POINTS: Final = {
    f"{name}_url": f"/v2/{name}"
    for name in ("entities", "types", "subscriptions", "registrations", "snapshots", "restores", "schedules")
}


def update_route(ports: Ports, request: Request) -> Response:
    """`POST /v2/op/update`."""
    options = options_of(request)
    targets = parse_update(
        body_object(request), key_values=KEY_VALUES in options, override=OVERRIDE_METADATA in options
    )
    carry_out(ports, request.tenant, written_path(request), targets)
    return NO_CONTENT


def query_route(ports: Ports, request: Request) -> Response:
    """`POST /v2/op/query`."""
    document = members(body_object(request), {"entities", "attrs", "expression", "metadata"})
    page, order = page_wanted(request), parse_order(request.query.get("orderBy"))
    rendering = Rendering(rendering_of(request).form, names_in(document, "attrs"), names_in(document, "metadata"))
    selection = from_document(document, read_scope(request))
    listed = list_entities(Live(ports, request.tenant), selection, page, order, rendering)
    return json_response(HTTPStatus.OK, listed.documents, page.headers(listed.total))


def list_types_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/types`."""
    page, options, scope = page_wanted(request), options_of(request), read_scope(request)
    found: Any
    if VALUES in options:
        found = list_names(ports, request.tenant, scope)
    else:
        found = list_types(ports, request.tenant, scope, detail=NO_ATTRIBUTE_DETAIL not in options)
    return json_response(HTTPStatus.OK, found[page.offset : page.offset + page.limit], page.headers(len(found)))


def read_type_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/types/{typeName}`."""
    name = identifier("entity type", request.path_parameter("typeName"))
    detail = NO_ATTRIBUTE_DETAIL not in options_of(request)
    found = list_types(ports, request.tenant, read_scope(request), only=name, detail=detail)
    if not found:
        raise NotFound(f"Entity type not found: no entity has the type {name}")
    return json_response(HTTPStatus.OK, TypeDetail(found[0].attrs, found[0].count))


def entry_points_route(ports: Ports, request: Request) -> Response:
    """`GET /v2`."""
    del ports, request
    return json_response(HTTPStatus.OK, _ENTRY_POINTS)


def version_route(ports: Ports, request: Request) -> Response:
    """`GET /version`."""
    del ports, request
    return json_response(HTTPStatus.OK, {"orion": {"version": ORION_VERSION}, "tidemark": {"version": VERSION}})


def empty_list_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/subscriptions` and `GET /v2/registrations`."""
    del ports
    return json_response(HTTPStatus.OK, [], page_wanted(request).headers(0))


def refuse_subscription_route(ports: Ports, request: Request) -> Response:
    """`POST /v2/subscriptions`."""
    del ports, request
    raise NotSupported("subscriptions are not supported: this store keeps entities and sends no notifications")


def refuse_registration_route(ports: Ports, request: Request) -> Response:
    """`POST /v2/registrations`."""
    del ports, request
    raise NotSupported("registrations are not supported: this store forwards no requests to context providers")


ROUTES: Final[Mapping[str, Route]] = {
    "POST /v2/op/update": update_route,
    "POST /v2/op/query": query_route,
    "GET /v2/types": list_types_route,
    "GET /v2/types/{typeName}": read_type_route,
    "GET /v2": entry_points_route,
    "GET /version": version_route,
    "GET /v2/subscriptions": empty_list_route,
    "POST /v2/subscriptions": refuse_subscription_route,
    "GET /v2/registrations": empty_list_route,
    "POST /v2/registrations": refuse_registration_route,
}
