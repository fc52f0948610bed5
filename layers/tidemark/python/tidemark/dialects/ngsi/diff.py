"""What differs between two snapshots, or a snapshot and live data, as requests ask for it and as answers tell it.

Tidemark's own: NGSIv2 has nothing of its kind. The request's path and `limit`, `offset`, `type` follow `/v2/entities`.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.listing import fitting
from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.selection import FEW_TYPES, description_of
from tidemark.dialects.ngsi.service_path import read_scope
from tidemark.dialects.ngsi.snapshots import SnapshotName
from tidemark.dialects.ngsi.syntax import shown
from tidemark.dialects.wire import Request
from tidemark.domain.change import Change
from tidemark.domain.keys import EntityKey
from tidemark.domain.snapshot import parse_snapshot_id
from tidemark.errors import InvalidRequest
from tidemark.usecases.compare import LIVE, Comparison, Differing, Wanted

_CHANGES: Final = ", ".join(Change)
_Count = Annotated[int, Meta(ge=0)]


class DiffCounts(msgspec.Struct, frozen=True):
    """How many entities differ, by what became of them."""

    created: _Count
    updated: _Count
    deleted: _Count


class AttributeSides(msgspec.Struct, frozen=True):
    """An attribute that differs: `old` unless it was added, `new` unless it was removed."""

    old: dict[str, Any] | UnsetType
    new: dict[str, Any] | UnsetType


class DifferingEntity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entity that differs. `attributes` are those that do, of one that was updated."""

    id: str
    type: str
    service_path: str
    change: Change
    attributes: dict[str, AttributeSides] | UnsetType = UNSET


class DiffBody(msgspec.Struct, frozen=True, rename={"old": "from", "new": "to"}):
    """What became of a snapshot's entities by another one, or by now. `entities` is a page of those that differ."""

    old: SnapshotName
    new: Annotated[str, Meta(description="A snapshot, or `live`.")]
    counts: DiffCounts
    entities: list[Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/DifferingEntity"})]]


def other_side(request: Request) -> str:
    """The query parameter `with`: the id of a snapshot, or `live`.

    Raises InvalidRequest, and SnapshotNotFound where no snapshot can have such an id.
    """
    text = request.query.get("with")
    if not text:
        raise InvalidRequest("say what to compare with: with=live, or with= and the id of another snapshot")
    if text != LIVE:
        parse_snapshot_id(text)
    return text


def wanted(request: Request, page: PageWanted) -> Wanted:
    """The query parameters `type` and `change`, lists separated by commas, and the header of the service path.

    Raises InvalidRequest.
    """
    scope = read_scope(request)
    if request.query.get("type") == "":
        raise InvalidRequest("the query parameter type is empty; give it a value or leave it out")
    called = description_of({"type": request.query["type"]} if "type" in request.query else {})

    def admits(key: EntityKey) -> bool:
        return scope.admits(key.path) and called.admits(key)

    return Wanted(
        types=sorted(called.types) if called.types is not None and len(called.types) <= FEW_TYPES else None,
        admits=admits,
        changes=_changes(request),
        limit=page.limit,
        offset=page.offset,
    )


def _changes(request: Request) -> frozenset[Change]:
    text = request.query.get("change")
    if text is None:
        return frozenset(Change)
    try:
        return frozenset(Change(word) for word in text.split(","))
    except ValueError as error:
        raise InvalidRequest(f"change is {shown(text)}; it lists what to show, of: {_CHANGES}") from error


def render(old_id: str, new_id: str, found: Comparison) -> DiffBody:
    """The answer. Raises AnswerTooLarge."""
    counts = DiffCounts(**{change.value: found.counts[change] for change in Change})
    return DiffBody(old_id, new_id, counts, fitting(_told(one) for one in found.entities))


def _told(one: Differing) -> DifferingEntity:
    return DifferingEntity(
        id=one.key.id,
        type=one.key.type,
        service_path=one.key.path,
        change=one.change,
        attributes=_attributes(one.old or "{}", one.new or "{}") if one.change is Change.UPDATED else UNSET,
    )


def _attributes(old_doc: str, new_doc: str) -> dict[str, AttributeSides]:
    """Each attribute that differs."""
    old, new = attributes_of(old_doc), attributes_of(new_doc)
    return {
        name: AttributeSides(old=old.get(name, UNSET), new=new.get(name, UNSET))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
