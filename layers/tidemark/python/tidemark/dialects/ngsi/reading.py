"""What reading requests ask for, and their answers: of live entities and of those inside a snapshot alike.

Each takes the request apart before it opens what is to be read, so a bad request costs nothing.
Source: the NGSIv2 specification, "List Entities" and "Retrieve Entity".
"""

from collections.abc import Callable
from http import HTTPStatus

from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.listing import list_entities
from tidemark.dialects.ngsi.ordering import parse_order
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.ngsi.rendering import rendering_of
from tidemark.dialects.ngsi.selection import from_parameters, only_one
from tidemark.dialects.ngsi.service_path import read_scope
from tidemark.dialects.ngsi.syntax import identifier, shown
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.errors import EntityNotFound
from tidemark.usecases.entities import Readable, StoredEntity

type Opened = Callable[[], Readable]


def list_answer(request: Request, opened: Opened) -> Response:
    """The answer to a request for a list of entities. Raises InvalidRequest, NotSupported, AnswerTooLarge."""
    selection = from_parameters(request.query, read_scope(request))
    page, order, rendering = page_wanted(request), parse_order(request.query.get("orderBy")), rendering_of(request)
    listed = list_entities(opened(), selection, page, order, rendering)
    return json_response(HTTPStatus.OK, listed.documents, page.headers(listed.total))


def one_answer(request: Request, opened: Opened) -> Response:
    """The answer to a request for one entity. Raises what `one` does."""
    rendering = rendering_of(request)
    stored = one(request, opened)
    return json_response(HTTPStatus.OK, rendering.entity(stored.key, attributes_of(stored.doc)))


def one(request: Request, opened: Opened) -> StoredEntity:
    """The entity that a request names. Raises EntityNotFound, TooManyResults, InvalidRequest."""
    entity_id, type_, scope = entity_id_of(request), type_of(request), read_scope(request)
    found = {
        stored.key: stored
        for stored in opened().find(entity_id, types=None if type_ is None else [type_])
        if scope.admits(stored.key.path) and type_ in {None, stored.key.type}
    }
    if not found:
        of_type = "" if type_ is None else f" of type {shown(type_)}"
        raise EntityNotFound(
            f"The requested entity has not been found. Check type and id: there is no {shown(entity_id)}{of_type} here"
        )
    return found[only_one(list(found), entity_id)]


def entity_id_of(request: Request) -> str:
    """The id in the path. Raises InvalidRequest."""
    return identifier("entity id", request.path_parameter("entityId"))


def type_of(request: Request) -> str | None:
    """The one type in the query, None where any will do. Raises InvalidRequest."""
    return identifier("entity type", request.query["type"]) if "type" in request.query else None
