"""The routes that read snapshots: the entities inside of one, and an entity's history through all of them.

They take the query parameters of `/v2/entities`. The history is Tidemark's own: NGSIv2 has nothing of its kind.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from tidemark.dialects.ngsi.attributes import Attributes
from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.listing import fitting
from tidemark.dialects.ngsi.parameters import page_wanted
from tidemark.dialects.ngsi.reading import Opened, entity_id_of, list_answer, one_answer, type_of
from tidemark.dialects.ngsi.rendering import Rendering, rendering_of
from tidemark.dialects.ngsi.service_path import read_scope
from tidemark.dialects.ngsi.snapshots import Seconds, SnapshotName, named, seconds
from tidemark.dialects.ngsi.syntax import shown
from tidemark.dialects.ngsi.times import moment
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.errors import EntityNotFound
from tidemark.ports import Ports
from tidemark.usecases.entity_history import Change, Difference, Period, entity_history
from tidemark.usecases.listing import page_of
from tidemark.usecases.read_inside import inside


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One difference: the snapshot, what became of the entity since the one before, and the entity as it is there."""

    snapshot_id: SnapshotName
    description: str
    created_at: Seconds
    change: Change
    type: str
    service_path: str
    changed_attributes: list[str] | UnsetType = UNSET
    entity: dict[str, Any] | list[Any] | UnsetType = UNSET


def list_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/snapshots/{snapshotId}/entities`."""
    return list_answer(request, _opened(ports, request))


def read_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/snapshots/{snapshotId}/entities/{entityId}`."""
    return one_answer(request, _opened(ports, request))


def history_route(ports: Ports, request: Request) -> Response:
    """`GET /v2/entities/{entityId}/history`: an array, newest snapshot first; 404 where no snapshot has the entity."""
    page, rendering, scope, type_ = page_wanted(request), rendering_of(request), read_scope(request), type_of(request)
    entity_id, period = entity_id_of(request), Period(since=moment(request, "from"), until=moment(request, "to"))
    found = entity_history(
        ports,
        request.tenant,
        entity_id,
        types=None if type_ is None else [type_],
        admits=lambda key: scope.admits(key.path),
        period=period,
    )
    # To count them all takes looking at all snapshots, so only who asks for the count pays for it.
    end = None if page.counted else page.offset + page.limit
    listing = page_of(islice(found, end), limit=page.limit, offset=page.offset)
    if listing.total == 0 and period == Period():
        of_type = "" if type_ is None else f" of type {shown(type_)}"
        raise EntityNotFound(f"no completed snapshot has an entity {shown(entity_id)}{of_type} here")
    told = fitting(_told(difference, rendering) for difference in listing.items)
    return json_response(HTTPStatus.OK, told, page.headers(listing.total))


def _opened(ports: Ports, request: Request) -> Opened:
    return lambda: inside(ports, request.tenant, named(request))


def _told(difference: Difference, rendering: Rendering) -> HistoryEntry:
    doc = difference.doc
    attributes = None if doc is None else attributes_of(doc)
    updated = attributes is not None and difference.change is Change.UPDATED
    return HistoryEntry(
        snapshot_id=difference.snapshot.id,
        description=difference.snapshot.description,
        created_at=seconds(difference.snapshot.created_at),
        change=difference.change,
        type=difference.key.type,
        service_path=difference.key.path,
        changed_attributes=_changed(attributes or {}, attributes_of(difference.before or "{}")) if updated else UNSET,
        entity=UNSET if attributes is None else rendering.entity(difference.key, attributes),
    )


def _changed(now: Attributes, before: Attributes) -> list[str]:
    """The names of the attributes that were added, altered or removed."""
    return sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))


ROUTES: Final[Mapping[str, Callable[[Ports, Request], Response]]] = {
    "GET /v2/snapshots/{snapshotId}/entities": list_route,
    "GET /v2/snapshots/{snapshotId}/entities/{entityId}": read_route,
    "GET /v2/entities/{entityId}/history": history_route,
}
