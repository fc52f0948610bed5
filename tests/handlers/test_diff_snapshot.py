"""Comparing a snapshot through its function: what is asked for, and how the answer tells what differs."""

import pytest

from functions.ngsi.diff_snapshot.handler import handler
from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tests.handlers.rest import Answer, assert_error
from tidemark.dialects.ngsi import listing
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases import read_inside
from tidemark.usecases.create_snapshot import create_snapshot

TENANT = Tenant("smartcity")
MISSING = "snapshot_2020-01-01T00-00-00Z"


def get(snapshot: str, query: str = "with=live", path: str | None = None) -> Answer:
    event = rest.request(
        "ngsi",
        "diff_snapshot",
        path=f"/v2/snapshots/{snapshot}/diff",
        query=dict(pair.split("=", 1) for pair in query.split("&") if pair),
        headers={"Fiware-ServicePath": path},
    )
    return rest.call(handler, event)


@pytest.fixture
def snapshots(ports: Ports) -> list[str]:
    """Two, between which a room was created, one was updated, one was deleted, and a tree grew in a park."""
    read_inside.forget()
    client = EntitiesClient()
    client.create(
        {"id": "Room1", "type": "Room", "temperature": {"value": 20}, "old": {"value": 1}, "floor": {"value": 2}},
        {"id": "Room2", "type": "Room", "temperature": {"value": 20}},
        {"id": "Car1", "type": "Car", "speed": {"value": 50}},
    )
    client.create({"id": "Tree1", "type": "Tree", "height": {"value": 9}}, path="/parks")
    first = create_snapshot(ports, TENANT).id
    room = {"temperature": {"value": 21}, "floor": {"value": 2}, "new": {"value": "x"}}
    client.call("PUT /v2/entities/Room1/attrs", room)
    client.call("DELETE /v2/entities/Room2")
    client.create({"id": "Room3", "type": "Room"})
    client.call("PUT /v2/entities/Tree1/attrs", {"height": {"value": 10}}, path="/parks")
    return [first, create_snapshot(ports, TENANT).id]


def number(value: int) -> dict[str, object]:
    return {"type": "Number", "value": value, "metadata": {}}


ROOM1 = {
    "id": "Room1",
    "type": "Room",
    "servicePath": "/",
    "change": "updated",
    "attributes": {
        "new": {"new": {"type": "Text", "value": "x", "metadata": {}}},
        "old": {"old": number(1)},
        "temperature": {"old": number(20), "new": number(21)},
    },
}
ROOM2 = {"id": "Room2", "type": "Room", "servicePath": "/", "change": "deleted"}
ROOM3 = {"id": "Room3", "type": "Room", "servicePath": "/", "change": "created"}
TREE1 = {
    "id": "Tree1",
    "type": "Tree",
    "servicePath": "/parks",
    "change": "updated",
    "attributes": {"height": {"old": number(9), "new": number(10)}},
}


def test_diff_tells_updated_entities_attribute_by_attribute(snapshots: list[str]) -> None:
    first, second = snapshots
    for other in ("live", second):
        answer = get(first, f"with={other}")
        assert answer.status == 200
        assert answer.json == {
            "from": first,
            "to": other,
            "counts": {"created": 1, "updated": 2, "deleted": 1},
            "entities": [ROOM1, ROOM2, ROOM3, TREE1],
        }
    back = get(second, f"with={first}").json
    assert back["counts"] == {"created": 1, "updated": 2, "deleted": 1}
    assert [(one["id"], one["change"]) for one in back["entities"]] == [
        ("Room1", "updated"),
        ("Room2", "created"),
        ("Room3", "deleted"),
        ("Tree1", "updated"),
    ]
    assert back["entities"][0]["attributes"]["old"] == {"new": number(1)}


@pytest.mark.parametrize(
    ("query", "path", "counts", "named", "total"),
    [
        ("type=Room", None, (1, 1, 1), ["Room1", "Room2", "Room3"], 3),
        ("type=Room,Tree&change=updated", None, (1, 2, 1), ["Room1", "Tree1"], 2),
        ("type=" + ",".join(f"T{n}" for n in range(20)) + ",Tree", None, (0, 1, 0), ["Tree1"], 1),
        ("change=created,deleted", None, (1, 2, 1), ["Room2", "Room3"], 2),
        ("limit=2&offset=1", None, (1, 2, 1), ["Room2", "Room3"], 4),
        ("offset=100", None, (1, 2, 1), [], 4),
        ("limit=0", None, (1, 2, 1), [], 4),
        ("type=Boat", None, (0, 0, 0), [], 0),
        ("", "/parks", (0, 1, 0), ["Tree1"], 1),
        ("", "/", (1, 1, 1), ["Room1", "Room2", "Room3"], 3),
    ],
)
def test_diff_is_narrowed_by_type_change_path_and_page(
    snapshots: list[str], query: str, path: str | None, counts: tuple[int, ...], named: list[str], total: int
) -> None:
    answer = get(snapshots[0], f"with=live&options=count&{query}", path)
    assert tuple(answer.json["counts"].values()) == counts
    assert [one["id"] for one in answer.json["entities"]] == named
    assert answer.headers["Fiware-Total-Count"] == str(total)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "with=live"),
        ("with=", 400, "with=live"),
        ("with=yesterday", 404, "yesterday"),
        (f"with={MISSING}", 404, MISSING),
        ("with=live&change=moved", 400, "created, updated, deleted"),
        ("with=live&change=", 400, "created, updated, deleted"),
        ("with=live&type=", 400, "type"),
        ("with=live&limit=0", 400, "limit"),
    ],
)
def test_diff_is_refused_with_a_word_on_what_to_ask_for(
    snapshots: list[str], query: str, status: int, words: str
) -> None:
    answer = get(snapshots[0], query)
    assert answer.status == status
    assert words in answer.json["description"]


def test_diff_of_a_snapshot_that_is_not_there_is_refused(snapshots: list[str]) -> None:
    assert snapshots
    assert_error(get(MISSING), 404, "NotFound", MISSING)


def test_diff_that_is_too_large_for_one_answer_is_refused(
    snapshots: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_ANSWER_BYTES", 100)
    assert get(snapshots[0]).status == 413


def test_diff_answers_the_sample_event(ports: Ports) -> None:
    EntitiesClient().create({"id": "Room1", "type": "Room"})
    assert create_snapshot(ports, TENANT).id in rest.sample("ngsi", "diff_snapshot")["path"]
    answer = rest.call(handler, rest.sample("ngsi", "diff_snapshot"))
    assert (answer.status, answer.json["entities"]) == (200, [])
