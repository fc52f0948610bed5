"""The entity store through its function: what its routes do when all is well."""

import tomllib

import pytest

from functions.entity_store.handler import handler
from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tests.repo.sources import ROOT
from tidemark import VERSION
from tidemark.dialects.ngsi import inside_routes
from tidemark.dialects.ngsi.entity_store import ROUTES
from tidemark.dialects.ngsi.routes import METHODS, OPEN
from tidemark.ports import Ports

pytestmark = pytest.mark.usefixtures("ports")

ROOM = {
    "id": "R1",
    "type": "Room",
    "temperature": {"type": "Number", "value": 21.5, "metadata": {"unit": {"type": "Text", "value": "CEL"}}},
    "name": {"type": "Text", "value": "Hall", "metadata": {}},
}


@pytest.fixture
def api(ports: Ports) -> EntitiesClient:
    return EntitiesClient()


@pytest.fixture
def room(api: EntitiesClient) -> EntitiesClient:
    api.create(ROOM)
    return api


def test_sample_event_creates_its_entity(api: EntitiesClient) -> None:
    assert rest.call(handler, rest.sample("entity_store", "entity_store")).status == 204
    entity = api.call("GET /v2/entities/urn:ngsi:Room:42").json
    assert entity["temperature"] == {
        "type": "Number",
        "value": 21.5,
        "metadata": {"unitCode": {"type": "Text", "value": "CEL"}},
    }


def test_routes_are_those_of_the_table() -> None:
    elsewhere = ("/v2/snapshots", "/v2/restores", "/v2/plans", "/v2/schedules")
    others = {
        f"{method} {path}" for path, methods in METHODS.items() if not path.startswith(elsewhere) for method in methods
    }
    assert set(ROUTES) == others - inside_routes.ROUTES.keys() - OPEN


def test_create_answers_201_with_location_and_reading_gives_it_back(api: EntitiesClient) -> None:
    answer = api.call("POST /v2/entities", ROOM)
    assert (answer.status, answer.text) == (201, "")
    assert answer.headers["Location"] == "/v2/entities/R1?type=Room"
    assert api.call("GET " + answer.headers["Location"]).json == ROOM


def test_create_fills_in_types_and_metadata_when_they_are_left_out(api: EntitiesClient) -> None:
    values = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None, "f": [1], "g": {"h": 1}}
    api.call("POST /v2/entities", {"id": "E1", **{name: {"value": value} for name, value in values.items()}, "z": {}})
    entity = api.call("GET /v2/entities/E1").json
    assert entity["type"] == "Thing"
    assert {name: entity[name]["type"] for name in "abcdefgz"} == {
        "a": "Text",
        "b": "Number",
        "c": "Number",
        "d": "Boolean",
        "e": "None",
        "f": "StructuredValue",
        "g": "StructuredValue",
        "z": "None",
    }
    assert all(entity[name]["metadata"] == {} for name in "abcdefgz")
    assert entity["z"]["value"] is None


def test_answer_lists_members_in_orions_order(room: EntitiesClient) -> None:
    entity = room.call("GET /v2/entities/R1").json
    assert list(entity) == ["id", "type", "name", "temperature"]
    assert list(entity["temperature"]) == ["type", "value", "metadata"]


def test_create_with_key_values_takes_bare_values(api: EntitiesClient) -> None:
    assert api.call("POST /v2/entities?options=keyValues", {"id": "E1", "type": "T", "n": {"deep": [1]}}).status == 201
    assert api.call("GET /v2/entities/E1").json["n"] == {
        "type": "StructuredValue",
        "value": {"deep": [1]},
        "metadata": {},
    }


def test_upsert_appends_to_an_entity_that_exists(room: EntitiesClient) -> None:
    answer = room.call("POST /v2/entities?options=upsert", {"id": "R1", "type": "Room", "floor": {"value": 2}})
    assert (answer.status, answer.headers["Location"]) == (204, "/v2/entities/R1?type=Room")
    assert set(room.call("GET /v2/entities/R1").json) == {"id", "type", "name", "temperature", "floor"}


def test_same_id_may_exist_under_several_types(room: EntitiesClient) -> None:
    assert room.call("POST /v2/entities", {"id": "R1", "type": "Robot"}).status == 201
    rest.assert_error(room.call("GET /v2/entities/R1"), 409, "TooManyResults", "Robot", "Room")
    rest.assert_error(room.call("DELETE /v2/entities/R1"), 409, "TooManyResults")
    assert room.call("GET /v2/entities/R1?type=Robot").json == {"id": "R1", "type": "Robot"}
    assert room.call("DELETE /v2/entities/R1?type=Robot").status == 204
    assert room.call("GET /v2/entities/R1").json["type"] == "Room"


def test_percent_encoded_id_is_decoded_once(api: EntitiesClient) -> None:
    api.create({"id": "50%25", "type": "T"}, {"id": "a:b|c", "type": "T"})
    assert api.call("GET /v2/entities/50%2525").json["id"] == "50%25"
    assert api.call("GET /v2/entities/a%3Ab%7Cc").json["id"] == "a:b|c"
    location = api.call("POST /v2/entities", {"id": "x%y|z", "type": "A{B}"}).headers["Location"]
    assert location == "/v2/entities/x%25y%7Cz?type=A%7BB%7D"
    assert api.call(f"GET {location}").json == {"id": "x%y|z", "type": "A{B}"}


def test_append_changes_and_adds(room: EntitiesClient) -> None:
    body = {"temperature": {"value": 30}, "floor": {"value": 2, "type": "Level"}}
    assert room.call("POST /v2/entities/R1/attrs", body).status == 204
    entity = room.call("GET /v2/entities/R1").json
    assert entity["floor"] == {"type": "Level", "value": 2, "metadata": {}}
    # Metadata that a change does not name stays, as in Orion.
    assert entity["temperature"] == {"type": "Number", "value": 30, "metadata": ROOM["temperature"]["metadata"]}  # type: ignore[index]


def test_override_metadata_replaces_it(room: EntitiesClient) -> None:
    assert (
        room.call("PATCH /v2/entities/R1/attrs?options=overrideMetadata", {"temperature": {"value": 3}}).status == 204
    )
    assert room.call("GET /v2/entities/R1/attrs/temperature").json["metadata"] == {}


def test_update_changes_what_exists(room: EntitiesClient) -> None:
    assert room.call("PATCH /v2/entities/R1/attrs?options=keyValues&type=Room", {"name": "Lobby"}).status == 204
    assert room.call("GET /v2/entities/R1?options=keyValues").json == {
        "id": "R1",
        "type": "Room",
        "name": "Lobby",
        "temperature": 21.5,
    }


@pytest.mark.parametrize(("body", "names"), [({"x": {"value": 1}}, ["x"]), ({}, [])])
def test_replace_leaves_only_what_is_given(room: EntitiesClient, body: dict[str, object], names: list[str]) -> None:
    assert room.call("PUT /v2/entities/R1/attrs", body).status == 204
    assert list(room.call("GET /v2/entities/R1/attrs").json) == names


def test_delete_removes_the_entity(room: EntitiesClient) -> None:
    assert room.call("DELETE /v2/entities/R1").status == 204
    assert room.call("GET /v2/entities/R1").status == 404
    assert room.call("GET /v2/entities").json == []


def test_attribute_is_read_changed_and_deleted(room: EntitiesClient) -> None:
    url = "/v2/entities/R1/attrs/temperature"
    assert room.call(f"GET {url}").json == ROOM["temperature"]
    metadata = {"accuracy": {"value": 0.5}}
    assert room.call(f"PUT {url}", {"value": 22, "type": "Celsius", "metadata": metadata}).status == 204
    changed = room.call(f"GET {url}").json
    assert (changed["value"], changed["type"], sorted(changed["metadata"])) == (22, "Celsius", ["accuracy", "unit"])
    assert room.call(f"GET {url}?metadata=accuracy").json["metadata"] == {"accuracy": {"type": "Number", "value": 0.5}}
    assert room.call(f"DELETE {url}").status == 204
    assert room.call("GET /v2/entities/R1/attrs").json == {"name": ROOM["name"]}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('"on"', "on"),
        ('"caf\\u00e9"', "café"),
        ('"C:\\\\temp"', "C:\\temp"),
        ('""', ""),
        ("21.5", 21.5),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("true", True),
        ("false", False),
        ("null", None),
        (" 7\n", 7),
    ],
)
def test_value_of_a_scalar_travels_as_plain_text(room: EntitiesClient, sent: str, stored: object) -> None:
    url = "/v2/entities/R1/attrs/temperature"
    assert room.call(f"PUT {url}/value", text=sent, headers={"Content-Type": "text/plain; charset=utf-8"}).status == 204
    assert room.call(f"GET {url}").json == {**ROOM["temperature"], "value": stored}  # type: ignore[dict-item]
    answer = room.call(f"GET {url}/value", headers={"Accept": "text/plain"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
    assert room.call(f"PUT {url}/value", text=answer.text, headers={"Content-Type": "text/plain"}).status == 204
    assert room.call(f"GET {url}").json["value"] == stored


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html, text/plain;q=0.5, application/json", "text/plain"),
        ("application/*", "application/json"),
    ],
)
def test_value_of_a_structure_travels_as_what_is_accepted(
    room: EntitiesClient, accept: str | None, media_type: str
) -> None:
    url = "/v2/entities/R1/attrs/name/value"
    assert room.call(f"PUT {url}", {"a": [1, {"b": None}]}).status == 204
    answer = room.call(f"GET {url}", headers={"Accept": accept})
    assert (answer.text, answer.headers["Content-Type"]) == ('{"a":[1,{"b":null}]}', media_type)


def test_numbers_come_back_as_they_were_written(api: EntitiesClient) -> None:
    text = '{"id":"N","type":"T","big":{"value":98765432109876543210987654321},"float":{"value":1.0},"int":{"value":1}}'
    api.call("POST /v2/entities", text=text, headers={"Content-Type": "application/json"})
    answer = api.call("GET /v2/entities/N?options=keyValues")
    assert answer.text == '{"id":"N","type":"T","big":98765432109876543210987654321,"float":1.0,"int":1}'


def test_text_that_is_not_ascii_comes_back_as_it_was(api: EntitiesClient) -> None:
    api.create({"id": "U", "type": "T", "text": {"value": "Zürich 東京 🌊\n\t\u0000"}})
    assert api.call("GET /v2/entities/U?options=keyValues").json["text"] == "Zürich 東京 🌊\n\t\u0000"


def test_tenants_do_not_see_each_other(room: EntitiesClient) -> None:
    other = EntitiesClient("elsewhere")
    assert other.call("GET /v2/entities").json == []
    assert other.call("GET /v2/entities/R1").status == 404
    assert other.call("DELETE /v2/entities/R1?type=Room").status == 404
    assert room.call("GET /v2/entities/R1").status == 200


def test_service_paths_hold_separate_entities(api: EntitiesClient) -> None:
    for path in ("/", "/city", "/city/parks", "/cityhall"):
        api.create({"id": "E1", "type": "T", "at": {"value": path}}, path=path)

    def seen(header: str | None) -> list[str]:
        return [entity["at"] for entity in api.call("GET /v2/entities?options=keyValues", path=header).json]

    assert seen(None) == ["/", "/city", "/city/parks", "/cityhall"]
    assert seen("/#") == seen(None)
    assert seen("/") == ["/"]
    assert seen("/city") == ["/city"]
    assert seen("/city/") == ["/city"]
    assert seen("/city/#") == ["/city", "/city/parks"]
    assert seen("/cityhall, /city/parks/#") == ["/city/parks", "/cityhall"]
    assert api.call("GET /v2/entities/E1").status == 409
    assert api.call("GET /v2/entities/E1", path="/city").json["at"]["value"] == "/city"
    assert api.call("DELETE /v2/entities/E1", path="/city").status == 204
    assert seen(None) == ["/", "/city/parks", "/cityhall"]


def test_types_are_described(api: EntitiesClient) -> None:
    api.create(
        {"id": "C1", "type": "Car", "speed": {"value": 1}, "fuel": {"type": "gasoline", "value": 3}},
        {"id": "C2", "type": "Car", "fuel": {"type": "diesel", "value": 4}},
        {"id": "R1", "type": "Room"},
    )
    car = {"fuel": {"types": ["diesel", "gasoline"]}, "speed": {"types": ["Number"]}}
    assert api.call("GET /v2/types").json == [
        {"type": "Car", "attrs": car, "count": 2},
        {"type": "Room", "attrs": {}, "count": 1},
    ]
    assert api.call("GET /v2/types/Car").json == {"attrs": car, "count": 2}
    assert api.call("GET /v2/types/Car?options=noAttrDetail").json["attrs"]["fuel"] == {"types": []}
    named = api.call("GET /v2/types?options=values,count&limit=1&offset=1")
    assert (named.json, named.headers["Fiware-Total-Count"]) == (["Room"], "2")
    assert api.call("GET /v2/types/Boat").status == 404


def test_entry_points_are_listed(api: EntitiesClient) -> None:
    assert api.call("GET /v2").json == {
        f"{name}_url": f"/v2/{name}"
        for name in ("entities", "types", "subscriptions", "registrations", "snapshots", "restores", "schedules")
    }


def test_version_names_the_orion_that_clients_look_for(api: EntitiesClient) -> None:
    version = api.call("GET /version").json
    assert version["orion"]["version"].split(".")[0] == "3"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert version["tidemark"]["version"] == VERSION == project["version"]


@pytest.mark.parametrize("name", ["subscriptions", "registrations"])
def test_lists_that_are_always_empty_say_so_and_take_nothing(api: EntitiesClient, name: str) -> None:
    listed = api.call(f"GET /v2/{name}?options=count")
    assert (listed.json, listed.headers["Fiware-Total-Count"]) == ([], "0")
    rest.assert_error(api.call(f"POST /v2/{name}", {}), 501, "NotImplemented", "not supported")
