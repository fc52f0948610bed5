"""The endpoints of the snapshots, called as the REST API calls them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.list_snapshots import handler as list_snapshots
from functions.ngsi.restore_snapshot import handler as restore_snapshot
from functions.ngsi.undelete_snapshot import handler as undelete_snapshot
from functions.ngsi.update_snapshot import handler as update_snapshot
from functions.ngsi.verify_snapshot import handler as verify_snapshot
from tests.fakes import ManualClock, MemoryWorkflows
from tests.handlers.rest import assert_error, call, request, sample
from tidemark import bootstrap
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, FencingToken
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, SnapshotId, SnapshotStatus, Trigger, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.entities import change

SMARTCITY = Tenant("smartcity")
TEN = datetime(2026, 1, 15, 10, tzinfo=UTC)
SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"
RESTORE = "restore_2026-01-15T10-00-00Z"
CAPTURE = CaptureId("c" * 32)
BAD_IDS = ["nonsense", "snapshot_2026-01-15T10-00-00Z-1", "%00", "..%2F..%2Fetc", "%F0%9F%8C%8A", "x" * 2000, "%25"]


def stored(ports: Ports, created_at: datetime = TEN, tenant: Tenant = SMARTCITY, **members: Any) -> Snapshot:
    """A snapshot in the catalog, completed unless said otherwise."""
    record = Snapshot(
        tenant=tenant,
        id=snapshot_id(created_at),
        created_at=created_at,
        capture_id=CAPTURE,
        token=FencingToken(1),
        status=SnapshotStatus.COMPLETED,
        description="Pre-deployment backup",
        entity_count=1250,
    )
    return ports.catalog.add_snapshot(replace(record, **members))


def write_entities(ports: Ports, count: int, tenant: Tenant = SMARTCITY) -> None:
    keys = [EntityKey("Room", f"Room{number}", "/") for number in range(count)]
    docs = {key: f'{{"id":"{key.id}","type":"{key.type}"}}' for key in keys}
    change(ports, tenant, keys, lambda present: {key: docs[key] for key in present})


class HurriedClock(ManualClock):
    """A clock by which every look at it takes a second."""

    def monotonic_s(self) -> float:
        self.advance(1)
        return super().monotonic_s()


@pytest.fixture
def hurried(ports: Ports) -> Iterator[Ports]:
    """A world in which no capture fits the time budget of a request."""
    write_entities(ports, 3)
    with bootstrap.use(replace(ports, clock=HurriedClock())) as hurried:
        yield hurried


def snapshots_of(ports: Ports, tenant: Tenant = SMARTCITY) -> list[Snapshot]:
    return list(ports.catalog.snapshots(tenant))


# --- create


def test_create_answers_the_documented_members_in_order_when_the_capture_fits_its_budget(ports: Ports) -> None:
    write_entities(ports, 7)
    answer = call(create_snapshot.handler, sample("ngsi", "create_snapshot"))
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/snapshots/{SNAPSHOT}"
    assert answer.text == (
        '{"id":"snapshot_2026-01-15T10-00-00Z","description":"Pre-deployment backup",'
        '"createdAt":"2026-01-15T10:00:00Z","entityCount":7,"status":"completed"}'
    )


def test_create_answers_creating_when_the_capture_does_not_fit_its_budget(hurried: Ports) -> None:
    answer = call(create_snapshot.handler, sample("ngsi", "create_snapshot"))
    assert (answer.status, answer.json["status"]) == (201, "creating")
    assert isinstance(hurried.workflows, MemoryWorkflows)
    assert [started.subject for started in hurried.workflows.started] == [answer.json["id"]]


def test_create_makes_two_snapshots_when_asked_twice_in_one_second(ports: Ports) -> None:
    ids = [call(create_snapshot.handler, sample("ngsi", "create_snapshot")).json["id"] for _ in range(3)]
    assert ids == [SNAPSHOT, f"{SNAPSHOT}-2", f"{SNAPSHOT}-3"]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_create_makes_an_undescribed_snapshot_when_there_is_no_body(ports: Ports, text: str) -> None:
    answer = call(
        create_snapshot.handler, request("ngsi", "create_snapshot", text=text, headers={"Content-Type": None})
    )
    assert (answer.status, answer.json["description"]) == (201, "")


@pytest.mark.parametrize(
    "description", ["", "x" * 1024, "🌊" * 1024, "two\nlines\tand a tab", "Pre-deployment: v2.1.0 <(\"')>;="]
)
def test_create_keeps_the_description_as_it_is(ports: Ports, description: str) -> None:
    answer = call(create_snapshot.handler, request("ngsi", "create_snapshot", body={"description": description}))
    assert (answer.status, answer.json["description"]) == (201, description)
    assert [snapshot.description for snapshot in snapshots_of(ports)] == [description]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "an array"),
        ("text", "a string"),
        (7, "a number"),
        ({"description": None}, "'description' must be a string; it is null"),
        ({"description": 7}, "'description' must be a string; it is a number"),
        ({"description": {"a": 1}}, "'description' must be a string; it is an object"),
        ({"description": "x" * 1025}, "'description' has 1025 characters; at most 1024"),
        ({"description": "a\x00b"}, "U+0000"),
        ({"description": "a\rb"}, "U+000D"),
        ({"description": "a\x7f"}, "U+007F"),
        ({"description": "a", "descripton": "b"}, "'descripton' is unknown; known are: description"),
        ({"": 1}, "''"),
    ],
)
def test_create_writes_nothing_when_the_body_is_wrong(ports: Ports, body: object, said: str) -> None:
    answer = call(create_snapshot.handler, request("ngsi", "create_snapshot", body=body))
    assert_error(answer, 400, "BadRequest", said)
    assert snapshots_of(ports) == []


@pytest.mark.parametrize(
    ("text", "headers", "status", "error"),
    [
        ('{"description":', {}, 400, "ParseError"),
        ("null null", {}, 400, "ParseError"),
        ('{"description":"a"}', {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        ('{"description":"a"}', {"Content-Type": None}, 415, "UnsupportedMediaType"),
        ('{"description":"' + "x" * 20_000 + '"}', {}, 413, "RequestEntityTooLarge"),
        ('{"description":"a"}', {"Fiware-Service": "bad tenant"}, 400, "BadRequest"),
    ],
)
def test_create_writes_nothing_when_the_request_is_wrong(
    ports: Ports, text: str, headers: Mapping[str, str | None], status: int, error: str
) -> None:
    answer = call(create_snapshot.handler, request("ngsi", "create_snapshot", text=text, headers=headers))
    assert_error(answer, status, error)
    assert snapshots_of(ports) == []


@pytest.mark.usefixtures("hurried")
def test_create_is_a_conflict_that_names_the_running_snapshot() -> None:
    running = call(create_snapshot.handler, sample("ngsi", "create_snapshot")).json["id"]
    answer = call(create_snapshot.handler, sample("ngsi", "create_snapshot"))
    assert_error(answer, 409, "Conflict", running)
    assert answer.headers["Location"] == f"/v2/snapshots/{running}"


# --- list


def test_list_answers_the_documented_array_newest_first(ports: Ports) -> None:
    stored(ports, datetime(2026, 1, 10, 8, tzinfo=UTC), description="Weekly backup", entity_count=1180)
    stored(ports)
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query={}))
    assert answer.status == 200
    assert answer.text == (
        '[{"id":"snapshot_2026-01-15T10-00-00Z","description":"Pre-deployment backup",'
        '"createdAt":"2026-01-15T10:00:00Z","entityCount":1250,"status":"completed"},'
        '{"id":"snapshot_2026-01-10T08-00-00Z","description":"Weekly backup",'
        '"createdAt":"2026-01-10T08:00:00Z","entityCount":1180,"status":"completed"}]'
    )
    assert "Fiware-Total-Count" not in answer.headers


def test_list_is_empty_when_the_tenant_has_none(ports: Ports) -> None:
    stored(ports, tenant=Tenant("othercity"))
    answer = call(list_snapshots.handler, sample("ngsi", "list_snapshots"))
    assert (answer.text, answer.headers["Fiware-Total-Count"]) == ("[]", "0")


def test_list_answers_pages_and_the_total_when_asked(ports: Ports) -> None:
    for day in range(25):
        stored(ports, TEN + timedelta(days=day))

    def page(**query: str) -> tuple[list[str], str | None]:
        answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query))
        return [item["createdAt"][:10] for item in answer.json], answer.headers.get("Fiware-Total-Count")

    assert len(page()[0]) == 20
    assert page(limit="2", offset="1", options="count") == (["2026-02-07", "2026-02-06"], "25")
    assert page(limit="1000", options="keyValues,count")[1] == "25"
    assert page(offset="25", options="count") == ([], "25")
    assert page(unknown="parameter")[1] is None


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "1.0"},
        {"limit": "\u0661"},
        {"limit": "9" * 5000},
        {"offset": "-1"},
        {"offset": "x"},
        {"offset": " 1"},
        {"offset": "99999999999"},
    ],
)
def test_list_is_refused_when_the_pagination_is_bad(ports: Ports, query: dict[str, str]) -> None:
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query))
    assert_error(answer, 400, "BadRequest", f"bad pagination {next(iter(query))}")


# --- get


def test_get_answers_what_an_operator_wants_to_know(ports: Ports) -> None:
    stored(
        ports,
        trigger=Trigger.SAFETY,
        cut=Cut(3),
        raw_bytes=2_500_000,
        stored_bytes=180_000,
        new_bytes=1_200,
        parent_id=SnapshotId("snapshot_2026-01-10T08-00-00Z"),
        completed_at=TEN + timedelta(milliseconds=1234),
        restore_id=RESTORE,
    )
    answer = call(get_snapshot.handler, sample("ngsi", "get_snapshot"))
    assert answer.status == 200
    assert list(answer.json)[:5] == ["id", "description", "createdAt", "entityCount", "status"]
    assert answer.json == {
        "id": SNAPSHOT,
        "description": "Pre-deployment backup",
        "createdAt": "2026-01-15T10:00:00Z",
        "entityCount": 1250,
        "status": "completed",
        "interval": "manual",
        "trigger": "safety",
        "consistency": "point-in-time",
        "sizeBytes": 180_000,
        "newBytes": 1_200,
        "rawBytes": 2_500_000,
        "cut": 3,
        "parentId": "snapshot_2026-01-10T08-00-00Z",
        "completedAt": "2026-01-15T10:00:01.234Z",
        "restoreId": RESTORE,
    }


def test_get_says_why_when_the_snapshot_failed(ports: Ports) -> None:
    stored(ports, status=SnapshotStatus.FAILED, failure=Failure("Throttled", "the table was busy"))
    answer = call(get_snapshot.handler, sample("ngsi", "get_snapshot"))
    assert answer.json["status"] == "failed"
    assert answer.json["error"] == {"code": "Throttled", "description": "the table was busy"}


def test_get_says_restoring_while_a_restore_reads_it(ports: Ports) -> None:
    stored(ports, used_by=frozenset({RESTORE}))
    answer = call(get_snapshot.handler, sample("ngsi", "get_snapshot"))
    assert (answer.json["status"], answer.json["usedBy"]) == ("restoring", [RESTORE])


@pytest.mark.parametrize("path", [f"/v2/snapshots/{SNAPSHOT}/", "/v2/snapshots/snapshot%5F2026-01-15T10-00-00Z"])
def test_get_finds_the_snapshot_however_its_path_is_written(ports: Ports, path: str) -> None:
    stored(ports)
    assert call(get_snapshot.handler, request("ngsi", "get_snapshot", path=path)).json["id"] == SNAPSHOT


# --- delete


def test_delete_answers_no_content_and_the_snapshot_is_gone(ports: Ports) -> None:
    stored(ports)
    answer = call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    assert (answer.status, answer.text) == (204, "")
    assert_error(call(get_snapshot.handler, sample("ngsi", "get_snapshot")), 404, "NotFound", SNAPSHOT)
    assert_error(call(delete_snapshot.handler, sample("ngsi", "delete_snapshot")), 404, "NotFound", SNAPSHOT)
    assert call(list_snapshots.handler, sample("ngsi", "list_snapshots")).json == []


@pytest.mark.parametrize(
    "members", [{"used_by": frozenset({RESTORE})}, {"status": SnapshotStatus.CREATING}], ids=["restoring", "creating"]
)
def test_delete_is_a_conflict_while_the_snapshot_is_in_use(ports: Ports, members: Mapping[str, Any]) -> None:
    before = stored(ports, **members)
    assert_error(call(delete_snapshot.handler, sample("ngsi", "delete_snapshot")), 409, "Conflict", SNAPSHOT)
    assert snapshots_of(ports) == [before]


# --- the recycle bin


def days_pass(ports: Ports, days: float) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(days * 24 * 3600)


def test_deleted_snapshots_are_listed_when_they_are_asked_for(ports: Ports) -> None:
    stored(ports)
    kept = stored(ports, TEN + timedelta(seconds=1))
    days_pass(ports, 1)
    call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query={"status": "deleted"}))
    assert answer.text == (
        '[{"id":"snapshot_2026-01-15T10-00-00Z","description":"Pre-deployment backup",'
        '"createdAt":"2026-01-15T10:00:00Z","entityCount":1250,"status":"deleted","deletedAt":"2026-01-16T10:00:00.000Z",'
        '"recycledUntil":"2026-01-23T10:00:00.000Z"}]'
    )
    assert [one["id"] for one in call(list_snapshots.handler, sample("ngsi", "list_snapshots")).json] == [kept.id]
    days_pass(ports, 7)
    assert call(list_snapshots.handler, request("ngsi", "list_snapshots", query={"status": "deleted"})).json == []


def test_recycle_bin_is_listed_in_pages_and_counted(ports: Ports) -> None:
    for second in range(3):
        moment = TEN + timedelta(seconds=second)
        stored(ports, moment)
        path = f"/v2/snapshots/{snapshot_id(moment)}"
        assert call(delete_snapshot.handler, request("ngsi", "delete_snapshot", path=path)).status == 204
    query = {"status": "deleted", "limit": "1", "offset": "1", "options": "count"}
    answer = call(list_snapshots.handler, request("ngsi", "list_snapshots", query=query))
    assert [one["id"] for one in answer.json] == [snapshot_id(TEN + timedelta(seconds=1))]
    assert answer.headers["Fiware-Total-Count"] == "3"


def test_undelete_answers_the_snapshot_as_it_was(ports: Ports) -> None:
    write_entities(ports, 7)
    call(create_snapshot.handler, sample("ngsi", "create_snapshot"))
    before = call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json
    call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    answer = call(undelete_snapshot.handler, sample("ngsi", "undelete_snapshot"))
    assert (answer.status, answer.json) == (200, before)
    assert call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json == before


def test_deleted_snapshot_is_not_found_with_a_word_on_how_long_it_can_be_undeleted(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_RECYCLE_BIN_DAYS", "3")
    stored(ports)
    call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    answer = call(get_snapshot.handler, sample("ngsi", "get_snapshot"))
    assert_error(answer, 404, "NotFound", SNAPSHOT, "can be undeleted until 2026-01-18T10:00:00Z")
    days_pass(ports, 3)
    answer = call(get_snapshot.handler, sample("ngsi", "get_snapshot"))
    assert_error(answer, 404, "NotFound", "was deleted")
    assert "undeleted" not in answer.text


def test_undelete_is_a_conflict_when_the_snapshot_is_not_in_the_recycle_bin(ports: Ports) -> None:
    before = stored(ports)
    answer = call(undelete_snapshot.handler, sample("ngsi", "undelete_snapshot"))
    assert_error(answer, 409, "Conflict", SNAPSHOT, "is completed")
    assert snapshots_of(ports) == [before]
    call(delete_snapshot.handler, sample("ngsi", "delete_snapshot"))
    days_pass(ports, 7)
    answer = call(undelete_snapshot.handler, sample("ngsi", "undelete_snapshot"))
    assert_error(answer, 409, "Conflict", SNAPSHOT, "is over")


def test_undelete_finds_nothing_when_there_is_no_such_snapshot(ports: Ports) -> None:
    stored(ports, tenant=Tenant("harbour"), status=SnapshotStatus.DELETED)
    answer = call(undelete_snapshot.handler, sample("ngsi", "undelete_snapshot"))
    assert_error(answer, 404, "NotFound", SNAPSHOT)


# --- restore


def test_restore_answers_what_has_begun(ports: Ports) -> None:
    stored(ports)
    answer = call(restore_snapshot.handler, sample("ngsi", "restore_snapshot"))
    assert answer.status == 202
    assert answer.headers["Location"] == f"/v2/restores/{RESTORE}"
    assert answer.text == (
        f'{{"id":"{SNAPSHOT}","status":"restoring","restoredEntities":1250,"restoreId":"{RESTORE}"}}'
    )
    assert call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json["status"] == "restoring"


@pytest.mark.parametrize(
    ("body", "safety"),
    [
        (None, True),
        ({}, True),
        ({"safetySnapshot": True}, True),
        ({"safetySnapshot": False}, False),
        ({"mode": "replace", "safetySnapshot": False}, False),
    ],
)
def test_restore_keeps_a_safety_snapshot_unless_it_is_switched_off(
    ports: Ports, body: dict[str, object] | None, safety: bool
) -> None:
    stored(ports)
    assert call(restore_snapshot.handler, request("ngsi", "restore_snapshot", body=body)).status == 202
    assert ports.catalog.restore(SMARTCITY, RESTORE).safety_wanted is safety


@pytest.mark.parametrize(
    ("body", "status", "error", "said"),
    [
        ([], 400, "BadRequest", "an array"),
        ({"safetySnapshot": "no"}, 400, "BadRequest", "'safetySnapshot' must be true or false; it is a string"),
        ({"safetySnapshot": None}, 400, "BadRequest", "'safetySnapshot'"),
        ({"safetySnapshot": 0}, 400, "BadRequest", "'safetySnapshot'"),
        ({"mode": "other"}, 400, "BadRequest", "'mode' must be 'replace' or 'merge'"),
        ({"mode": 1}, 400, "BadRequest", "'mode' must be 'replace' or 'merge'; it is a number"),
        ({"mode": ["merge"]}, 400, "BadRequest", "'mode' must be 'replace' or 'merge'; it is an array"),
        ({"force": True}, 400, "BadRequest", "'force' is unknown; known are: dryRun, filter, mode, plan, safe"),
        ({"filter": "Room"}, 400, "BadRequest", "the body must be a JSON object"),
        ({"filter": {}}, 400, "BadRequest", "'filter' is empty; leave it out"),
        (
            {"filter": {"kind": "Room"}},
            400,
            "BadRequest",
            "'kind' is unknown; known are: attrs, id, idPattern",
        ),
        ({"filter": {"type": 1}}, 400, "BadRequest", "'type' of the filter must be a string"),
        ({"filter": {"type": "Room", "typePattern": "R"}}, 400, "BadRequest", "exclude each other"),
        ({"filter": {"idPattern": "("}}, 400, "BadRequest", "is not a valid regular expression"),
        ({"filter": {"idPattern": "(a*)*" * 300}}, 400, "BadRequest", "characters"),
        ({"filter": {"q": "a=="}}, 400, "BadRequest", "nothing to compare with"),
        ({"filter": {"attrs": []}}, 400, "BadRequest", "'attrs' of the filter must be an array of 1 to 100 names"),
        ({"filter": {"attrs": ["id"]}}, 400, "BadRequest", "'id' can't be the name of an attribute"),
        ({"target": "test"}, 400, "BadRequest", "'target' must be an object with the member 'service'"),
        ({"target": {"service": "a b"}}, 400, "BadRequest", "tenant 'a b' is not valid"),
        ({"target": {"service": "test"}}, 403, "Forbidden", "not made for tenant 'test'"),
        ({"dryRun": 1}, 400, "BadRequest", "'dryRun' must be true or false; it is a number"),
        ({"plan": 7}, 400, "BadRequest", "'plan' must be the id that a dry run gave"),
        ({"plan": "plan_1", "dryRun": True}, 400, "BadRequest", "excludes 'dryRun'"),
        ({"plan": "plan_1", "mode": "merge"}, 400, "BadRequest", "leave out 'mode'"),
        ({"plan": "plan_1"}, 404, "NotFound", "no plan 'plan_1'"),
    ],
)
def test_restore_writes_nothing_when_the_body_is_wrong(
    ports: Ports, body: object, status: int, error: str, said: str
) -> None:
    before = stored(ports)
    answer = call(restore_snapshot.handler, request("ngsi", "restore_snapshot", body=body))
    assert_error(answer, status, error, said)
    assert list(ports.catalog.restores(SMARTCITY)) == []
    assert snapshots_of(ports) == [before]


def test_restore_goes_to_another_tenant_that_the_key_holds(ports: Ports) -> None:
    before = stored(ports)
    event = request("ngsi", "restore_snapshot", body={"target": {"service": "test"}})
    event["requestContext"]["authorizer"]["tenants"] = "smartcity,test"
    answer = call(restore_snapshot.handler, event)
    assert answer.status == 202
    assert answer.json["service"] == "test"
    restore = ports.catalog.restore(Tenant("test"), RESTORE)
    assert (restore.source_tenant, restore.snapshot_id) == (SMARTCITY, before.id)
    assert list(ports.catalog.restores(SMARTCITY)) == []
    assert ports.catalog.snapshot(SMARTCITY, before.id).used_by == {f"{RESTORE}@test"}


def test_restore_is_a_conflict_that_names_the_running_restore(ports: Ports) -> None:
    stored(ports)
    call(restore_snapshot.handler, sample("ngsi", "restore_snapshot"))
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(5)
    answer = call(restore_snapshot.handler, sample("ngsi", "restore_snapshot"))
    assert_error(answer, 409, "Conflict", RESTORE)
    assert answer.headers["Location"] == f"/v2/restores/{RESTORE}"


@pytest.mark.parametrize("status", [SnapshotStatus.CREATING, SnapshotStatus.FAILED])
def test_restore_is_a_conflict_when_the_snapshot_is_not_completed(ports: Ports, status: SnapshotStatus) -> None:
    stored(ports, status=status)
    answer = call(restore_snapshot.handler, sample("ngsi", "restore_snapshot"))
    assert_error(answer, 409, "Conflict", SNAPSHOT)
    assert list(ports.catalog.restores(SMARTCITY)) == []


# --- every route with an id


ROUTES = [
    (get_snapshot, "get_snapshot", ""),
    (update_snapshot, "update_snapshot", ""),
    (delete_snapshot, "delete_snapshot", ""),
    (restore_snapshot, "restore_snapshot", "/restore"),
    (verify_snapshot, "verify_snapshot", "/verify"),
]


@pytest.mark.parametrize(("function", "event", "end"), ROUTES, ids=[route[1] for route in ROUTES])
@pytest.mark.parametrize("name", [*BAD_IDS, "snapshot_2020-01-01T00-00-00Z", f"{SNAPSHOT}-2"])
def test_snapshot_is_not_found_when_its_id_is_unknown_or_malformed(
    ports: Ports, function: Any, event: str, end: str, name: str
) -> None:
    before = stored(ports)
    answer = call(function.handler, request("ngsi", event, path=f"/v2/snapshots/{name}{end}"))
    assert_error(answer, 404, "NotFound")
    assert len(answer.text) < 400
    assert snapshots_of(ports) == [before]


@pytest.mark.parametrize(("function", "event", "end"), ROUTES, ids=[route[1] for route in ROUTES])
def test_snapshot_of_another_tenant_is_not_found(ports: Ports, function: Any, event: str, end: str) -> None:
    before = stored(ports, tenant=Tenant("othercity"))
    assert_error(call(function.handler, sample("ngsi", event)), 404, "NotFound")
    assert snapshots_of(ports, Tenant("othercity")) == [before]


@pytest.mark.parametrize("tenant", ["bad tenant", "a" * 51, "x/y"])
@pytest.mark.parametrize(("function", "event", "end"), ROUTES, ids=[route[1] for route in ROUTES])
def test_request_is_refused_when_the_tenant_is_bad(
    ports: Ports, function: Any, event: str, end: str, tenant: str
) -> None:
    before = stored(ports)
    answer = call(function.handler, request("ngsi", event, headers={"Fiware-Service": tenant}))
    assert_error(answer, 400, "BadRequest", "tenant")
    assert snapshots_of(ports) == [before]
