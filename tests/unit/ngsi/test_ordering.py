"""Ordering: the first of a stream are those that sorting everything would put first, with little held in memory."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemark.dialects.ngsi import ordering
from tidemark.dialects.ngsi.entities import encode
from tidemark.dialects.ngsi.ordering import Field, Order, parse_order
from tidemark.domain.keys import EntityKey
from tidemark.errors import AnswerTooLarge, InvalidRequest, NotSupported
from tidemark.usecases.entities import StoredEntity


def entity(id_: str, type_: str = "T", **values: Any) -> StoredEntity:
    key = EntityKey(type_, id_, "/")
    kind = {"at": "DateTime"}
    attributes = {
        name: {"type": kind.get(name, "Text"), "value": value, "metadata": {}} for name, value in values.items()
    }
    return StoredEntity(key, encode(key, attributes))


def ids(order: str, *entities: StoredEntity, count: int = 100) -> str:
    return " ".join(stored.key.id for stored in parse_order(order).first(entities, count))


def test_order_puts_kinds_of_values_as_orion_does() -> None:
    mixed = [True, [1], {"a": 1}, "x", 5, None, False, 1.5, "a"]
    entities = [entity(str(number), v=value) for number, value in enumerate(mixed)] + [entity("none")]
    assert ids("v", *entities) == "5 none 7 4 8 3 2 1 6 0"
    assert ids("!v", *entities) == "0 6 1 2 3 8 4 7 5 none"


def test_order_compares_dates_as_moments() -> None:
    early, late = entity("early", at="2026-01-15T10:00:00+02:00"), entity("late", at="2026-01-15T09:00:00Z")
    assert ids("at", late, early) == "early late"


def test_order_uses_the_next_field_on_ties_and_keeps_the_stream_order_at_last() -> None:
    entities = [entity("a", x=1, y=2), entity("b", x=1, y=1), entity("c", x=0, y=1), entity("d", x=1, y=2)]
    assert ids("x,y", *entities) == "c b a d"
    assert ids("!x,y", *entities) == "b a d c"
    assert ids("!y", *entities) == "a d b c"


def test_order_knows_id_type_and_inner_members() -> None:
    entities = [entity("b", "U", address={"city": "Bonn"}), entity("a", "V", address={"city": "Aachen"})]
    assert ids("id", *entities) == "a b"
    assert ids("!id", *entities) == "b a"
    assert ids("type", *entities) == "b a"
    assert ids("address.city", *entities) == "a b"


@given(
    values=st.lists(st.none() | st.integers(0, 5) | st.text("ab", max_size=2), max_size=60),
    count=st.integers(1, 70),
    descending=st.booleans(),
)
def test_first_of_a_stream_are_those_that_sorting_everything_gives(
    values: list[Any], count: int, *, descending: bool
) -> None:
    entities = [entity(str(number), v=value) for number, value in enumerate(values)]
    order = Order((Field("v", descending),))
    everything = sorted(entities, key=order.place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "SPARE_ITEMS", 3)
        assert order.first(entities, count) == everything[:count]


def test_first_holds_little_more_than_was_asked_for() -> None:
    alive = 0
    most = 0

    class Tracked(StoredEntity):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def stream() -> Iterator[StoredEntity]:
        nonlocal alive, most
        for number in range(20_000):
            alive += 1
            most = max(most, alive)
            yield Tracked(*entity(f"E{number:05}", v=number % 97))

    assert len(parse_order("v").first(stream(), 10)) == 10
    assert most < 2 * 10 + ordering.SPARE_ITEMS + 5


def test_first_refuses_what_would_hold_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MAX_HELD_BYTES", 10_000)
    entities = [entity(str(number), v="x" * 1000) for number in range(30)]
    assert len(parse_order("v").first(entities, 4)) == 4
    with pytest.raises(AnswerTooLarge, match="offset"):
        parse_order("v").first(entities, 20)


def test_parse_reads_fields_and_directions() -> None:
    assert parse_order(None) == Order()
    assert parse_order("a,!b").fields == (Field("a", descending=False), Field("b", descending=True))


@pytest.mark.parametrize("text", ["", ",", "a,", "!", "a;b", ",".join("a" * 21)])
def test_parse_refuses_what_names_no_field(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_order(text)


def test_parse_refuses_distance() -> None:
    with pytest.raises(NotSupported):
        parse_order("!geo:distance")
