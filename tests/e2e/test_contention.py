"""Requests that meet a running capture or restore, and captures and restores that are cut short."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e import walk
from tests.e2e.inside import CAPTURE_MACHINE, RESTORE_MACHINE, Inside, InsideCaller
from tests.e2e.served import Caller
from tests.local.stack import LocalStack
from tidemark.domain.restore import RestoreId

PARAMETERS = {
    "ShardsPerTenant": "2",
    "GatesPerTenant": "2",
    "StageConcurrency": "2",
    "ShardConcurrency": "2",
    "ReadDrainSeconds": "0",
    # Every capture goes through the state machine.
    "InlineBudgetSeconds": "0",
}
SECOND_ATTEMPTS = 12


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    with LocalStack.in_process(parameters=PARAMETERS, wait_scale=0) as stack:
        yield Inside(stack)


@pytest.fixture
def call(inside: Inside, tenant: str) -> InsideCaller:
    """A caller whose tenant has five rooms."""
    call = inside.caller(tenant)
    walk.put_rooms(call, 5, 1)
    return call


@pytest.fixture
def snapshot(call: InsideCaller) -> str:
    """A snapshot of the five rooms; the live data has others since."""
    snapshot_id = walk.create(call)["id"]
    walk.completed(call, snapshot_id)
    walk.put_rooms(call, 7, 2)
    return str(snapshot_id)


def start_restore(call: InsideCaller, snapshot: str) -> str:
    """Ask for a restore; its id."""
    answer = call("POST", f"/v2/snapshots/{snapshot}/restore")
    assert answer.status == 202, answer.text
    return str(answer.json()["restoreId"])


# --- captures ---------------------------------------------------------------------------------------------------------


def test_snapshot_is_creating_and_then_completed_when_it_goes_through_the_state_machine(
    inside: Inside, call: InsideCaller
) -> None:
    with inside.paused_before("copy_shard") as pause:
        answer = call("POST", "/v2/snapshots", {"description": "large"})
        made = answer.json()
        assert (answer.status, made["status"], list(made)) == (201, "creating", walk.SUMMARY)
        assert answer.headers["Location"] == f"/v2/snapshots/{made['id']}"
        assert pause.reached.wait(30)
        assert call("GET", f"/v2/snapshots/{made['id']}").json()["status"] == "creating"
        assert [one["status"] for one in call("GET", "/v2/snapshots").json()] == ["creating"]
    found = walk.completed(call, made["id"])
    assert {**found, "status": "creating", "entityCount": 0} | made == {**found, **made}
    assert found["entityCount"] == 5
    assert inside.path(CAPTURE_MACHINE, call.tenant, made["id"])[-1] == "Completed"


def test_snapshot_holds_what_was_there_at_its_cut_when_writers_go_on(inside: Inside, call: InsideCaller) -> None:
    before = walk.entities(call)
    with inside.paused_before("copy_shard") as pause:
        made = walk.create(call)
        assert pause.reached.wait(30)
        walk.put_rooms(call, 3, 2)
        walk.put_rooms(call, 8, 3)
        assert call("DELETE", "/v2/entities/urn:ngsi-ld:Room:0004").status == 204
        assert call("DELETE", "/v2/entities/urn:ngsi-ld:Room:0007").status == 204
    assert walk.completed(call, made["id"])["entityCount"] == 5
    assert walk.restore(call, made["id"])["status"] == "completed"
    assert walk.entities(call) == before


def test_requests_are_refused_when_a_capture_runs(inside: Inside, call: InsideCaller, snapshot: str) -> None:
    with inside.paused_before("copy_shard") as pause:
        running = walk.create(call)["id"]
        assert pause.reached.wait(30)
        for answer in (call("POST", "/v2/snapshots"), call("POST", f"/v2/snapshots/{snapshot}/restore")):
            walk.assert_error(answer, 409, "Conflict", running)
            assert answer.headers["Location"] == f"/v2/snapshots/{running}"
        walk.assert_error(call("DELETE", f"/v2/snapshots/{running}"), 409, "Conflict", running)
        walk.assert_error(call("POST", f"/v2/snapshots/{running}/restore"), 409, "Conflict", "creating")
        assert call("GET", "/v2/restores").json() == []
    walk.completed(call, running)
    assert [one["id"] for one in call("GET", "/v2/snapshots").json()] == [running, snapshot]


def test_snapshot_has_failed_when_its_capture_dies(inside: Inside, call: InsideCaller) -> None:
    def die(event: Mapping[str, Any]) -> None:
        raise MemoryError("of a kind that nobody foresaw")

    with inside.hooked("copy_shard", die):
        made = walk.create(call)
        path = inside.path(CAPTURE_MACHINE, call.tenant, made["id"])
    assert path == ["Delay", "Begin", "StillWanted", "CopyShards", "Abort", "Outcome", "CaptureFailed"]
    failed = call("GET", f"/v2/snapshots/{made['id']}").json()
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "InternalError"
    assert "nobody foresaw" not in failed["error"]["description"]
    walk.assert_error(call("POST", f"/v2/snapshots/{made['id']}/restore"), 409, "Conflict", "failed")
    assert inside.state(call.tenant).lease is None
    walk.put_rooms(call, 6, 9)
    assert walk.completed(call, walk.create(call)["id"])["entityCount"] == 6
    assert call("DELETE", f"/v2/snapshots/{made['id']}").status == 204


# --- dry runs ---------------------------------------------------------------------------------------------------------


def test_dry_run_that_takes_longer_than_its_request_is_of_its_cut_and_can_be_carried_out(
    inside: Inside, call: InsideCaller, snapshot: str
) -> None:
    where, wanted = f"/v2/snapshots/{snapshot}/restore", {"dryRun": True, "filter": {"type": "Room"}}
    with inside.paused_before("count_shard") as pause:
        begun = call("POST", where, wanted)
        assert (begun.status, begun.json()["status"]) == (202, "counting")
        assert pause.reached.wait(30)
        assert call("GET", begun.headers["Location"]).json()["percent"] == 0
        walk.assert_error(call("POST", where, {"plan": begun.json()["plan"]}), 409, "Conflict", "still being made")
        walk.assert_error(call("POST", "/v2/snapshots"), 409, "Conflict", begun.json()["plan"])
        walk.put_rooms(call, 9, 3)
    path = inside.path(CAPTURE_MACHINE, call.tenant, begun.json()["plan"])
    assert path == ["Delay", "Begin", "StillWanted", "CountShards", "Conclude", "Completed"]
    plan = call("GET", begun.headers["Location"]).json()
    assert (plan["status"], plan["changes"]) == (
        "planned",
        {"created": 0, "updated": 5, "deleted": 2, "unchanged": 0},
    )
    walk.assert_error(call("POST", where, {"plan": plan["plan"]}), 409, "Conflict", "entities were written since")
    again = call("POST", where, wanted).json()["plan"]
    inside.path(CAPTURE_MACHINE, call.tenant, again)
    assert call("GET", f"/v2/plans/{again}").json()["changes"]["deleted"] == 4
    restore = call("POST", where, {"plan": again}).json()["restoreId"]
    assert walk.over(call, restore)["changes"] == {"created": 0, "updated": 5, "deleted": 4, "unchanged": 0}


def test_dry_run_that_fails_says_so_and_blocks_nobody(inside: Inside, call: InsideCaller, snapshot: str) -> None:
    def die(event: Mapping[str, Any]) -> None:
        raise MemoryError("of a kind that nobody foresaw")

    with inside.hooked("count_shard", die):
        begun = call("POST", f"/v2/snapshots/{snapshot}/restore", {"dryRun": True})
        assert inside.path(CAPTURE_MACHINE, call.tenant, begun.json()["plan"])[-1] == "CaptureFailed"
    failed = call("GET", begun.headers["Location"]).json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "InternalError")
    assert "nobody foresaw" not in failed["error"]["description"]
    assert inside.state(call.tenant).lease is None
    assert walk.completed(call, walk.create(call)["id"])["entityCount"] == 7


def test_two_snapshots_of_one_second_are_two(caller: Caller) -> None:
    walk.put_rooms(caller, 1)
    for _ in range(SECOND_ATTEMPTS):
        time.sleep(1 - time.time() % 1)
        first, second = walk.create(caller, "first"), walk.create(caller, "second")
        assert first["id"] != second["id"]
        if first["createdAt"] == second["createdAt"]:
            break
    else:
        pytest.fail(f"in {SECOND_ATTEMPTS} attempts no two snapshots were created in one second")
    assert second["id"] == f"{first['id']}-2"
    listed = caller("GET", "/v2/snapshots?limit=2").json()
    assert [one["description"] for one in listed] == ["second", "first"]
    assert caller("DELETE", f"/v2/snapshots/{first['id']}").status == 204
    assert caller("GET", f"/v2/snapshots/{second['id']}").json()["description"] == "second"


# --- restores ---------------------------------------------------------------------------------------------------------


def test_requests_are_refused_when_a_restore_runs(inside: Inside, call: InsideCaller, snapshot: str) -> None:
    with inside.paused_before("stage") as pause:
        running = start_restore(call, snapshot)
        assert pause.reached.wait(30)
        for answer in (call("POST", "/v2/snapshots"), call("POST", f"/v2/snapshots/{snapshot}/restore")):
            walk.assert_error(answer, 409, "Conflict", running)
            assert answer.headers["Location"] == f"/v2/restores/{running}"
        walk.assert_error(call("DELETE", f"/v2/snapshots/{snapshot}"), 409, "Conflict", running)
        assert call("GET", f"/v2/snapshots/{snapshot}").json()["status"] == "restoring"
        assert [one["status"] for one in call("GET", "/v2/snapshots").json()] == ["restoring"]
        going = call("GET", f"/v2/restores/{running}").json()
        assert (going["status"], going["phase"], going["done"], going["total"]) == ("restoring", "Stage", 0, 5)
    assert walk.over(call, running)["status"] == "completed"
    assert inside.path(RESTORE_MACHINE, call.tenant, running)[-1] == "Completed"
    assert [one["id"] for one in call("GET", "/v2/restores").json()] == [running]
    assert call("DELETE", f"/v2/snapshots/{snapshot}").status == 204


def test_restore_shows_its_phases_in_the_execution_history(inside: Inside, call: InsideCaller, snapshot: str) -> None:
    done = walk.restore(call, snapshot)
    path = inside.path(RESTORE_MACHINE, call.tenant, done["id"])
    phases = [entered["phase"] for entered in done["phases"]]
    assert [state for state in path if state in phases] == phases
    assert phases == ["Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire"]


@pytest.mark.parametrize("phase", ["stage", "verify"])
def test_restore_is_cancelled_when_that_is_asked_before_its_cutover(
    inside: Inside, call: InsideCaller, snapshot: str, phase: str
) -> None:
    live = walk.entities(call)
    with inside.paused_before(phase) as pause:
        running = start_restore(call, snapshot)
        assert pause.reached.wait(30)
        answer = call("DELETE", f"/v2/restores/{running}")
        assert (answer.status, answer.json()["id"]) == (202, running)
        assert call("DELETE", f"/v2/restores/{running}").status == 202
    over = walk.over(call, running)
    assert (over["status"], over["error"]["code"]) == ("cancelled", "RestoreCancelled")
    assert inside.path(RESTORE_MACHINE, call.tenant, running)[-3:] == ["Rollback", "Outcome", "Cancelled"]
    restore = inside.ports.catalog.restore(call.tenant, RestoreId(running))
    assert inside.rows(call.tenant, restore.generation) == []
    assert inside.state(call.tenant).lease is None
    assert walk.entities(call) == live
    walk.assert_error(call("DELETE", f"/v2/restores/{running}"), 409, "Conflict", "cancelled")
    assert walk.restore(call, snapshot)["status"] == "completed"


def test_restore_is_not_cancelled_when_its_cutover_has_been(inside: Inside, call: InsideCaller, snapshot: str) -> None:
    with inside.paused_before("retire") as pause:
        running = start_restore(call, snapshot)
        assert pause.reached.wait(30)
        answer = call("DELETE", f"/v2/restores/{running}")
        walk.assert_error(answer, 409, "Conflict", "Cutover")
        assert walk.entities(call) == [walk.room(number, 1) for number in range(5)]
        walk.put_rooms(call, 6, 4)
    assert walk.over(call, running)["status"] == "completed"
    assert walk.entities(call) == [walk.room(number, 4) for number in range(6)]
    walk.assert_error(call("DELETE", f"/v2/restores/{running}"), 409, "Conflict", "completed")


def test_safety_snapshot_holds_the_writes_that_came_before_the_cutover(
    inside: Inside, call: InsideCaller, snapshot: str
) -> None:
    with inside.paused_before("cutover") as pause:
        running = start_restore(call, snapshot)
        assert pause.reached.wait(30)
        walk.put_rooms(call, 9, 7)
        latest = walk.entities(call)
    done = walk.over(call, running)
    assert walk.entities(call) == [walk.room(number, 1) for number in range(5)]
    assert walk.restore(call, done["safetySnapshotId"])["status"] == "completed"
    assert walk.entities(call) == latest
