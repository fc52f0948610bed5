"""The route that verifies a snapshot, the phases of its state machine, and the scrub."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.backup.list_packs.handler import handler as list_packs
from functions.backup.record_verification.handler import handler as record_verification
from functions.backup.scrub.handler import handler as scrub
from functions.backup.verify_shard.handler import handler as verify_shard
from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.verify_snapshot import handler as verify_snapshot
from tests.driving import damage, packs
from tests.fakes import ManualClock, MemoryWorkflows
from tests.handlers.phases import TENANT, Handler, Left, run, write
from tests.handlers.rest import assert_error, call, request, sample
from tidemark import bootstrap
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.errors import InvalidRequest, ManifestCorrupt, PackCorrupt
from tidemark.ports import Ports

SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"


@pytest.fixture
def snapshot(ports: Ports) -> Snapshot:
    """A completed snapshot of forty entities."""
    write(ports, *range(40))
    assert call(create_snapshot.handler, sample("ngsi", "create_snapshot")).status == 201
    return ports.catalog.snapshot(TENANT, SNAPSHOT)


class HurriedClock(ManualClock):
    """A clock by which every look at it takes a minute."""

    def monotonic_s(self) -> float:
        self.advance(60)
        return super().monotonic_s()


@pytest.fixture
def hurried(ports: Ports, snapshot: Snapshot) -> Iterator[Ports]:
    """A world in which no verification fits the time budget of a request."""
    with bootstrap.use(replace(ports, clock=HurriedClock())) as hurried:
        yield hurried


def alarms(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was counted for the alarm: the metric documents in the log."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "VerificationFailed" in line]


# --- the route


def test_verify_answers_the_snapshot_with_what_was_found(ports: Ports, snapshot: Snapshot) -> None:
    assert "verification" not in call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json
    ports.clock.sleep(1.5)
    answer = call(verify_snapshot.handler, sample("ngsi", "verify_snapshot"))
    assert answer.status == 200
    assert answer.json["id"] == SNAPSHOT
    assert answer.json["verification"] == {
        "verifiedAt": "2026-01-15T10:00:01.500Z",
        "status": "passed",
        "scope": "full",
        "checkedBytes": snapshot.stored_bytes,
        "checkedPacks": len(packs(ports)),
    }
    assert call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json == answer.json


def test_verify_answers_which_object_is_damaged_and_raises_the_alarm(
    ports: Ports, snapshot: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = packs(ports)[0]
    damage(ports, pack, 30)
    capsys.readouterr()
    answer = call(verify_snapshot.handler, sample("ngsi", "verify_snapshot"))
    assert (answer.status, answer.json["status"]) == (200, "completed")
    assert answer.json["verification"] == {
        "verifiedAt": "2026-01-15T10:00:00.000Z",
        "status": "failed",
        "scope": "full",
        "error": {"code": "PackCorrupt", "description": f"pack {pack} is damaged: it has the wrong checksum"},
    }
    (alarm,) = alarms(capsys)
    assert alarm["VerificationFailed"] == [1.0]
    assert alarm["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Tidemark"
    assert alarm["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert alarm["service"] == "tidemark"
    assert alarm["snapshot_id"] == SNAPSHOT


@pytest.mark.usefixtures("snapshot")
def test_verify_raises_no_alarm_when_all_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    call(verify_snapshot.handler, sample("ngsi", "verify_snapshot"))
    assert alarms(capsys) == []


def test_verify_answers_accepted_when_the_state_machine_goes_on(hurried: Ports) -> None:
    answer = call(verify_snapshot.handler, sample("ngsi", "verify_snapshot"))
    assert answer.status == 202
    assert answer.headers["Location"] == f"/v2/snapshots/{SNAPSHOT}"
    assert (answer.json["id"], answer.json["status"]) == (SNAPSHOT, "completed")
    assert "verification" not in answer.json
    assert isinstance(hurried.workflows, MemoryWorkflows)
    assert [started.snapshot_id for started in hurried.workflows.started] == [SNAPSHOT]


@pytest.mark.parametrize("status", [SnapshotStatus.CREATING, SnapshotStatus.FAILED])
def test_verify_is_a_conflict_when_the_snapshot_is_not_completed(
    ports: Ports, snapshot: Snapshot, status: SnapshotStatus
) -> None:
    ports.catalog.replace_snapshot(replace(snapshot, status=status))
    assert_error(call(verify_snapshot.handler, sample("ngsi", "verify_snapshot")), 409, "Conflict", SNAPSHOT, status)


@pytest.mark.usefixtures("snapshot")
@pytest.mark.parametrize("name", ["nonsense", "snapshot_2020-01-01T00-00-00Z", f"{SNAPSHOT}-2", "%F0%9F%8C%8A"])
def test_verify_does_not_find_a_snapshot_that_is_none(name: str) -> None:
    answer = call(verify_snapshot.handler, request("ngsi", "verify_snapshot", path=f"/v2/snapshots/{name}/verify"))
    assert_error(answer, 404, "NotFound")


@pytest.mark.usefixtures("snapshot")
def test_verify_does_not_find_the_snapshot_of_another_tenant() -> None:
    answer = call(verify_snapshot.handler, request("ngsi", "verify_snapshot", tenant="othercity"))
    assert_error(answer, 404, "NotFound", SNAPSHOT)


# --- the phases


@pytest.mark.usefixtures("snapshot")
def test_phases_record_what_the_route_records(ports: Ports) -> None:
    shards = run(list_packs, "backup", "list_packs")["shards"]
    assert isinstance(shards, list)
    checked = [run(verify_shard, "backup", "verify_shard", shard=shard) for shard in shards]
    assert run(record_verification, "backup", "record_verification", checked=checked) == {"status": "passed"}
    phased = ports.catalog.snapshot(TENANT, SNAPSHOT).verification
    call(verify_snapshot.handler, sample("ngsi", "verify_snapshot"))
    assert ports.catalog.snapshot(TENANT, SNAPSHOT).verification == phased


def test_verify_shard_fails_by_the_name_of_the_damaged_pack(ports: Ports, snapshot: Snapshot) -> None:
    pack = packs(ports)[0]
    damage(ports, pack, 30)
    with pytest.raises(PackCorrupt, match=pack):
        run(verify_shard, "backup", "verify_shard", shard=int(pack.rpartition("/")[2][:3]))


def test_list_packs_fails_by_the_name_of_the_damaged_manifest(ports: Ports, snapshot: Snapshot) -> None:
    assert snapshot.manifest is not None
    damage(ports, snapshot.manifest.key, 30)
    with pytest.raises(ManifestCorrupt, match=snapshot.manifest.key):
        run(list_packs, "backup", "list_packs")


CAUGHT = {
    "tenant": TENANT,
    "snapshotId": SNAPSHOT,
    "error": "PackCorrupt",
    "cause": '{"errorMessage":"pack x is missing","errorType":"PackCorrupt","stackTrace":[]}',
}


@pytest.mark.usefixtures("snapshot")
def test_record_notes_what_the_state_machine_caught_and_raises_the_alarm(
    ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record_verification(CAUGHT, Left()) == {"status": "failed"}
    found = ports.catalog.snapshot(TENANT, SNAPSHOT).verification
    assert found is not None
    assert found.failure is not None
    assert (found.failure.code, found.failure.message) == ("PackCorrupt", "pack x is missing")
    assert [alarm["snapshot_id"] for alarm in alarms(capsys)] == [SNAPSHOT]


def test_record_raises_no_alarm_when_the_snapshot_was_deleted_meanwhile(
    ports: Ports, snapshot: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    ports.catalog.replace_snapshot(replace(snapshot, status=SnapshotStatus.DELETED))
    record_verification(CAUGHT, Left())
    assert alarms(capsys) == []


@pytest.mark.parametrize(
    ("function", "handler"),
    [
        ("list_packs", list_packs),
        ("verify_shard", verify_shard),
        ("record_verification", record_verification),
        ("scrub", scrub),
    ],
)
def test_phases_refuse_an_input_that_is_not_theirs(ports: Ports, function: str, handler: Handler) -> None:
    event = sample("backup", function)
    for wrong in ({**event, "surprise": 1}, {**event, "tenant": 7}):
        with pytest.raises(InvalidRequest, match="is not what its state machine sends"):
            handler(wrong, Left())


# --- the scrub


def test_scrub_reads_what_is_due_and_goes_on_until_all_is_read(
    ports: Ports, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_SCRUB_DAYS", "1")
    first = scrub({}, Left())
    assert (first["done"], first["packs"], first["sizeBytes"], first["damaged"]) == (
        True,
        len(packs(ports)),
        snapshot.stored_bytes,
        0,
    )
    with bootstrap.use(replace(ports, clock=HurriedClock())):
        results = [scrub({}, Left(0))]
        while not results[-1]["done"]:
            going_on = results[-1]["next"]
            assert isinstance(going_on, dict)
            assert json.loads(json.dumps(going_on)) == going_on
            results.append(scrub(going_on, Left(0)))
    assert len(results) > 1
    assert sum(int(str(result["packs"])) for result in results) == len(packs(ports))


def test_scrub_begins_where_its_sample_event_says(ports: Ports, snapshot: Snapshot) -> None:
    event = sample("backup", "scrub")
    assert scrub(event, Left())["next"] == {"day": event["day"], "tenant": TENANT, "key": "~"}


def test_scrub_raises_the_alarm_when_a_pack_is_missing(
    ports: Ports, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMARK_SCRUB_DAYS", "1")
    pack = packs(ports)[0]
    del ports.payloads.objects[pack]  # type: ignore[attr-defined]
    assert scrub({}, Left())["damaged"] == 1
    assert len(alarms(capsys)) == 1
    found = call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json["verification"]
    assert (found["status"], found["scope"]) == ("failed", "sample")
    assert found["error"] == {"code": "PackCorrupt", "description": f"pack {pack} is missing"}
