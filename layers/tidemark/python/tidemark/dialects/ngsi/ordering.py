"""The query parameter `orderBy`, and sorting a stream while keeping only what the page needs.

Source: the NGSIv2 specification, "Ordering Results". Entities that are equal in all fields stay in key order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from tidemark.dialects.ngsi.attributes import Attributes
from tidemark.dialects.ngsi.comparison import Found, sort_rank
from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.query_language import value_at
from tidemark.dialects.ngsi.syntax import allowed_text, shown
from tidemark.domain.keys import EntityKey
from tidemark.errors import AnswerTooLarge, InvalidRequest, NotSupported
from tidemark.usecases.entities import StoredEntity

MAX_FIELDS: Final = 20
# What sorting may hold in memory at once, of a function that has a few hundred megabytes.
MAX_HELD_BYTES: Final = 64 * 1024 * 1024
# Sorting again after each few entities would be slow where only a few are wanted.
SPARE_ITEMS: Final = 1000


class Field(NamedTuple):
    """One thing to sort by: `id`, `type`, or an attribute."""

    name: str
    descending: bool


@dataclass(frozen=True, slots=True)
class _Reversed:
    """Sorts the other way round."""

    rank: tuple[int, Any]

    def __lt__(self, other: Self) -> bool:
        return other.rank < self.rank


type _Placed = tuple[list[Any], StoredEntity]


@dataclass(frozen=True, slots=True)
class Order:
    """How to sort entities. Without fields they stay in the order of their keys."""

    fields: tuple[Field, ...] = ()

    def place(self, stored: StoredEntity) -> list[Any]:
        """What to compare an entity by."""
        attributes = attributes_of(stored.doc)
        ranks = [(field, sort_rank(_found(field.name, stored.key, attributes))) for field in self.fields]
        return [_Reversed(rank) if field.descending else rank for field, rank in ranks]

    def first(self, stream: Iterable[StoredEntity], count: int) -> list[StoredEntity]:
        """The first `count` entities of the stream, sorted. Holds twice as many or so. Raises AnswerTooLarge."""
        held: list[_Placed] = []
        held_bytes = 0
        for stored in stream:
            held.append((self.place(stored), stored))
            held_bytes += len(stored.doc)
            if len(held) >= 2 * count + SPARE_ITEMS or held_bytes > MAX_HELD_BYTES:
                held = _smallest(held, count)
                held_bytes = sum(len(stored.doc) for _, stored in held)
                _check_held(held_bytes)
        return [stored for _, stored in _smallest(held, count)]


def parse_order(text: str | None) -> Order:
    """The parameter `orderBy`: names separated by commas, `!` before one that descends.

    Raises InvalidRequest, NotSupported.
    """
    if text is None:
        return Order()
    names = allowed_text("query parameter orderBy", text).split(",")
    if len(names) > MAX_FIELDS:
        raise InvalidRequest(f"orderBy names {len(names)} fields; at most {MAX_FIELDS} are allowed")
    fields = tuple(Field(name.removeprefix("!"), descending=name.startswith("!")) for name in names)
    for field in fields:
        if not field.name:
            raise InvalidRequest(f"orderBy {shown(text)} has an empty field; separate names by one comma")
        if field.name == "geo:distance":
            raise NotSupported("ordering by geo:distance is not supported; order by an attribute, id or type")
    return Order(fields)


def _smallest(held: list[_Placed], count: int) -> list[_Placed]:
    # Sorting is stable, and later entities always stand behind earlier ones: ties keep the order of the stream.
    return sorted(held, key=lambda placed: placed[0])[:count]


def _check_held(held_bytes: int) -> None:
    if held_bytes > MAX_HELD_BYTES // 2:
        raise AnswerTooLarge(
            f"sorting up to this offset would hold {held_bytes} bytes of entities; the limit is {MAX_HELD_BYTES // 2}: "
            "ask for a smaller offset and limit, or select fewer entities"
        )


def _found(name: str, key: EntityKey, attributes: Attributes) -> Found | None:
    match name:
        case "id":
            return Found(key.id)
        case "type":
            return Found(key.type)
        case _:
            return (
                value_at(attributes, tuple(name.split(".")))
                if name not in attributes
                else value_at(attributes, (name,))
            )
