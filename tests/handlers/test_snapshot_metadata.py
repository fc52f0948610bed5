"""Labels, expiry and descriptions of snapshots over the REST API, and the lists that are chosen by them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest

from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.list_snapshots import handler as list_snapshots
from functions.ngsi.update_snapshot import handler as update_snapshot
from tests.fakes import ManualClock, MemoryPayloads
from tests.handlers.rest import Answer, assert_error, call, request, sample
from tidemark.domain.hold import Hold, HoldStatus
from tidemark.domain.live import FencingToken
from tidemark.domain.snapshot import CaptureId, Snapshot, SnapshotStatus, Trigger, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports

SMARTCITY = Tenant("smartcity")
TEN = datetime(2026, 1, 15, 10, tzinfo=UTC)
SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"
NOT_A_KEY = "can't be the key of a label"
OUT_OF_RANGE = "a minute at least and 3650 days at most"
NOT_A_DURATION = "ISO 8601 duration"


def create(body: object) -> Answer:
    return call(create_snapshot.handler, request("ngsi", "create_snapshot", body=body))


def update(body: object) -> Answer:
    return call(update_snapshot.handler, request("ngsi", "update_snapshot", body=body))


def get() -> Any:
    return call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json


def listed(**query: str) -> Answer:
    query = {"from" if name == "from_" else name: value for name, value in query.items()}
    return call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query))


def stored(ports: Ports, second: int = 0, **members: Any) -> Snapshot:
    created_at = TEN + timedelta(seconds=second, milliseconds=321)
    record = Snapshot(
        tenant=SMARTCITY,
        id=snapshot_id(created_at),
        created_at=created_at,
        capture_id=CaptureId("c" * 32),
        token=FencingToken(1),
        status=SnapshotStatus.COMPLETED,
    )
    return ports.catalog.add_snapshot(replace(record, **members))


# --- create


def test_create_keeps_labels_and_expiry_and_every_answer_shows_them(ports: Ports) -> None:
    said = {"labels": {"release": "2.1.0", "a/b:c.d-e_f+g@h": ""}, "expiresIn": "P1W2DT3H4M5S"}
    answer = create({"description": "d", **said})
    assert answer.status == 201
    shown = {"labels": said["labels"], "expiresAt": "2026-01-24T13:04:05Z"}
    assert answer.json | shown == answer.json
    assert list(answer.json)[:5] == ["id", "description", "createdAt", "entityCount", "status"]
    assert get() | shown == get()
    assert listed().json == [answer.json]


def test_create_shows_neither_labels_nor_expiry_when_there_are_none(ports: Ports) -> None:
    assert list(create({"labels": {}}).json) == ["id", "description", "createdAt", "entityCount", "status"]


@pytest.mark.parametrize(
    ("lifetime", "expires_at"),
    [
        ("PT1M", "2026-01-15T10:01:00Z"),
        ("PT60S", "2026-01-15T10:01:00Z"),
        ("PT90M", "2026-01-15T11:30:00Z"),
        ("P1W", "2026-01-22T10:00:00Z"),
        ("P3650D", "2036-01-13T10:00:00Z"),
        ("P0W1DT0H0M0S", "2026-01-16T10:00:00Z"),
    ],
)
def test_create_counts_the_expiry_from_its_own_moment(ports: Ports, lifetime: str, expires_at: str) -> None:
    assert create({"expiresIn": lifetime}).json["expiresAt"] == expires_at


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"labels": []}, "'labels' must be an object of strings; it is an array"),
        ({"labels": None}, "'labels' must be an object of strings; it is null"),
        ({"labels": {"a": 1}}, "the label 'a' must be a string; it is a number"),
        ({"labels": {"a": None}}, "the label 'a' must be a string; it is null"),
        ({"labels": {"": "x"}}, NOT_A_KEY),
        ({"labels": {"a b": "x"}}, NOT_A_KEY),
        ({"labels": {"a=b": "x"}}, NOT_A_KEY),
        ({"labels": {"a,b": "x"}}, NOT_A_KEY),
        ({"labels": {"ä": "x"}}, NOT_A_KEY),
        ({"labels": {"a\n": "x"}}, NOT_A_KEY),
        ({"labels": {"k" * 129: "x"}}, NOT_A_KEY),
        ({"labels": {"k": "x" * 257}}, "has 257 characters; at most 256"),
        ({"labels": {"k": "a\x00"}}, "U+0000"),
        ({"labels": {f"k{number}": "" for number in range(51)}}, "has 51 labels; at most 50"),
        ({"expiresIn": None}, "'expiresIn' must be a string such as 'P30D'; it is null"),
        ({"expiresIn": 86400}, "it is a number"),
        ({"expiresIn": ""}, NOT_A_DURATION),
        ({"expiresIn": "P"}, NOT_A_DURATION),
        ({"expiresIn": "PT"}, NOT_A_DURATION),
        ({"expiresIn": "P1DT"}, NOT_A_DURATION),
        ({"expiresIn": "P1Y"}, "a month or a year has no fixed length"),
        ({"expiresIn": "P1M"}, "a month or a year has no fixed length"),
        ({"expiresIn": "P1.5D"}, NOT_A_DURATION),
        ({"expiresIn": "-P1D"}, NOT_A_DURATION),
        ({"expiresIn": "p1d"}, NOT_A_DURATION),
        ({"expiresIn": "P1D "}, NOT_A_DURATION),
        ({"expiresIn": "P\u0661D"}, NOT_A_DURATION),
        ({"expiresIn": "PT59S"}, OUT_OF_RANGE),
        ({"expiresIn": "P0D"}, OUT_OF_RANGE),
        ({"expiresIn": "P3650DT1S"}, OUT_OF_RANGE),
        ({"expiresIn": "P999999999W"}, OUT_OF_RANGE),
        ({"expiresIn": "P" + "9" * 5000 + "D"}, NOT_A_DURATION),
        ({"expiresAt": "2027-01-01T00:00:00Z"}, "'expiresAt' is unknown; known are: description, expiresIn, labels"),
    ],
)
def test_create_writes_nothing_when_labels_or_expiry_are_wrong(ports: Ports, body: object, said: str) -> None:
    assert_error(create(body), 400, "BadRequest", said)
    assert list(ports.catalog.snapshots(SMARTCITY)) == []


def test_create_takes_as_many_and_as_long_labels_as_it_says(ports: Ports) -> None:
    labels = {f"{number:02d}".ljust(128, "k"): "x" * 150 for number in range(50)}
    assert create({"labels": labels}).json["labels"] == labels
    assert create({"labels": {"k": "🌊" * 256}}).status == 201


# --- update


def test_update_answers_no_content_and_changes_what_it_names(ports: Ports) -> None:
    stored(ports, description="old", labels={"gone": "1"})
    answer = call(update_snapshot.handler, sample("ngsi", "update_snapshot"))
    assert (answer.status, answer.text) == (204, "")
    shown = {
        "description": "Before the migration",
        "labels": {"release": "2.1.0", "env": "staging"},
        "expiresAt": "2026-02-14T10:00:00Z",
    }
    assert get() | shown == get()


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"description": "new"}, {"description": "new"}),
        ({"description": ""}, {"description": ""}),
        ({"description": None}, {"description": ""}),
        ({"labels": {"b": "2"}}, {"labels": {"b": "2"}}),
        ({"labels": {}}, {"labels": {}}),
        ({"labels": None}, {"labels": {}}),
        ({"expiresAt": None}, {"expires_at": None}),
        ({"expiresIn": None}, {"expires_at": None}),
        ({"expiresIn": "PT1H"}, {"expires_at": TEN + timedelta(hours=1)}),
        ({"expiresAt": "2026-01-15T12:00:00.999+01:00"}, {"expires_at": TEN + timedelta(hours=1)}),
        ({"pinned": True}, {"pinned": True}),
        ({"expiresAt": "2026-02-01"}, {"expires_at": datetime(2026, 2, 1, tzinfo=UTC)}),
        (
            {"expiresAt": "2026-02-01T00:00Z", "labels": None},
            {"expires_at": datetime(2026, 2, 1, tzinfo=UTC), "labels": {}},
        ),
    ],
)
def test_update_leaves_what_it_does_not_name(ports: Ports, body: object, changed: Mapping[str, Any]) -> None:
    before = stored(ports, description="old", labels={"a": "1"}, expires_at=TEN + timedelta(days=1))
    for _ in range(2):
        assert update(body).status == 204
        assert ports.catalog.snapshot(SMARTCITY, SNAPSHOT) == replace(before, version=2, **changed)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "changes nothing; it can have description, expiresAt, expiresIn, labels, legalHold, pinned"),
        ([], "an array"),
        ({"status": "completed"}, "'status' is unknown"),
        ({"description": 1}, "'description' must be a string; it is a number"),
        ({"labels": {"a b": ""}}, NOT_A_KEY),
        ({"legalHold": "ON"}, "'legalHold' must be true or false; it is a string"),
        ({"legalHold": True, "pinned": True}, "'legalHold' comes alone"),
        ({"pinned": "yes"}, "'pinned' must be true or false; it is a string"),
        ({"pinned": 1}, "'pinned' must be true or false; it is a number"),
        ({"expiresIn": "P1Y"}, NOT_A_DURATION),
        ({"expiresAt": 5}, "'expiresAt' must be a string; it is a number"),
        ({"expiresAt": "tomorrow"}, "must be a moment such as 2026-01-15T10:00:00Z"),
        ({"expiresAt": "2026-01-15T10:00:59Z"}, "a minute from now at the earliest"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "a minute from now at the earliest"),
        ({"expiresAt": "2046-01-01T00:00:00Z"}, "3650 days from now at the latest"),
        ({"expiresAt": None, "expiresIn": "P1D"}, "say the same; send one of them"),
    ],
)
def test_update_changes_nothing_when_the_body_is_wrong(ports: Ports, body: object, said: str) -> None:
    before = stored(ports)
    assert_error(update(body), 400, "BadRequest", said)
    assert list(ports.catalog.snapshots(SMARTCITY)) == [before]


@pytest.mark.parametrize(
    ("text", "headers", "status", "error"),
    [
        ("", {}, 400, "ParseError"),
        ("{", {}, 400, "ParseError"),
        ('{"description":"a"}', {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        ('{"description":"' + "x" * 20_000 + '"}', {}, 413, "RequestEntityTooLarge"),
    ],
)
def test_update_changes_nothing_when_the_request_is_wrong(
    ports: Ports, text: str, headers: Mapping[str, str | None], status: int, error: str
) -> None:
    before = stored(ports)
    answer = call(update_snapshot.handler, request("ngsi", "update_snapshot", text=text, headers=headers))
    assert_error(answer, status, error)
    assert list(ports.catalog.snapshots(SMARTCITY)) == [before]


@pytest.mark.parametrize(
    "members",
    [
        {"status": SnapshotStatus.CREATING},
        {"status": SnapshotStatus.FAILED},
        {"used_by": frozenset({"restore_2026-01-15T10-00-00Z"})},
        {"trigger": Trigger.SAFETY},
    ],
    ids=["creating", "failed", "restoring", "safety"],
)
def test_update_is_possible_in_every_state_that_people_see(ports: Ports, members: Mapping[str, Any]) -> None:
    stored(ports, **members)
    assert update({"labels": {"a": "1"}}).status == 204
    assert get()["labels"] == {"a": "1"}


def test_update_finds_nothing_when_the_snapshot_was_deleted(ports: Ports) -> None:
    stored(ports)
    call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    before = list(ports.catalog.snapshots(SMARTCITY))
    assert_error(update({"description": "x"}), 404, "NotFound", SNAPSHOT, "can be undeleted until")
    assert list(ports.catalog.snapshots(SMARTCITY)) == before


def test_pin_is_shown_as_long_as_it_lasts_and_refuses_a_deletion(ports: Ports) -> None:
    stored(ports)
    assert update({"pinned": True}).status == 204
    assert get()["pinned"] is True
    assert [one["pinned"] for one in listed().json] == [True]
    refused = call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    assert_error(refused, 409, "Conflict", f"snapshot {SNAPSHOT} is pinned", "unpin it first")
    assert update({"pinned": None}).status == 204
    assert "pinned" not in get()
    assert "pinned" not in listed().json[0]
    assert call(delete_snapshot.handler, sample("ngsi", "delete_snapshot")).status == 204


def test_pin_is_refused_when_the_snapshot_is_not_completed(ports: Ports) -> None:
    before = stored(ports, status=SnapshotStatus.FAILED)
    assert_error(update({"pinned": True, "description": "x"}), 409, "Conflict", "only a completed one can be pinned")
    assert list(ports.catalog.snapshots(SMARTCITY)) == [before]


def hold(value: object, actions: str = "hold,snapshot") -> Answer:
    event = request("ngsi", "update_snapshot", body={"legalHold": value})
    event["requestContext"]["authorizer"]["actions"] = actions
    return call(update_snapshot.handler, event)


@pytest.mark.parametrize("object_lock", [False, True])
def test_legal_hold_is_shown_as_long_as_it_lasts_and_refuses_a_deletion(
    ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
    object_lock: bool,
) -> None:
    monkeypatch.setenv("TIDEMARK_OBJECT_LOCK", "enabled" if object_lock else "disabled")
    made = create({}).json
    assert made["id"] == SNAPSHOT
    assert isinstance(ports.payloads, MemoryPayloads)
    for value in (True, True):
        assert hold(value).status == 204
        assert get()["legalHold"] is True
        assert [one["legalHold"] for one in listed().json] == [True]
        assert bool(ports.payloads.held) is object_lock
    refused = call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    assert_error(refused, 409, "Conflict", f"snapshot {SNAPSHOT} is under a legal hold", '{"legalHold": false}')
    for lifted in (None, False):
        assert hold(lifted).status == 204
        assert "legalHold" not in get()
        assert ports.payloads.held == set()
    assert call(delete_snapshot.handler, sample("ngsi", "delete_snapshot")).status == 204


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("actions", ["", "snapshot", "read,restore,snapshot,write", "holding"])
def test_legal_hold_is_for_keys_that_are_made_for_it(ports: Ports, actions: str, value: bool) -> None:
    before = stored(ports, hold=Hold(HoldStatus.PLACED, locked=False))
    assert_error(hold(value, actions), 403, "Forbidden", "not made for the action 'hold'")
    assert list(ports.catalog.snapshots(SMARTCITY)) == [before]


def test_key_of_an_operator_may_place_legal_holds(ports: Ports) -> None:
    stored(ports)
    assert hold(value=True, actions="admin").status == 204


def test_other_changes_need_no_key_for_legal_holds(ports: Ports) -> None:
    stored(ports)
    assert update({"pinned": True}).status == 204


# --- list


@pytest.fixture
def shelf(ports: Ports) -> Ports:
    """Snapshots of every kind; those that were deleted have been so for a moment."""
    stored(ports, 0, labels={"env": "staging", "release": "1"})
    stored(ports, 1, labels={"env": "production", "release": "1"}, status=SnapshotStatus.FAILED)
    stored(ports, 2, labels={"env": "a=b"}, trigger=Trigger.SAFETY)
    stored(ports, 3, status=SnapshotStatus.CREATING)
    stored(ports, 4, used_by=frozenset({"restore_2026-01-15T10-00-00Z"}), labels={"release": "2"})
    stored(
        ports,
        5,
        status=SnapshotStatus.DELETED,
        labels={"release": "1"},
        recycled_until=TEN + timedelta(days=1),
        deleted_at=TEN,
    )
    stored(ports, 6, status=SnapshotStatus.DELETED, recycled_until=TEN, deleted_at=TEN)
    stored(ports, 7, status=SnapshotStatus.PURGING)
    return ports


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"status": "completed"}, [2, 0]),
        ({"status": "failed"}, [1]),
        ({"status": "creating"}, [3]),
        ({"status": "restoring"}, [4]),
        ({"status": "deleted"}, [5]),
        ({"status": "deleted", "label": "release=1"}, [5]),
        ({"status": "deleted", "label": "release=2"}, []),
        ({"label": "release"}, [4, 1, 0]),
        ({"label": "release=1"}, [1, 0]),
        ({"label": "release=1,env"}, [1, 0]),
        ({"label": "release=1,env=staging"}, [0]),
        ({"label": "env,env=staging"}, [0]),
        ({"label": "env=staging,env"}, [0]),
        ({"label": "env=a=b"}, [2]),
        ({"label": "release="}, []),
        ({"label": "other"}, []),
        ({"trigger": "safety"}, [2]),
        ({"trigger": "manual"}, [4, 3, 1, 0]),
        ({"from": "2026-01-15T10:00:01Z"}, [4, 3, 2, 1]),
        ({"to": "2026-01-15T10:00:01Z"}, [0]),
        ({"from": "2026-01-15T11:00:01+01:00", "to": "2026-01-15T10:00:03Z"}, [2, 1]),
        ({"from": "2026-01-15T10:00:01.5Z", "to": "2026-01-15T10:00:03.5Z"}, [3, 2]),
        ({"from": "2026-01-15"}, [4, 3, 2, 1, 0]),
        ({"from": "2026-01-16"}, []),
        ({"from": "1970-01-01", "to": "9998-12-31T23:59:59.999999-12:00"}, [4, 3, 2, 1, 0]),
        ({"status": "completed", "label": "env", "trigger": "safety", "from": "2026-01-15T10:00:02Z"}, [2]),
        ({"limit": "1", "offset": "1", "label": "release"}, [1]),
    ],
)
def test_list_answers_those_of_which_all_holds(shelf: Ports, query: dict[str, str], seconds: list[int]) -> None:
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query={**query, "options": "count"}))
    assert [int(one["createdAt"][-3:-1]) for one in answer.json] == seconds
    assert int(answer.headers["Fiware-Total-Count"]) >= len(seconds)
    if "status" in query:
        assert {one["status"] for one in answer.json} <= {query["status"]}


def test_list_counts_what_fits_when_a_page_is_asked_for(shelf: Ports) -> None:
    answer = listed(label="release", limit="1", offset="1", options="count")
    assert answer.headers["Fiware-Total-Count"] == "3"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"status": ""}, "status must be one of creating, completed, failed, deleted, restoring"),
        ({"status": "Deleted"}, "it is 'Deleted'"),
        ({"status": "purging"}, "it is 'purging'"),
        ({"trigger": "cron"}, "trigger must be one of manual, safety, copy, import, scheduled; it is 'cron'"),
        ({"label": ""}, NOT_A_KEY),
        ({"label": "a,"}, NOT_A_KEY),
        ({"label": "=x"}, NOT_A_KEY),
        ({"label": "a b"}, NOT_A_KEY),
        ({"label": "a=1,a=2"}, "two values of 'a'"),
        ({"from": "yesterday"}, "parameter from must be a moment"),
        ({"from": ""}, "parameter from must be a moment"),
        ({"to": "2026-01-15T10:00:00"}, "with Z or an offset"),
        ({"to": "2026-01-15T10:00:00 01:00"}, "+ is written %2B"),
        ({"to": "2026-13-01T00:00:00Z"}, "parameter to must be a moment"),
        ({"to": "9999-12-31T23:59:59.999999Z"}, "parameter to must be a moment"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "parameter from must be a moment"),
        ({"from": "2026-01-15T10:00:00Z", "to": "2026-01-15T10:00:00Z"}, "from must be earlier than the parameter to"),
    ],
)
def test_list_is_refused_when_a_filter_is_wrong(shelf: Ports, query: dict[str, str], said: str) -> None:
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query))
    assert_error(answer, 400, "BadRequest", said)


def test_pages_cut_by_time_hold_every_snapshot_once(ports: Ports) -> None:
    for second in range(0, 600, 7):
        stored(ports, second)
    assert isinstance(ports.clock, ManualClock)
    cuts = [f"2026-01-15T10:0{minute}:{second:02d}Z" for minute in range(10) for second in (0, 21, 37)]
    pages = [
        [one["id"] for one in listed(from_=since, to=before, limit="1000").json]
        for since, before in pairwise([*cuts, "2026-01-15T10:10:00Z"])
    ]
    together = [name for page in reversed(pages) for name in page]
    assert together == [one["id"] for one in listed(limit="1000").json]
    assert len(together) == len(range(0, 600, 7))


def test_moments_may_be_percent_encoded(ports: Ports) -> None:
    stored(ports)
    assert len(listed(from_=unquote("2026-01-15T11%3A00%3A00%2B01%3A00")).json) == 1
