"""Listing, following and cancelling restores, called as the REST API calls them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.ngsi.cancel_restore import handler as cancel_restore
from functions.ngsi.get_restore import handler as get_restore
from functions.ngsi.list_restores import handler as list_restores
from tests.handlers.rest import assert_error, call, request, sample
from tidemark.domain.live import FencingToken, Generation
from tidemark.domain.restore import Phase, Restore, RestoreId, RestoreStatus, StagedPart
from tidemark.domain.snapshot import Failure, SnapshotId, restore_id
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports

SMARTCITY = Tenant("smartcity")
BEGUN = datetime(2026, 1, 15, 10, 5, tzinfo=UTC)
RESTORE = "restore_2026-01-15T10-05-00Z"
SNAPSHOT = SnapshotId("snapshot_2026-01-15T10-00-00Z")
SAFETY = SnapshotId("snapshot_2026-01-15T10-05-09Z")


def stored(ports: Ports, created_at: datetime = BEGUN, tenant: Tenant = SMARTCITY, **members: Any) -> Restore:
    """A restore in the catalog, in phase Plan unless said otherwise."""
    record = Restore(
        tenant=tenant,
        id=RestoreId(restore_id(created_at)),
        snapshot_id=SNAPSHOT,
        created_at=created_at,
        owner="0" * 32,
        token=FencingToken(2),
        generation=Generation(2),
        from_generation=Generation(1),
        total=1250,
    ).entering(Phase.PLAN, created_at)
    return ports.catalog.add_restore(replace(record, **members))


def stage(ports: Ports, *records: int) -> None:
    for part, count in enumerate(records):
        ports.catalog.record_part(SMARTCITY, RESTORE, StagedPart(part, count, ()))


def test_get_answers_how_far_the_restore_is(ports: Ports) -> None:
    planned = stored(ports)
    ports.catalog.replace_restore(planned.entering(Phase.STAGE, BEGUN + timedelta(milliseconds=789)))
    stage(ports, 500, 225)
    answer = call(get_restore.handler, sample("ngsi", "get_restore"))
    assert answer.status == 200
    assert answer.json == {
        "id": RESTORE,
        "snapshotId": SNAPSHOT,
        "status": "restoring",
        "mode": "replace",
        "phase": "Stage",
        "done": 725,
        "total": 1250,
        "percent": 58,
        "createdAt": "2026-01-15T10:05:00Z",
        "phases": [
            {"phase": "Plan", "startedAt": "2026-01-15T10:05:00.000Z"},
            {"phase": "Stage", "startedAt": "2026-01-15T10:05:00.789Z"},
        ],
    }


def test_get_answers_how_the_restore_ended(ports: Ports) -> None:
    stored(
        ports,
        status=RestoreStatus.COMPLETED,
        phase=Phase.RETIRE,
        safety_snapshot_id=SAFETY,
        finished_at=BEGUN + timedelta(seconds=12, microseconds=345_678),
    )
    answer = call(get_restore.handler, sample("ngsi", "get_restore")).json
    assert (answer["status"], answer["done"], answer["percent"]) == ("completed", 1250, 100)
    assert (answer["safetySnapshotId"], answer["finishedAt"]) == (SAFETY, "2026-01-15T10:05:12.345Z")


def test_get_says_why_when_the_restore_failed(ports: Ports) -> None:
    failure = Failure("PackCorrupt", "pack smartcity/packs/c/00-0.pack has the wrong checksum")
    stored(ports, status=RestoreStatus.FAILED, phase=Phase.ROLLBACK, failure=failure)
    answer = call(get_restore.handler, sample("ngsi", "get_restore")).json
    assert answer["error"] == {"code": failure.code, "description": failure.message}
    assert answer["percent"] == 0


@pytest.mark.parametrize("code", ["AwsFailure", "KeyError", "States.Timeout", "annotations", "TidemarkErrors"])
def test_get_hides_the_sentence_when_tidemark_did_not_write_it_for_callers(ports: Ports, code: str) -> None:
    stored(ports, status=RestoreStatus.FAILED, phase=Phase.ROLLBACK, failure=Failure(code, "arn:aws:states:::x"))
    error = call(get_restore.handler, sample("ngsi", "get_restore")).json["error"]
    assert error["code"] == code
    assert "arn:aws" not in error["description"]


def test_percent_stays_below_100_until_the_restore_is_completed(ports: Ports) -> None:
    stored(ports, phase=Phase.PRESERVE)
    stage(ports, 1250)
    answer = call(get_restore.handler, sample("ngsi", "get_restore")).json
    assert (answer["done"], answer["total"], answer["percent"]) == (1250, 1250, 99)


@pytest.mark.parametrize(("status", "percent"), [(RestoreStatus.RESTORING, 0), (RestoreStatus.COMPLETED, 100)])
def test_percent_is_defined_when_the_snapshot_is_empty(ports: Ports, status: RestoreStatus, percent: int) -> None:
    stored(ports, total=0, status=status)
    assert call(get_restore.handler, sample("ngsi", "get_restore")).json["percent"] == percent


def test_list_answers_newest_first_in_pages(ports: Ports) -> None:
    for minute in range(3):
        stored(ports, BEGUN + timedelta(minutes=minute), status=RestoreStatus.COMPLETED)
    stored(ports, tenant=Tenant("othercity"))
    query = {"limit": "2", "options": "count"}
    answer = call(list_restores.handler, request("ngsi", "list_restores", query=query))
    assert [item["createdAt"] for item in answer.json] == ["2026-01-15T10:07:00Z", "2026-01-15T10:06:00Z"]
    assert answer.headers["Fiware-Total-Count"] == "3"


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "a"}, {"offset": "-1"}])
def test_list_is_refused_when_the_pagination_is_bad(ports: Ports, query: dict[str, str]) -> None:
    answer = call(list_restores.handler, request("ngsi", "list_restores", query=query))
    assert_error(answer, 400, "BadRequest", f"bad pagination {next(iter(query))}")


def test_cancel_is_accepted_before_the_cutover(ports: Ports) -> None:
    stored(ports)
    for _ in range(2):
        answer = call(cancel_restore.handler, sample("ngsi", "cancel_restore"))
        assert (answer.status, answer.json["status"]) == (202, "restoring")
        assert answer.headers["Location"] == f"/v2/restores/{RESTORE}"
    assert ports.catalog.restore(SMARTCITY, RESTORE).cancel_requested


@pytest.mark.parametrize(
    "members",
    [
        {"phase": Phase.CUTOVER},
        {"phase": Phase.PRESERVE},
        {"phase": Phase.RETIRE},
        {"status": RestoreStatus.COMPLETED},
        {"status": RestoreStatus.FAILED},
        {"status": RestoreStatus.CANCELLED},
    ],
    ids=lambda members: next(iter(members.values())),
)
def test_cancel_is_a_conflict_once_it_is_too_late(ports: Ports, members: dict[str, Any]) -> None:
    before = stored(ports, **members)
    assert_error(call(cancel_restore.handler, sample("ngsi", "cancel_restore")), 409, "Conflict", RESTORE)
    assert ports.catalog.restore(SMARTCITY, RESTORE) == before


ROUTES = [(get_restore, "get_restore"), (cancel_restore, "cancel_restore")]


@pytest.mark.parametrize(("function", "event"), ROUTES, ids=[route[1] for route in ROUTES])
@pytest.mark.parametrize(
    "name", ["nonsense", f"{RESTORE}-2", "%00", "..%2F..%2Fetc", "%F0%9F%8C%8A", "x" * 3000, "%25", "restore_"]
)
def test_restore_is_not_found_when_its_id_is_unknown_or_malformed(
    ports: Ports, function: Any, event: str, name: str
) -> None:
    before = stored(ports)
    answer = call(function.handler, request("ngsi", event, path=f"/v2/restores/{name}"))
    assert_error(answer, 404, "NotFound")
    assert len(answer.text) < 400
    assert ports.catalog.restore(SMARTCITY, RESTORE) == before


@pytest.mark.parametrize(("function", "event"), ROUTES, ids=[route[1] for route in ROUTES])
def test_restore_of_another_tenant_is_not_found(ports: Ports, function: Any, event: str) -> None:
    before = stored(ports, tenant=Tenant("othercity"))
    assert_error(call(function.handler, sample("ngsi", event)), 404, "NotFound")
    assert ports.catalog.restore(Tenant("othercity"), RESTORE) == before


@pytest.mark.parametrize(("function", "event"), [*ROUTES, (list_restores, "list_restores")])
def test_request_is_refused_when_the_tenant_is_bad(ports: Ports, function: Any, event: str) -> None:
    answer = call(function.handler, request("ngsi", event, headers={"Fiware-Service": "bad tenant"}))
    assert_error(answer, 400, "BadRequest", "tenant")
