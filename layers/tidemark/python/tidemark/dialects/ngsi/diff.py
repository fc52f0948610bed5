"""What differs between two snapshots, or a snapshot and live data, as requests ask for it and as answers tell it.

Tidemark's own: NGSIv2 has nothing of its kind. The request's path and `limit`, `offset`, `type` follow `/v2/entities`.
"""

from typing import Any, Final

from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.listing import fitting
from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.selection import FEW_TYPES, description_of
from tidemark.dialects.ngsi.service_path import read_scope
from tidemark.dialects.ngsi.syntax import shown
from tidemark.dialects.wire import Request
from tidemark.domain.change import Change
from tidemark.domain.keys import EntityKey
from tidemark.domain.snapshot import parse_snapshot_id
from tidemark.errors import InvalidRequest
from tidemark.usecases.compare import LIVE, Comparison, Differing, Wanted

_CHANGES: Final = ", ".join(Change)


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


def render(old_id: str, new_id: str, found: Comparison) -> dict[str, Any]:
    """The answer. Raises AnswerTooLarge."""
    return {
        "from": old_id,
        "to": new_id,
        "counts": {change.value: found.counts[change] for change in Change},
        "entities": fitting(_told(one) for one in found.entities),
    }


def _told(one: Differing) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": one.key.id,
        "type": one.key.type,
        "servicePath": one.key.path,
        "change": one.change.value,
    }
    if one.change is Change.UPDATED:
        told["attributes"] = _attributes(one.old or "{}", one.new or "{}")
    return told


def _attributes(old_doc: str, new_doc: str) -> dict[str, dict[str, Any]]:
    """Each attribute that differs: `old` unless it was added, `new` unless it was removed."""
    sides = {"old": attributes_of(old_doc), "new": attributes_of(new_doc)}
    old, new = sides.values()
    return {
        name: {side: attributes[name] for side, attributes in sides.items() if name in attributes}
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
