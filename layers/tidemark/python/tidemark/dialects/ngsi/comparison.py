"""Comparing stored values with the literals of a query, and with each other for sorting.

Sources: the NGSIv2 specification, "Simple Query Language"; Orion's implementation notes, "Datetime support" and
"Ordering between different attribute value types". Only values of the same kind compare: 20 is not "20", true is not 1.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

DATE_TYPES: Final = frozenset({"DateTime", "ISO8601"})
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9].*)?")
_WORDS: Final = {"true": True, "false": False, "null": None}
_ENCODER: Final = msgspec.json.Encoder(order="sorted")

type Scalar = str | int | float | bool | None


class Literal(NamedTuple):
    """A value in a query. `instant` is set on what is a date, seconds since 1970 in UTC."""

    value: Scalar
    instant: float | None = None


class Found(NamedTuple):
    """A stored value that a query addresses; `dated`: its type says that it is a date."""

    value: Any
    dated: bool = False


def literal(text: str) -> Literal:
    """What an unquoted text in a query means: a number, a truth value, null, a date, or else a string."""
    if text in _WORDS:
        return Literal(_WORDS[text])
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return Literal(float(text) if number[1] or number[2] else int(text))
    return Literal(text, instant(text))


def instant(value: object) -> float | None:
    """The moment an ISO 8601 text names, in seconds since 1970; UTC if it names no zone. None for what is no date."""
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def equals(found: Found, wanted: Literal) -> bool:
    """Whether the value is the wanted one, or is an array that holds it."""
    if isinstance(found.value, list):
        return any(_is(element, wanted, dated=found.dated) for element in found.value)
    return _is(found.value, wanted, dated=found.dated)


def compare(found: Found, wanted: Literal) -> int | None:
    """-1, 0 or 1 as the value is less than, equal to or more than the wanted one; None where they don't compare."""
    if found.dated and wanted.instant is not None:
        moment = instant(found.value)
        return None if moment is None else (moment > wanted.instant) - (moment < wanted.instant)
    if _is_number(found.value) and _is_number(wanted.value):
        return int(found.value > wanted.value) - int(found.value < wanted.value)
    if isinstance(found.value, str) and isinstance(wanted.value, str):
        return (found.value > wanted.value) - (found.value < wanted.value)
    return None


def same_kind(one: Literal, other: Literal) -> bool:
    """Whether two literals can be the ends of a range: both numbers, both dates or both strings."""
    if _is_number(one.value):
        return _is_number(other.value)
    return (
        isinstance(one.value, str) and isinstance(other.value, str) and (one.instant is None) == (other.instant is None)
    )


def sort_rank(found: Found | None) -> tuple[int, Any]:
    """Where a value stands among all: nothing and null, numbers and dates, strings, objects, arrays, truth values."""
    match found:
        case None | Found(value=None):
            return 0, 0
        case Found(value=bool() as truth):
            return 5, truth
        case Found(value=int() | float() as number):
            return 1, number
        case Found(value=str() as text, dated=dated):
            moment = instant(text) if dated else None
            return (2, text) if moment is None else (1, moment)
        case Found(value=value):
            return (4 if isinstance(value, list) else 3), _ENCODER.encode(value)


def _is(value: object, wanted: Literal, *, dated: bool) -> bool:
    if wanted.value is None or isinstance(wanted.value, bool):
        return value is wanted.value
    if _is_number(wanted.value):
        return _is_number(value) and value == wanted.value
    if dated and wanted.instant is not None:
        return instant(value) == wanted.instant
    return isinstance(value, str) and value == wanted.value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
