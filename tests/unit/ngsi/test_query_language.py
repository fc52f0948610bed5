"""The Simple Query Language: what each statement means, and that no text at all breaks the parser."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemark.dialects.ngsi.attributes import Attributes
from tidemark.dialects.ngsi.query_language import parse_query
from tidemark.errors import InvalidRequest

ROOM: Attributes = {
    "temperature": {
        "type": "Number",
        "value": 21.5,
        "metadata": {
            "accuracy": {"type": "Number", "value": 0.5},
            "seen": {"type": "DateTime", "value": "2026-01-15T10:00:00Z"},
            "sensor": {"type": "StructuredValue", "value": {"maker": "ACME"}},
        },
    },
    "floor": {"type": "Number", "value": 3, "metadata": {}},
    "name": {"type": "Text", "value": "Rosa Hall", "metadata": {}},
    "code": {"type": "Text", "value": "20", "metadata": {}},
    "day": {"type": "Text", "value": "2026-01-15", "metadata": {}},
    "open": {"type": "Boolean", "value": True, "metadata": {}},
    "note": {"type": "None", "value": None, "metadata": {}},
    "observed": {"type": "DateTime", "value": "2026-01-15T10:00:00.000Z", "metadata": {}},
    "tags": {"type": "StructuredValue", "value": ["red", "blue", 7], "metadata": {}},
    "address": {"type": "StructuredValue", "value": {"city": "Rome", "geo": {"lat": 41}, "a.b": 1}, "metadata": {}},
    "refStore": {"type": "Relationship", "value": "urn:ngsi-ld:Store:001", "metadata": {}},
    "a:b": {"type": "Number", "value": 5, "metadata": {}},
    "x.y": {"type": "Number", "value": 6, "metadata": {}},
}

MATCHING = [
    "temperature",
    "!humidity",
    "temperature==21.5",
    "temperature:21.5",
    "temperature==2.15e1",
    "temperature>21",
    "temperature>=21.5",
    "temperature<22",
    "temperature<=21.5",
    "temperature!=21",
    "temperature==20..22",
    "temperature==21.5..21.5",
    "temperature!=22..23",
    "temperature==1,21.5,3",
    "floor==3.0",
    "name==Rosa Hall",
    "name=='Rosa Hall'",
    "name==Nobody,Rosa Hall",
    "name~=^Ro.*ll$",
    "name~=osa",
    "name>Q",
    "name==A..Z",
    "name!=Rosa",
    "code=='20'",
    "code!=20",
    "day==2026-01-15",
    "day>2026-01-01",
    "open==true",
    "open!=false",
    "note==null",
    "note",
    "observed==2026-01-15T10:00:00Z",
    "observed==2026-01-15T11:00:00+01:00",
    "observed>2026-01-14",
    "observed>=2026-01-15T10:00",
    "observed<2026-01-15T10:00:00.001Z",
    "observed==2026-01-01..2026-02-01",
    "tags==red",
    "tags==7",
    "tags!=green",
    "tags~=^b",
    "address.city==Rome",
    "address.geo.lat>40",
    "address.'a.b'==1",
    "!address.street",
    "address.geo",
    "refStore==urn:ngsi-ld:Store:001",
    "refStore:urn:ngsi-ld:Store:001",
    "'a:b'==5",
    "a:b>4",
    "'x.y'<7",
    "temperature>20;open==true;!humidity",
]
DIFFERING = [
    "!temperature",
    "humidity",
    "humidity!=1",
    "humidity<100",
    "temperature==21",
    "temperature=='21.5'",
    "temperature!=21.5",
    "temperature==22..30",
    "temperature!=20..22",
    "temperature!=1,21.5",
    "temperature>warm",
    "temperature~=21",
    "name>1",
    "name==rosa hall",
    "name~=^osa",
    "code==20",
    "code>10",
    "open==1",
    "open=='true'",
    "open>0",
    "note!=null",
    "observed<2026-01-15T10:00:00Z",
    "observed==2026-01-15",
    "observed>soon",
    "tags==green",
    "tags!=red",
    "tags>6",
    "address==Rome",
    "address.city.name==Rome",
    "name.first",
    "temperature>20;open==false",
]


@pytest.mark.parametrize("q", MATCHING)
def test_query_matches(q: str) -> None:
    assert parse_query(q, None).matches(ROOM)


@pytest.mark.parametrize("q", DIFFERING)
def test_query_does_not_match(q: str) -> None:
    assert not parse_query(q, None).matches(ROOM)


@pytest.mark.parametrize(
    ("mq", "matches"),
    [
        ("temperature.accuracy<1", True),
        ("temperature.accuracy>1", False),
        ("temperature.accuracy", True),
        ("temperature.unit", False),
        ("!temperature.unit", True),
        ("!humidity.unit", True),
        ("temperature.seen>2026-01-01", True),
        ("temperature.sensor.maker==ACME", True),
        ("temperature.sensor.maker!=ACME", False),
    ],
)
def test_query_of_metadata_addresses_metadata(mq: str, *, matches: bool) -> None:
    assert parse_query(None, mq).matches(ROOM) is matches


def test_query_and_query_of_metadata_must_both_hold() -> None:
    assert parse_query("floor==3", "temperature.accuracy<1").matches(ROOM)
    assert not parse_query("floor==4", "temperature.accuracy<1").matches(ROOM)
    assert not parse_query("floor==3", "temperature.accuracy>1").matches(ROOM)


def test_no_query_is_false_and_any_query_is_true() -> None:
    assert not parse_query(None, None)
    assert parse_query("a", None)
    assert parse_query(None, "a.b")


@pytest.mark.parametrize(
    "q",
    [
        "",
        ";",
        "a;",
        "==1",
        "a==",
        "a>",
        ".a==1",
        "a..b",
        "a>1,2",
        "a<1..2",
        "a==1..2..3",
        "a==1..2,3",
        "a==1..b",
        "a==2026-01-01..9",
        "a~=(",
        "a~=(?=x)",
        "a=='x",
        "!",
        "a" * 4097,
    ],
)
def test_parse_refuses_what_makes_no_sense(q: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_query(q, None)


@pytest.mark.parametrize("mq", ["a", "a==1", "!a"])
def test_parse_refuses_a_query_of_metadata_that_names_none(mq: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_query(None, mq)


FRAGMENTS = st.sampled_from(
    [
        "==",
        "!=",
        ">",
        "<=",
        "~=",
        ":",
        ";",
        ",",
        "..",
        ".",
        "'",
        "!",
        "a",
        "temperature",
        "1",
        "-",
        "true",
        "2026-01-15",
        "é",
    ]
)


@given(st.one_of(st.text(max_size=40), st.lists(FRAGMENTS, max_size=12).map("".join)))
@example("a==9999-12-31T23:59:59.999999-23:59")
@example("a==0001-01-01T00:00:00+23:59")
@example("a==" + "9" * 4000)
@example("a==1e999..2e999")
@example("a~=\ud800")
def test_parse_gives_a_query_or_refuses_it(q: str) -> None:
    # Whatever else it raised would end the test.
    with suppress(InvalidRequest):
        assert parse_query(q, None).matches(ROOM) in {True, False}
