"""Lists of entities through the entity store's function: what is selected, how it is paged, and how it looks."""

import pytest

from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tidemark.dialects.ngsi import listing
from tidemark.ports import Ports


@pytest.fixture
def api(ports: Ports) -> EntitiesClient:
    client = EntitiesClient()
    client.create(
        *(
            {"id": f"Room{n}", "type": "Room", "temperature": {"value": 18 + n}, "floor": {"value": n % 2}}
            for n in range(5)
        ),
        {"id": "Car1", "type": "Car", "speed": {"value": 50}},
        {"id": "Room1", "type": "Robot", "charge": {"value": 0.5, "metadata": {"unit": {"value": "P1"}}}},
    )
    return client


ROOMS = [f"Room{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["Car1", "Room1", *ROOMS]),
        ("type=Room", ROOMS),
        ("type=Car,Robot", ["Car1", "Room1"]),
        ("type=Boat", []),
        ("type=" + ",".join([*(f"T{number}" for number in range(100)), "Car"]), ["Car1"]),
        ("id=Room1", ["Room1", "Room1"]),
        ("id=Room1&type=Robot", ["Room1"]),
        ("id=Room1&type=Car", []),
        ("id=Room1,Car1,none", ["Car1", "Room1", "Room1"]),
        ("idPattern=^Room[0-1]$", ["Room1", "Room0", "Room1"]),
        ("idPattern=ar", ["Car1"]),
        ("idPattern=.*&type=Car", ["Car1"]),
        ("typePattern=^R", ["Room1", *ROOMS]),
        ("typePattern=^Ro&id=Room1", ["Room1", "Room1"]),
        ("q=temperature%3E20", ["Room3", "Room4"]),
        ("q=temperature>=19;floor==0", ["Room2", "Room4"]),
        ("q=!temperature", ["Car1", "Room1"]),
        ("q=speed==50&type=Room", []),
        ("mq=charge.unit==P1", ["Room1"]),
        ("type=Room&orderBy=!temperature&limit=2", ["Room4", "Room3"]),
        ("type=Room&orderBy=floor,!id&offset=1&limit=3", ["Room2", "Room0", "Room3"]),
        ("limit=2&offset=5", ["Room3", "Room4"]),
        ("offset=100", []),
        ("unheardOf=1&limit=1", ["Car1"]),
    ],
)
def test_list_selects_and_pages(api: EntitiesClient, query: str, ids: list[str]) -> None:
    assert api.ids(f"GET /v2/entities?{query}") == ids
    assert api.ids(f"GET /v2/entities/?{query}") == ids


def test_list_gives_twenty_unless_asked_otherwise(api: EntitiesClient) -> None:
    api.create(*({"id": f"X{n:03}", "type": "X"} for n in range(30)))
    assert len(api.ids("GET /v2/entities")) == 20
    assert len(api.ids("GET /v2/entities?limit=1000")) == 37


@pytest.mark.parametrize(
    ("query", "count"),
    [("limit=1", "7"), ("type=Room&limit=2&offset=4", "5"), ("q=floor==1", "2"), ("id=Room1", "2"), ("id=none", "0")],
)
@pytest.mark.parametrize("order", ["", "&orderBy=id"])
def test_count_is_of_all_that_were_selected(api: EntitiesClient, query: str, count: str, order: str) -> None:
    answer = api.call(f"GET /v2/entities?options=count&{query}{order}")
    assert answer.headers["Fiware-Total-Count"] == count
    assert "Fiware-Total-Count" not in api.call(f"GET /v2/entities?{query}{order}").headers


@pytest.mark.parametrize("query", ["", "&offset=2", "&orderBy=id", "&q=floor>=0"])
def test_limit_of_zero_asks_for_the_count_alone(api: EntitiesClient, query: str) -> None:
    answer = api.call(f"GET /v2/entities?type=Room&options=count&limit=0{query}")
    assert (answer.json, answer.headers["Fiware-Total-Count"]) == ([], "5")


def test_list_shows_the_representation_that_was_asked_for(api: EntitiesClient) -> None:
    url = "GET /v2/entities?type=Room&limit=1"
    assert api.call(f"{url}&options=keyValues").json == [{"id": "Room0", "type": "Room", "temperature": 18, "floor": 0}]
    assert api.call(f"{url}&options=count,keyValues&attrs=floor").json == [{"id": "Room0", "type": "Room", "floor": 0}]
    assert api.call(f"{url}&options=values&attrs=temperature,floor").json == [[18, 0]]
    assert api.call(f"{url}&options=unique").json == [[0, 18]]
    robot = api.call("GET /v2/entities?type=Robot&metadata=none").json[0]
    assert robot["charge"] == {"type": "Number", "value": 0.5, "metadata": {}}


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({}, ["Car1", "Room1", *ROOMS]),
        ({"entities": []}, ["Car1", "Room1", *ROOMS]),
        ({"entities": [{"id": "Room1"}]}, ["Room1", "Room1"]),
        ({"entities": [{"idPattern": ".*", "type": "Robot"}, {"id": "Car1"}]}, ["Car1", "Room1"]),
        ({"entities": [{"idPattern": "[34]$", "typePattern": "oo"}]}, ["Room3", "Room4"]),
        ({"entities": [{"idPattern": ".*"}], "expression": {"q": "temperature<20"}}, ["Room0", "Room1"]),
        ({"expression": {"mq": "charge.unit"}}, ["Room1"]),
    ],
)
def test_query_selects_what_its_body_describes(api: EntitiesClient, body: dict[str, object], ids: list[str]) -> None:
    assert api.ids("POST /v2/op/query", body=body) == ids


def test_query_pages_counts_sorts_and_renders(api: EntitiesClient) -> None:
    body = {"entities": [{"idPattern": ".*", "type": "Room"}], "attrs": ["temperature"]}
    answer = api.call("POST /v2/op/query?options=keyValues,count&orderBy=!temperature&limit=1&offset=1", body)
    assert answer.json == [{"id": "Room3", "type": "Room", "temperature": 21}]
    assert answer.headers["Fiware-Total-Count"] == "5"
    robots = api.call("POST /v2/op/query", {"entities": [{"idPattern": "", "type": "Robot"}]})
    rest.assert_error(robots, 400, "BadRequest", "idPattern")
    unit = {"type": "Text", "value": "P1"}
    robot = api.call("POST /v2/op/query", {"entities": [{"id": "Room1", "type": "Robot"}], "metadata": ["unit"]}).json
    assert robot[0]["charge"]["metadata"] == {"unit": unit}


def test_list_is_refused_when_its_answer_would_be_too_large(
    api: EntitiesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_ANSWER_BYTES", 500)
    rest.assert_error(api.call("GET /v2/entities"), 413, "RequestEntityTooLarge", "limit")
    assert len(api.ids("GET /v2/entities?limit=2")) == 2
    assert len(api.ids("GET /v2/entities?attrs=none")) == 7


def test_list_of_large_entities_is_refused_and_can_be_read_in_parts(api: EntitiesClient) -> None:
    for number in range(36):
        api.create({"id": f"Large{number}", "type": "Large", "text": {"value": "x" * 178_000}})
    rest.assert_error(api.call("GET /v2/entities?type=Large&limit=40"), 413, "RequestEntityTooLarge", "limit")
    assert len(api.ids("GET /v2/entities?type=Large&limit=30")) == 30
    assert len(api.ids("GET /v2/entities?type=Large&limit=10&offset=30")) == 6
