"""The Simple Query Language of the parameters `q` (attribute values) and `mq` (metadata).

Source: the NGSIv2 specification, "Simple Query Language". A query is a list of statements that must all hold:
`temperature>20;status==open,closed;!broken;address.city=='Rome';name~=^R`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from tidemark.dialects.ngsi.attributes import Attributes
from tidemark.dialects.ngsi.comparison import DATE_TYPES, Found, Literal, compare, equals, literal, same_kind
from tidemark.dialects.ngsi.patterns import Pattern, compile_pattern
from tidemark.dialects.ngsi.syntax import shown
from tidemark.errors import InvalidRequest

MAX_QUERY_CHARS: Final = 4096
_QUOTE: Final = "'"
_RANGE: Final = ".."


class Operator(StrEnum):
    """What a statement compares by. Longer ones come first, so that `>=` is not read as `>`."""

    EQUAL = "=="
    UNEQUAL = "!="
    AT_LEAST = ">="
    AT_MOST = "<="
    MATCHES = "~="
    MORE = ">"
    LESS = "<"


_ORDER_TESTS: Final[dict[Operator, Callable[[int], bool]]] = {
    Operator.AT_LEAST: lambda sign: sign >= 0,
    Operator.AT_MOST: lambda sign: sign <= 0,
    Operator.MORE: lambda sign: sign > 0,
    Operator.LESS: lambda sign: sign < 0,
}


class Range(NamedTuple):
    """All values from `low` to `high`, both included."""

    low: Literal
    high: Literal


type Operand = Literal | Range | Pattern


@dataclass(frozen=True, slots=True)
class Statement:
    """One condition. `path` addresses a value; without an operator it is about whether that exists at all."""

    path: tuple[str, ...]
    operator: Operator | None = None
    operands: tuple[Operand, ...] = ()
    negated: bool = False

    def holds(self, found: Found | None) -> bool:
        """Whether the addressed value, None where there is none, fulfils the condition."""
        if self.operator is None:
            return (found is None) is self.negated
        if found is None:
            return False
        hit = any(_meets(found, self.operator, operand) for operand in self.operands)
        return not hit if self.operator is Operator.UNEQUAL else hit


@dataclass(frozen=True, slots=True)
class Query:
    """Statements about attribute values, and about metadata, that must all hold."""

    values: tuple[Statement, ...] = ()
    metadata: tuple[Statement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.metadata)

    def matches(self, attributes: Attributes) -> bool:
        """Whether an entity with these attributes fulfils all statements."""
        return all(statement.holds(value_at(attributes, statement.path)) for statement in self.values) and all(
            statement.holds(_metadata_at(attributes, statement.path)) for statement in self.metadata
        )


NO_QUERY: Final = Query()


def parse_query(q: str | None, mq: str | None) -> Query:
    """The conditions of a request. Raises InvalidRequest."""
    return Query(
        values=tuple(_statements("q", q)) if q is not None else (),
        metadata=tuple(_statements("mq", mq, least_path=2)) if mq is not None else (),
    )


def value_at(attributes: Attributes, path: tuple[str, ...]) -> Found | None:
    """The value of an attribute, or of what lies inside it; None where there is no such thing."""
    attribute = attributes.get(path[0])
    return _inside(attribute, path[1:]) if attribute is not None else None


def _metadata_at(attributes: Attributes, path: tuple[str, ...]) -> Found | None:
    element = attributes.get(path[0], {}).get("metadata", {}).get(path[1])
    return _inside(element, path[2:]) if element is not None else None


def _inside(typed: dict[str, Any], path: tuple[str, ...]) -> Found | None:
    if not path:
        return Found(typed["value"], dated=typed["type"] in DATE_TYPES)
    value = typed["value"]
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return Found(value)


def _meets(found: Found, operator: Operator, operand: Operand) -> bool:
    if isinstance(operand, Range):
        low, high = compare(found, operand.low), compare(found, operand.high)
        return low is not None and high is not None and low >= 0 >= high
    if isinstance(operand, Literal):
        if operator not in _ORDER_TESTS:
            return equals(found, operand)
        sign = compare(found, operand)
        return sign is not None and _ORDER_TESTS[operator](sign)
    texts = found.value if isinstance(found.value, list) else [found.value]
    return any(isinstance(text, str) and operand.search(text) is not None for text in texts)


def _statements(parameter: str, text: str, *, least_path: int = 1) -> Iterator[Statement]:
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidRequest(f"{parameter} has {len(text)} characters; at most {MAX_QUERY_CHARS} are allowed")
    if text.count(_QUOTE) % 2:
        raise InvalidRequest(f"{parameter} {shown(text)} has a quote ' that is not closed")
    for part in _split(text, ";"):
        statement = _statement(parameter, part)
        if len(statement.path) < least_path:
            raise InvalidRequest(
                f"{parameter} statement {shown(part)} must name an attribute and a metadata: attribute.metadata"
            )
        yield statement


def _statement(parameter: str, text: str) -> Statement:
    operator, at, length = _operator(text)
    if operator is None:
        negated = text.startswith("!")
        return Statement(_path(parameter, text[negated:]), negated=negated)
    right = text[at + length :]
    if not right:
        raise InvalidRequest(f"{parameter} statement {shown(text)} has nothing to compare with after {operator.value}")
    return Statement(_path(parameter, text[:at]), operator, _operands(parameter, text, operator, right))


def _operator(text: str) -> tuple[Operator | None, int, int]:
    """The first operator outside quotes, where it is and its length; `:` means `==` where there is no other."""
    colon = None
    for at in _unquoted(text):
        for operator in Operator:
            if text.startswith(operator, at):
                return operator, at, len(operator)
        if text[at] == ":" and colon is None:
            colon = at
    return (None, 0, 0) if colon is None else (Operator.EQUAL, colon, 1)


def _operands(parameter: str, statement: str, operator: Operator, text: str) -> tuple[Operand, ...]:
    if operator is Operator.MATCHES:
        return (compile_pattern(f"pattern in {parameter}", _unquote(text)),)
    items = list(_split(text, ","))
    ends = list(_split(text, _RANGE))
    if operator in _ORDER_TESTS and (len(items) > 1 or len(ends) > 1):
        raise InvalidRequest(
            f"{parameter} statement {shown(statement)} has a list or range; they go with == and != only"
        )
    if len(ends) == 1:
        return tuple(_literal(item) for item in items)
    if len(items) > 1 or len(ends) > 2:  # noqa: PLR2004 - a range has two ends
        raise InvalidRequest(f"{parameter} statement {shown(statement)} mixes a range with a list; use one of them")
    low, high = (_literal(end) for end in ends)
    if not same_kind(low, high):
        raise InvalidRequest(
            f"{parameter} statement {shown(statement)} has a range whose ends are not both numbers, dates or strings"
        )
    return (Range(low, high),)


def _path(parameter: str, text: str) -> tuple[str, ...]:
    path = tuple(_unquote(part) for part in _split(text, "."))
    if not all(path):
        raise InvalidRequest(f"{parameter} has a statement without an attribute name: {shown(text)}")
    return path


def _literal(text: str) -> Literal:
    quoted = len(text) > 1 and text[0] == text[-1] == _QUOTE
    return Literal(text[1:-1]) if quoted else literal(text)


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == _QUOTE else text


def _split(text: str, separator: str) -> Iterator[str]:
    start = 0
    for at in _unquoted(text):
        if at >= start and text.startswith(separator, at):
            yield text[start:at]
            start = at + len(separator)
    yield text[start:]


def _unquoted(text: str) -> Iterator[int]:
    """The positions of the characters outside single quotes."""
    quoted = False
    for at, character in enumerate(text):
        if character == _QUOTE:
            quoted = not quoted
        elif not quoted:
            yield at
