"""Asking for a part of a snapshot, for another tenant, or for what a restore would do, as the REST API is asked."""

from typing import Any

import pytest

from functions.ngsi.get_plan import handler as get_plan
from functions.ngsi.restore_snapshot import handler as restore_snapshot
from tests.driving import doc, key, put
from tests.handlers.rest import Answer, assert_error, call, request
from tidemark.domain.restore import Mode
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot

SMARTCITY, TEST = Tenant("smartcity"), Tenant("test")
SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"
ROOMS = [key(number) for number in range(3)]


@pytest.fixture(autouse=True)
def captured(ports: Ports) -> None:
    """Three rooms in a snapshot, of which one was changed since; another one and a car are new."""
    put(ports, dict.fromkeys(ROOMS, 1))
    assert create_snapshot(ports, SMARTCITY).id == SNAPSHOT
    put(ports, {ROOMS[0]: 2, key(9): 1, key(9, "Car"): 1})


def ask(body: object, tenants: str = "smartcity", **query: str) -> Answer:
    event = request("ngsi", "restore_snapshot", body=body)
    event["requestContext"]["authorizer"]["tenants"] = tenants
    event["queryStringParameters"] = query or None
    return call(restore_snapshot.handler, event)


def plan_of(answer: Answer, **query: str) -> Any:
    event = request("ngsi", "get_plan")
    event["path"] = f"/v2/plans/{answer.json['plan']}"
    event["queryStringParameters"] = query or None
    return call(get_plan.handler, event).json


def test_restore_notes_what_is_wanted_of_it(ports: Ports) -> None:
    body = {"filter": {"type": "Room", "q": "value<2"}, "mode": "merge", "target": {"service": "SmartCity"}}
    answer = ask(body)
    assert answer.status == 202
    restore = ports.catalog.restore(SMARTCITY, answer.json["restoreId"])
    assert (restore.mode, restore.source_tenant) == (Mode.MERGE, None)
    assert restore.selection == '{"q":"value<2","type":"Room"}'


@pytest.mark.parametrize("dry_run", [False, True], ids=["at once", "dry run"])
def test_restore_is_refused_when_its_filter_selects_nothing(ports: Ports, *, dry_run: bool) -> None:
    answer = ask({"filter": {"type": "Bus"}, "dryRun": dry_run})
    assert_error(answer, 422, "Unprocessable", "selects no entity", "nothing was restored")
    state = ports.table.load(SMARTCITY).state
    assert state is not None
    assert state.lease is None
    assert list(ports.catalog.restores(SMARTCITY)) == []


def test_dry_run_counts_and_names_what_would_change(ports: Ports) -> None:
    answer = ask({"dryRun": True})
    assert answer.status == 200
    assert answer.headers["Location"] == f"/v2/plans/{answer.json['plan']}"
    assert answer.json["changes"] == {"created": 0, "updated": 1, "deleted": 2, "unchanged": 2}
    assert answer.json["updated"] == [{"id": ROOMS[0].id, "type": "Room", "servicePath": "/"}]
    assert [one["type"] for one in answer.json["deleted"]] == ["Car", "Room"]
    assert list(ports.catalog.restores(SMARTCITY)) == []


def test_plan_is_paged(ports: Ports) -> None:
    answer = ask({"dryRun": True}, limit="1")
    assert [one["type"] for one in answer.json["deleted"]] == ["Car"]
    assert [one["type"] for one in plan_of(answer, limit="1", offset="1")["deleted"]] == ["Room"]


def test_restore_by_a_plan_does_what_the_plan_says(ports: Ports) -> None:
    planned = ask({"dryRun": True, "filter": {"type": "Room"}, "mode": "merge"}).json
    answer = ask({"plan": planned["plan"], "safetySnapshot": False})
    assert answer.status == 202
    restore = ports.catalog.restore(SMARTCITY, answer.json["restoreId"])
    assert (restore.mode, restore.selection, restore.safety_wanted) == (Mode.MERGE, '{"type":"Room"}', False)


def test_restore_by_a_plan_is_a_conflict_when_live_data_moved(ports: Ports) -> None:
    planned = ask({"dryRun": True}).json
    put(ports, {ROOMS[1]: 7})
    assert_error(ask({"plan": planned["plan"]}), 409, "Conflict", "entities were written since; ask for another")
    assert list(ports.catalog.restores(SMARTCITY)) == []


def test_restore_by_a_plan_of_another_snapshot_is_not_found(ports: Ports) -> None:
    planned = ask({"dryRun": True}).json
    other = create_snapshot(ports, SMARTCITY)
    event = request("ngsi", "restore_snapshot", body={"plan": planned["plan"]})
    event["path"] = event["path"].replace(SNAPSHOT, other.id)
    assert_error(call(restore_snapshot.handler, event), 404, "NotFound", f"is about snapshot {SNAPSHOT}")


def test_nothing_is_made_for_a_tenant_that_the_key_does_not_hold(ports: Ports) -> None:
    for body in ({"target": {"service": "test"}}, {"target": {"service": "test"}, "dryRun": True}):
        assert_error(ask(body), 403, "Forbidden", "not made for tenant 'test'")
    assert ports.table.load(TEST).state is None
    assert TEST not in ports.catalog.tenants()


def test_plan_into_another_tenant_needs_a_key_for_it_when_it_is_carried_out(ports: Ports) -> None:
    planned = ask({"dryRun": True, "target": {"service": "test"}}, tenants="*")
    assert planned.json["service"] == "test"
    assert planned.json["changes"]["created"] == len(ROOMS)
    assert_error(ask({"plan": planned.json["plan"]}), 403, "Forbidden", "not made for tenant 'test'")
    assert ask({"plan": planned.json["plan"]}, tenants="smartcity,test").status == 202
    assert ports.catalog.restore(TEST, "restore_2026-01-15T10-00-00Z").source_tenant == SMARTCITY
    assert doc(ROOMS[0], 1)
