"""Reading snapshots through their function: entities as they were, and an entity's history."""

from dataclasses import replace

import pytest

from functions.ngsi.read_inside.handler import handler
from tests.driving import damage, packs
from tests.fakes import ManualClock
from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tests.handlers.rest import Answer, assert_error
from tests.handlers.test_entity_queries import ROOMS
from tidemark.dialects.ngsi import listing
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import tables
from tidemark.ports import Ports
from tidemark.usecases import entity_history, read_inside
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot

TENANT = Tenant("smartcity")
LIST = "/v2/snapshots/{snapshotId}/entities"
ONE = "/v2/snapshots/{snapshotId}/entities/{entityId}"
HISTORY = "/v2/entities/{entityId}/history"
MISSING = "snapshot_2020-01-01T00-00-00Z"
QUERIES = [
    "",
    "type=Room",
    "type=Car,Robot",
    "type=Boat",
    "id=Room1",
    "id=Room1&type=Robot",
    "id=Room1,Car1,none",
    "idPattern=^Room[0-1]$",
    "typePattern=^R&options=keyValues,count",
    "q=temperature>=19;floor==0",
    "mq=charge.unit==P1",
    "type=Room&orderBy=!temperature&limit=2",
    "type=Room&orderBy=floor,!id&offset=1&limit=3&options=count",
    "limit=2&offset=5&options=count,values",
    "options=unique&attrs=floor",
    "attrs=charge&metadata=unit",
    "offset=100&options=count",
    "unheardOf=1&limit=1",
]


@pytest.fixture
def live(ports: Ports) -> EntitiesClient:
    client = EntitiesClient()
    client.create(
        *(
            {"id": f"Room{n}", "type": "Room", "temperature": {"value": 18 + n}, "floor": {"value": n % 2}}
            for n in range(5)
        ),
        {"id": "Car1", "type": "Car", "speed": {"value": 50}},
        {"id": "Room1", "type": "Robot", "charge": {"value": 0.5, "metadata": {"unit": {"value": "P1"}}}},
    )
    client.create({"id": "Tree1", "type": "Tree", "height": {"value": 9}}, path="/parks/south")
    return client


def get(
    route: str, *, snapshot: str = MISSING, entity: str = "Room1", query: str = "", path: str | None = None
) -> Answer:
    url = route.replace("{snapshotId}", snapshot).replace("{entityId}", entity)
    event = rest.request(
        "ngsi",
        "read_inside",
        path=url,
        query=dict(pair.split("=", 1) for pair in query.split("&") if pair),
        headers={"Fiware-ServicePath": path},
    )
    event["resource"] = route
    return rest.call(handler, event)


def wreck(client: EntitiesClient) -> None:
    everything = [{"id": one["id"], "type": one["type"]} for one in client.call("GET /v2/entities").json]
    client.call("POST /v2/op/update", {"actionType": "delete", "entities": everything})
    client.create({"id": "Room9", "type": "Room"})


def test_lists_inside_a_snapshot_are_those_that_were_live(live: EntitiesClient, ports: Ports) -> None:
    expected = {query: live.call(f"GET /v2/entities?{query.replace('>', '%3E')}") for query in QUERIES}
    paths = {path: live.call("GET /v2/entities", path=path) for path in ("/", "/parks/#", "/parks", "/parks/south,/")}
    snapshot = create_snapshot(ports, TENANT).id
    wreck(live)
    for query, answer in expected.items():
        inside = get(LIST, snapshot=snapshot, query=query)
        assert (inside.status, inside.text) == (200, answer.text), query
        assert inside.headers.get("Fiware-Total-Count") == answer.headers.get("Fiware-Total-Count")
    for path, answer in paths.items():
        assert get(LIST, snapshot=snapshot, path=path).text == answer.text
    assert [one["id"] for one in get(LIST, snapshot=snapshot, query="type=Room").json] == ROOMS


def test_one_entity_inside_a_snapshot_is_as_it_was(live: EntitiesClient, ports: Ports) -> None:
    lines = ["Car1", "Room1?type=Robot", "Room2?options=keyValues&attrs=floor", "Tree1"]
    expected = [live.call(f"GET /v2/entities/{line}") for line in lines]
    snapshot = create_snapshot(ports, TENANT).id
    wreck(live)
    for line, answer in zip(lines, expected, strict=True):
        entity, _, query = line.partition("?")
        assert get(ONE, snapshot=snapshot, entity=entity, query=query).text == answer.text
    assert_error(get(ONE, snapshot=snapshot, entity="Room1"), 409, "TooManyResults", "Robot", "Room")
    assert_error(get(ONE, snapshot=snapshot, entity="Room9"), 404, "NotFound", "Room9")
    assert_error(get(ONE, snapshot=snapshot, entity="Car1", query="type=Room"), 404, "NotFound", "of type 'Room'")
    assert_error(get(ONE, snapshot=snapshot, entity="Tree1", path="/"), 404, "NotFound")


@pytest.mark.parametrize("route", [LIST, ONE])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("options=count,nonsense", "nonsense"),
        ("options=keyValues,values", "exclude each other"),
        ("attrs=,", "empty name"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_read(
    route: str, query: str, said: str, live: EntitiesClient
) -> None:
    assert_error(get(route, query=query), 400, "BadRequest", said)


@pytest.mark.parametrize(
    ("query", "said"),
    [("limit=0", "limit"), ("idPattern=(", "regular expression"), ("q=", "empty"), ("id=a&idPattern=b", "exclude")],
)
def test_bad_parameters_of_lists_are_refused(query: str, said: str, live: EntitiesClient) -> None:
    assert_error(get(LIST, query=query), 400, "BadRequest", said)


@pytest.mark.parametrize("route", [LIST, ONE])
def test_snapshot_that_is_not_there_is_not_found(route: str, live: EntitiesClient, ports: Ports) -> None:
    assert_error(get(route), 404, "NotFound", MISSING)
    assert_error(get(route, snapshot="nonsense"), 404, "NotFound", "nonsense")
    snapshot = create_snapshot(ports, TENANT).id
    delete_snapshot(ports, TENANT, snapshot)
    assert_error(get(route, snapshot=snapshot), 404, "NotFound", "was deleted", "undeleted")


@pytest.mark.parametrize("route", [LIST, ONE])
@pytest.mark.parametrize(("status", "said"), [("creating", "still being made"), ("failed", "failed")])
def test_snapshot_that_is_not_completed_is_a_conflict(
    route: str, status: str, said: str, live: EntitiesClient, ports: Ports
) -> None:
    snapshot = create_snapshot(ports, TENANT)
    stored = ports.catalog.snapshot(TENANT, snapshot.id)
    ports.catalog.replace_snapshot(replace(stored, status=SnapshotStatus(status)))
    assert_error(get(route, snapshot=snapshot.id), 409, "Conflict", snapshot.id, said)


def test_answer_that_takes_too_long_is_refused_with_what_to_narrow(
    live: EntitiesClient, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = create_snapshot(ports, TENANT).id
    clock = ports.clock
    assert isinstance(clock, ManualClock)
    read_range = ports.payloads.get_range

    def slowly(key: str, offset: int, length_bytes: int) -> bytes:
        clock.advance(read_inside.READ_BUDGET_S)
        return read_range(key, offset, length_bytes)

    monkeypatch.setattr(ports.payloads, "get_range", slowly)
    for route, *said in (
        (LIST, snapshot, "exact types", "offset"),
        (ONE, snapshot, "name the entity's type"),
        (HISTORY, "Room1", "limit", "from and to"),
    ):
        tables.forget()
        assert_error(get(route, snapshot=snapshot), 413, "RequestEntityTooLarge", *said)


def test_damage_is_a_failure_of_the_service_and_not_of_the_request(live: EntitiesClient, ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT).id
    for pack in packs(ports):
        damage(ports, pack, 9)
    for route in (LIST, ONE):
        assert_error(get(route, snapshot=snapshot), 500, "InternalServerError", "correlation id")


def test_answer_that_is_too_large_is_refused(
    live: EntitiesClient, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = create_snapshot(ports, TENANT).id
    monkeypatch.setattr(listing, "MAX_ANSWER_BYTES", 300)
    assert_error(get(LIST, snapshot=snapshot), 413, "RequestEntityTooLarge", "limit")


@pytest.fixture
def story(live: EntitiesClient, ports: Ports) -> list[str]:
    """Four snapshots, a minute apart: Room2 as at first, warmer and without a floor, the same, gone."""
    clock = ports.clock
    assert isinstance(clock, ManualClock)
    snapshots: list[str] = []
    for number in range(4):
        if number == 1:
            live.call("PUT /v2/entities/Room2/attrs", {"temperature": {"value": 30}, "note": {"value": "hot"}})
        if number == 3:
            live.call("DELETE /v2/entities/Room2")
        snapshots.append(create_snapshot(ports, TENANT, description=f"number {number}").id)
        clock.advance(60)
    return snapshots


def test_history_tells_what_became_of_an_entity(story: list[str]) -> None:
    told = get(HISTORY, entity="Room2").json
    assert [one["snapshotId"] for one in told] == [story[3], story[1], story[0]]
    assert [one["change"] for one in told] == ["deleted", "updated", "created"]
    assert told[0] == {
        "snapshotId": story[3],
        "description": "number 3",
        "createdAt": "2026-01-15T10:03:00Z",
        "change": "deleted",
        "type": "Room",
        "servicePath": "/",
    }
    assert told[1]["changedAttributes"] == ["floor", "note", "temperature"]
    assert told[1]["entity"] == get(ONE, snapshot=story[2], entity="Room2").json
    assert "changedAttributes" not in told[2]
    assert told[2]["entity"]["temperature"]["value"] == 20


def test_history_is_paged_filtered_and_rendered_as_asked(story: list[str]) -> None:
    def ids(query: str, entity: str = "Room2", path: str | None = None) -> list[str]:
        return [one["snapshotId"] for one in get(HISTORY, entity=entity, query=query, path=path).json]

    assert ids("limit=1") == [story[3]]
    assert ids("limit=1&offset=1") == [story[1]]
    assert ids("offset=9") == []
    assert ids("type=Room&from=2026-01-15T10:01:00Z&to=2026-01-15T10:03:00Z") == [story[1]]
    assert ids("from=2026-01-15T10:02:00Z&to=2026-01-15T10:03:00Z") == []
    assert ids("from=2026-01-15&to=2026-01-16") == ids("from=2026-01-15T00:00:00Z&to=2026-01-16T00:00:00Z") != []
    assert ids("", entity="Tree1", path="/parks/#") == [story[0]]
    assert [one["type"] for one in get(HISTORY, entity="Room1").json] == ["Robot", "Room"]
    counted = get(HISTORY, entity="Room2", query="limit=1&offset=1&options=count,keyValues&attrs=note")
    assert counted.headers["Fiware-Total-Count"] == "3"
    assert [one["entity"] for one in counted.json] == [{"id": "Room2", "type": "Room", "note": "hot"}]


@pytest.mark.parametrize(
    ("entity", "query", "path"), [("nobody", "", None), ("Room2", "type=Car", None), ("Tree1", "options=count", "/")]
)
def test_history_of_what_no_snapshot_has_is_not_found(
    entity: str, query: str, path: str | None, story: list[str]
) -> None:
    assert story
    assert_error(get(HISTORY, entity=entity, query=query, path=path), 404, "NotFound", entity)


def test_history_looks_no_further_than_its_page(
    story: list[str], ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entity_history, "_AT_ONCE", 1)
    whole, read = ports.payloads.get, []

    def get_whole(key: str) -> bytes:
        read.append(key)
        return whole(key)

    monkeypatch.setattr(ports.payloads, "get", get_whole)
    for query, manifests in (("limit=1", 2), ("limit=1&options=count", 4)):
        read_inside.forget()
        read.clear()
        get(HISTORY, entity="Room2", query=query)
        assert len([key for key in read if "/manifests/" in key]) == manifests
    assert len(story) == manifests


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-32", "2026-01-15T10:00:00", ""])
@pytest.mark.parametrize("name", ["from", "to"])
def test_moment_without_a_zone_or_sense_is_refused(name: str, moment: str, ports: Ports) -> None:
    assert_error(get(HISTORY, query=f"{name}={moment}"), 400, "BadRequest", name, "2026-01-15T10:00:00Z")


def test_sample_event_lists_the_rooms_of_its_snapshot(live: EntitiesClient, ports: Ports) -> None:
    assert create_snapshot(ports, TENANT).id in rest.sample("ngsi", "read_inside")["path"]
    answer = rest.call(handler, rest.sample("ngsi", "read_inside"))
    assert [one["id"] for one in answer.json] == ROOMS
