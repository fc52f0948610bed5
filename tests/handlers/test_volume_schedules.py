"""The functions of the schedules of volumes: what they answer, what they refuse, and how slots show on them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.backup.conclude_slot import handler as conclude_slot
from functions.backup.run_slot import handler as run_slot
from functions.backup.watch import handler as watch
from functions.cloudca.create_schedule import handler as create_schedule
from functions.cloudca.delete_schedule import handler as delete_schedule
from functions.cloudca.get_schedule import handler as get_schedule
from functions.cloudca.list_schedules import handler as list_schedules
from tests.fakes import MemorySchedules
from tests.handlers.phases import Left
from tests.handlers.rest import call, sample
from tests.handlers.volume_api import ENVIRONMENT, FUNCTIONS, VolumeApi, in_use
from tests.unit.volumes.backing import REGION, World
from tests.unit.volumes.examples import TEST_AREA, VOLUME_ID
from tests.unit.volumes.go_client import GoClient
from tests.unit.volumes.slots import OWNER, advance, deliver, machines_run
from tidemark.dialects.cloudca.openapi.schedule_operations import OPERATIONS
from tidemark.dialects.cloudca.routes import SCHEDULE, SCHEDULES
from tidemark.domain.api_key import Action
from tidemark.domain.schedule import DamagedSchedule, Missed, RunStatus, Schedule, ScheduleId, ScheduleStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import volume_id
from tidemark.errors import SchedulingRefused

PATH = f"{ENVIRONMENT}/schedules"
OF_SCHEDULES = {
    ("GET", SCHEDULES): list_schedules.handler,
    ("POST", SCHEDULES): create_schedule.handler,
    ("GET", SCHEDULE): get_schedule.handler,
    ("DELETE", SCHEDULE): delete_schedule.handler,
}
UNKNOWN = "schedule_0123456789abcdef"
TEN = datetime(2026, 1, 15, 10, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with in_use(World(), monkeypatch) as found:
        yield found


@pytest.fixture
def api(world: World) -> VolumeApi:
    return VolumeApi(world, {**FUNCTIONS, **OF_SCHEDULES})


@pytest.fixture
def key(api: VolumeApi) -> str:
    return api.key()


def hourly(world: World, **members: object) -> dict[str, object]:
    return {"volumeId": volume_id(REGION, world.source_id), "intervalType": "HOURLY", "keep": 2} | members


def made(world: World, api: VolumeApi, key: str, **members: object) -> dict[str, Any]:
    status, answer = api.call("POST", PATH, key, hourly(world, **members))
    assert (status, answer["taskStatus"]) == (200, "SUCCESS"), answer
    body: dict[str, Any] = answer["data"]
    return body


def stored(world: World) -> list[Any]:
    return list(world.ports.catalog.found_schedules(OWNER))


def no_nulls(document: object) -> bool:
    if isinstance(document, dict):
        return all(map(no_nulls, document.values()))
    return all(map(no_nulls, document)) if isinstance(document, list) else document is not None


def test_sample_events_are_what_the_functions_serve(world: World) -> None:
    del world
    answers = {
        path: call(OF_SCHEDULES[event["httpMethod"], event["resource"]], event).status
        for path in (
            "cloudca/create_schedule",
            "cloudca/list_schedules",
            "cloudca/get_schedule",
            "cloudca/delete_schedule",
        )
        for event in [sample(*path.split("/"))]
    }
    assert list(answers.values()) == [404, 200, 404, 404], "there is neither the volume nor the schedule"


@pytest.mark.parametrize(
    ("sent", "shown", "next_due"),
    [
        ({}, {"intervalType": "HOURLY", "minute": 0, "timezone": "UTC"}, "2026-01-15T11:00:00+0000"),
        (
            {"minute": 30, "intervalType": "hourly"},
            {"intervalType": "HOURLY", "minute": 30},
            "2026-01-15T10:30:00+0000",
        ),
        (
            {"intervalType": "DAILY", "time": "02:30", "timezone": "America/Toronto"},
            {"intervalType": "DAILY", "time": "02:30", "timezone": "America/Toronto"},
            "2026-01-16T07:30:00+0000",
        ),
        (
            {"intervalType": "WEEKLY", "day": 1},
            {"intervalType": "WEEKLY", "time": "00:00", "day": 1},
            "2026-01-18T00:00:00+0000",
        ),
        (
            {"intervalType": "MONTHLY", "day": 28, "time": "23:59"},
            {"intervalType": "MONTHLY", "time": "23:59", "day": 28},
            "2026-01-28T23:59:00+0000",
        ),
    ],
)
def test_schedule_is_created_and_got_as_it_was_asked_for(
    world: World, api: VolumeApi, key: str, sent: dict[str, object], shown: dict[str, object], next_due: str
) -> None:
    body = made(world, api, key, **sent)
    assert {"timezone": "UTC"} | shown == {
        name: value for name, value in body.items() if name in {"intervalType", "minute", "time", "day", "timezone"}
    }
    assert (body["keep"], body["volumeId"], body["state"]) == (2, volume_id(REGION, world.source_id), "ACTIVE")
    assert (body["created"], body["nextDue"]) == ("2026-01-15T10:00:00+0000", next_due)
    assert api.call("GET", f"{PATH}/{body['id']}", key) == (200, {"data": body})
    assert api.call("GET", PATH, key) == (200, {"data": [body], "metadata": {"recordCount": 1}})
    assert no_nulls(body)


def test_schedule_of_the_same_type_is_changed_by_asking_again(world: World, api: VolumeApi, key: str) -> None:
    first = made(world, api, key)
    second = made(world, api, key, keep=9, minute=45, timezone="Asia/Tokyo")
    assert (second["id"], second["keep"], second["minute"], second["timezone"]) == (first["id"], 9, 45, "Asia/Tokyo")
    assert len(stored(world)) == 1


def test_paused_schedule_is_not_due_until_it_is_asked_for_again_without(world: World, api: VolumeApi, key: str) -> None:
    first = made(world, api, key)
    assert first["paused"] is False
    paused = made(world, api, key, paused=True)
    assert (paused["id"], paused["paused"], "nextDue" in paused) == (first["id"], True, False)
    assert api.call("GET", PATH, key)[1]["data"] == [paused]
    advance(world, TEN + timedelta(hours=3))
    assert watch.handler({}, Left()) == {"missed": 0}
    resumed = made(world, api, key)
    assert (resumed["id"], resumed["paused"], resumed["nextDue"]) == (first["id"], False, "2026-01-15T14:00:00+0000")


def test_schedules_are_listed_by_volume(world: World, api: VolumeApi, key: str) -> None:
    made(world, api, key)
    assert api.call("GET", f"{PATH}?volume_id={VOLUME_ID}", key)[1] == {"data": [], "metadata": {"recordCount": 0}}
    found = api.call("GET", f"{PATH}?volume_id={volume_id(REGION, world.source_id)}", key)[1]
    assert found["metadata"] == {"recordCount": 1}
    assert api.call("GET", f"{PATH}?volume_id=vol-1", key)[0] == 400


def test_deleted_schedule_is_gone_here_and_in_eventbridge_scheduler(world: World, api: VolumeApi, key: str) -> None:
    body = made(world, api, key)
    assert api.call("DELETE", f"{PATH}/{body['id']}", key) == (200, {"taskStatus": "SUCCESS"})
    assert api.call("GET", f"{PATH}/{body['id']}", key)[0] == 404
    assert api.call("DELETE", f"{PATH}/{body['id']}", key)[0] == 404
    assert isinstance(world.ports.schedules, MemorySchedules)
    assert world.ports.schedules.held == {}


def test_go_client_makes_reads_and_ends_schedules_without_polling(world: World, api: VolumeApi, key: str) -> None:
    client = GoClient(api.send, key, "schedules")
    body = client.create(hourly(world))
    assert client.execute("", "create", hourly(world)) == body
    assert client.get(body["id"]) == body
    assert client.list() == [body]
    assert client.delete(body["id"]) is None
    assert client.list() == []


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"volumeId": None}, "volumeId"),
        ({"volumeId": "vol-1"}, "UUID"),
        ({"intervalType": None}, "HOURLY, DAILY, WEEKLY, MONTHLY"),
        ({"intervalType": "MANUAL"}, "HOURLY, DAILY, WEEKLY, MONTHLY"),
        ({"intervalType": 4}, "HOURLY, DAILY, WEEKLY, MONTHLY"),
        ({"keep": 0}, "'keep' must be a whole number from 1"),
        ({"keep": True}, "'keep' must be a whole number"),
        ({"keep": "7"}, "'keep' must be a whole number"),
        ({"keep": 100_001}, "to 100000"),
        ({"minute": 60}, "0 to 59"),
        ({"minute": 1.5}, "0 to 59"),
        ({"time": "02:30"}, "HOURLY has no member 'time'; it has 'minute'"),
        ({"day": 1}, "HOURLY has no member 'day'"),
        ({"intervalType": "DAILY", "minute": 5}, "no member 'minute'; it has 'time'"),
        ({"intervalType": "DAILY", "day": 1}, "no member 'day'"),
        ({"intervalType": "DAILY", "time": "24:00"}, "00:00 to 23:59"),
        ({"intervalType": "DAILY", "time": "2:30"}, "00:00 to 23:59"),
        ({"intervalType": "DAILY", "time": 230}, "00:00 to 23:59"),
        ({"intervalType": "WEEKLY"}, "1 (Sunday) to 7"),
        ({"intervalType": "WEEKLY", "day": 8}, "1 to 7"),
        ({"intervalType": "WEEKLY", "day": "MONDAY"}, "1 to 7"),
        ({"intervalType": "MONTHLY", "day": 29}, "1 to 28"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"timezone": 1}, "timezone"),
        ({"paused": "yes"}, "'paused' must be true or false"),
        ({"maxsnaps": 3}, "'maxsnaps' is unknown"),
    ],
)
def test_bad_schedule_is_refused_naming_what_is_wrong_and_nothing_is_made(
    world: World, api: VolumeApi, key: str, members: dict[str, object], said: str
) -> None:
    status, answer = api.call("POST", PATH, key, hourly(world, **members))
    [error] = answer["errors"]
    assert (status, error["code"]) == (400, 400)
    assert said in error["message"]
    assert stored(world) == []


def test_missing_members_are_asked_for(world: World, api: VolumeApi, key: str) -> None:
    for left_out in ("volumeId", "intervalType", "keep"):
        body = {name: value for name, value in hourly(world).items() if name != left_out}
        status, answer = api.call("POST", PATH, key, body)
        assert (status, left_out in answer["errors"][0]["message"]) == (400, True)
    assert api.call("POST", f"{PATH}?operation=restore", key, hourly(world))[0] == 400
    assert stored(world) == []


def test_description_offers_no_operation_that_is_refused(world: World, api: VolumeApi, key: str) -> None:
    offered = {one.name: one for one in OPERATIONS[f"POST {SCHEDULES}"].parameters}["operation"].schema["enum"]
    for one in offered:
        assert api.call("POST", f"{PATH}?operation={one}", key, hourly(world))[0] == 200


def test_volume_of_another_environment_and_unknown_one_are_not_found(world: World, api: VolumeApi, key: str) -> None:
    foreign = world.disks.add_volume(1, {}, {"Environment": "other"})
    for identity in (VOLUME_ID, volume_id(REGION, foreign)):
        assert api.call("POST", PATH, key, hourly(world, volumeId=identity))[0] == 404
    assert stored(world) == []


@pytest.mark.parametrize("name", [UNKNOWN, "nonsense", "33a27b8d-5a27-42a5-aec4-37606e372bda", "%00"])
def test_unknown_schedule_is_not_found(api: VolumeApi, key: str, name: str) -> None:
    for method in ("GET", "DELETE"):
        status, answer = api.call(method, f"{PATH}/{name}", key)
        assert (status, answer["errors"][0]["code"]) == (404, 404)


def test_wrong_method_is_405_in_this_dialect(api: VolumeApi, key: str) -> None:
    for method, path in (("PATCH", f"{PATH}/{UNKNOWN}"), ("DELETE", PATH), ("PUT", PATH)):
        status, answer = api.call(method, path, key)
        assert (status, list(answer)) == (405, ["errors"])


def test_key_needs_the_environment_and_the_action(world: World, api: VolumeApi, key: str) -> None:
    body = made(world, api, key)
    reading, other = api.key(Action.READ), api.key(environments=("compute-on/other",))
    assert api.call("GET", PATH, reading)[0] == 200
    for call_with in (reading, other):
        assert api.call("POST", PATH, call_with, hourly(world))[0] == 403
        assert api.call("DELETE", f"{PATH}/{body['id']}", call_with)[0] == 403
    assert api.call("GET", PATH, other)[0] == 403
    assert len(stored(world)) == 1


def test_quota_of_an_environment_is_told(
    world: World, api: VolumeApi, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_SCHEDULES_PER_ENVIRONMENT", "1")
    made(world, api, key)
    status, answer = api.call("POST", PATH, key, hourly(world, intervalType="DAILY"))
    assert status == 400
    assert "environment compute-on/test_area has 1 schedules" in answer["errors"][0]["message"]
    made(world, api, key, keep=5)


def test_refusal_of_eventbridge_scheduler_is_told_and_leaves_nothing(world: World, api: VolumeApi, key: str) -> None:
    def refuse(_: ScheduleId) -> None:
        world.ports.schedules.before = lambda _: None  # type: ignore[attr-defined] # the fake's
        raise SchedulingRefused("the service may not use EventBridge Scheduler")

    world.ports.schedules.before = refuse  # type: ignore[attr-defined] # the fake's
    status, answer = api.call("POST", PATH, key, hourly(world))
    assert (status, list(answer)) == (500, ["errors"])
    assert stored(world) == []


# --- how slots show


def test_last_slot_shows_its_snapshot_and_why_it_failed(world: World, api: VolumeApi, key: str) -> None:
    body = made(world, api, key)
    schedule = world.ports.catalog.schedule(OWNER, body["id"])
    deliver(world, schedule, schedule.starts_at, "one")
    [snapshot] = world.ports.volumes.volume_snapshots(TEST_AREA)
    shown = api.call("GET", f"{PATH}/{body['id']}", key)[1]["data"]
    assert shown["last"] == {"due": "2026-01-15T10:00:00+0000", "state": "COMPLETED", "snapshotId": snapshot.id}
    [listed] = api.call("GET", f"{ENVIRONMENT}/snapshots", key)[1]["data"]
    assert (listed["intervalType"], listed["state"]) == ("HOURLY", "BackedUp")
    del world.disks.disks[world.source_id]
    deliver(world, schedule, schedule.starts_at + timedelta(hours=1), "two")
    last = api.call("GET", f"{PATH}/{body['id']}", key)[1]["data"]["last"]
    assert (last["state"], last["errors"][0]["code"]) == ("FAILED", 404)
    assert "delete the schedule" in last["errors"][0]["message"]
    assert no_nulls(last)


def test_missed_slot_shows_its_reason(world: World, api: VolumeApi, key: str) -> None:
    body = made(world, api, key)
    schedule = world.ports.catalog.schedule(OWNER, body["id"])
    missed = Missed(schedule.starts_at, RunStatus.MISSED, "nobody came", TEN)
    world.ports.catalog.replace_schedule(replace(schedule, last_missed=missed, status=ScheduleStatus.SETTING))
    shown = api.call("GET", f"{PATH}/{body['id']}", key)[1]["data"]
    assert shown["last"] == {"due": "2026-01-15T10:00:00+0000", "state": "MISSED", "reason": "nobody came"}
    assert shown["state"] == "SETTING"


def test_schedule_whose_timezone_is_gone_is_shown_without_its_next_slot(world: World, api: VolumeApi, key: str) -> None:
    body = made(world, api, key)
    schedule = world.ports.catalog.schedule(OWNER, body["id"])
    world.ports.catalog.replace_schedule(replace(schedule, timezone="Mars/Olympus"))
    shown = api.call("GET", f"{PATH}/{body['id']}", key)[1]["data"]
    assert (shown["timezone"], "nextDue" in shown) == ("Mars/Olympus", False)


def test_damaged_record_hides_no_other_and_is_reported(
    world: World, api: VolumeApi, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = made(world, api, key)
    found = [*stored(world), DamagedSchedule(ScheduleId(UNKNOWN), Failure("CatalogCorrupt", "wrong checksum"))]
    monkeypatch.setattr(world.ports.catalog, "found_schedules", lambda _owner: iter(found))
    status, listed = api.call("GET", PATH, key)
    assert (status, [one["id"] for one in listed["data"]]) == (200, [body["id"]])
    assert "damaged: wrong checksum" in capsys.readouterr().out


# --- the phases


def _phase(schedule: Schedule, **members: object) -> dict[str, Any]:
    return {"tenant": OWNER, "scheduleId": schedule.id, "slotAt": "2026-01-15T10:00:00Z", "owner": "one"} | members


def test_phases_of_the_backup_machine_make_the_snapshot_of_a_volume(
    world: World, api: VolumeApi, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = world.ports.catalog.schedule(OWNER, made(world, api, key)["id"])
    begun = run_slot.handler(_phase(schedule, begunAt="2026-01-15T10:00:01Z"), Left())
    assert (begun["state"], begun["waitSeconds"]) == ("creating", 5)
    machines_run(world)
    assert run_slot.handler(_phase(schedule, begunAt="2026-01-15T10:00:01Z"), Left())["state"] == "made"
    ended = conclude_slot.handler(_phase(schedule), Left())
    assert (ended["status"], ended["snapshotId"], ended["error"]) == ("completed", begun["snapshotId"], "")
    logged = capsys.readouterr().out
    assert f'"environment":"{TEST_AREA}"' in logged
    assert '"tenant"' not in logged


def test_watch_tells_of_missed_slots_by_environment(
    world: World, api: VolumeApi, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made(world, api, key)
    advance(world, TEN + timedelta(hours=3))
    capsys.readouterr()
    assert watch.handler({}, Left()) == {"missed": 1}
    logged = capsys.readouterr().out
    assert '"BackupMissed"' in logged
    assert f'"environment":"{TEST_AREA}"' in logged
    assert '"LastSnapshotAgeSeconds"' in logged
