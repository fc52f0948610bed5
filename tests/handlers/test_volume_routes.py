"""The functions of volumes: the documented members and errors, and nothing begun by what is refused."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.cloudca.unknown_route import handler as unknown_route
from tests.fakes import MemoryWorkflows
from tests.handlers.rest import call, request, sample
from tests.handlers.volume_api import ENVIRONMENT, FUNCTIONS, VolumeApi, error, in_use
from tests.unit.volumes.backing import REGION, World, run
from tests.unit.volumes.examples import SNAPSHOT_ID, TASK_ID, TEST_AREA, VOLUME_ID
from tests.unit.volumes.go_client import ClientError, GoClient
from tidemark.domain.api_key import Action
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshot, volume_id
from tidemark.usecases.volume_phases import backup

DOCUMENTED = ["id", "name", "state", "intervalType", "volumeId", "volume", "volumeType"]
SNAPSHOTS = f"{ENVIRONMENT}/snapshots"
VOLUMES = f"{ENVIRONMENT}/volumes"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with in_use(World(), monkeypatch) as found:
        yield found


@pytest.fixture
def api(world: World) -> VolumeApi:
    return VolumeApi(world)


@pytest.fixture
def key(api: VolumeApi) -> str:
    return api.key()


def source(world: World) -> str:
    """The id of the world's volume."""
    return volume_id(REGION, world.source_id)


def records(world: World) -> list[Any]:
    return list(world.ports.volumes.volume_snapshots(TEST_AREA))


def test_deletion_that_an_image_is_in_the_way_of_is_accepted_and_its_task_says_so(
    world: World, api: VolumeApi, key: str
) -> None:
    made = world.take(keeps_source=True)
    image_id = world.disks.register_image(made.source_id or "", name="theirs", description="", tags={})
    status, begun = api.call("DELETE", f"{SNAPSHOTS}/{made.id}", key)
    assert (status, begun["taskStatus"], "errors" in begun) == (202, "PENDING", False)
    told = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)
    assert (told[1]["taskStatus"], told[1]["data"]["status"]) == ("FAILED", "FAILED")
    assert error(told)[:2] == (200, 2013)
    assert image_id in error(told)[2]
    assert api.call("GET", f"{SNAPSHOTS}/{made.id}", key)[1]["data"]["state"] == "Destroying"
    world.disks.deregister_image(image_id)
    assert api.call("DELETE", f"{SNAPSHOTS}/{made.id}", key)[0] == 202
    over = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)[1]
    assert (over["taskStatus"], "errors" in over) == ("SUCCESS", False)


def test_sample_events_are_what_the_functions_serve(world: World) -> None:
    answers = {
        path: call(FUNCTIONS[event["httpMethod"], event["resource"]], event).status
        for path in (
            "cloudca/list_snapshots",
            "cloudca/get_snapshot",
            "cloudca/create_snapshot",
            "cloudca/delete_snapshot",
            "cloudca/list_volumes",
            "cloudca/get_volume",
            "cloudca/get_task",
            "cloudca/operate_snapshot",
            "cloudca/cancel_task",
        )
        for event in [sample(*path.split("/"))]
    }
    assert {name for name, status in answers.items() if status == 200} == {
        "cloudca/list_snapshots",
        "cloudca/list_volumes",
    }
    assert set(answers.values()) == {200, 404}


def test_snapshot_is_created_listed_and_got_with_exactly_the_documented_members(
    world: World, api: VolumeApi, key: str
) -> None:
    status, begun = api.call("POST", f"{SNAPSHOTS}?operation=create", key, {"volumeId": source(world)})
    assert (status, begun["taskStatus"], begun["data"]["status"]) == (202, "PENDING", "PENDING")
    assert isinstance(world.ports.workflows, MemoryWorkflows)
    [record] = records(world)
    assert [one.subject for one in world.ports.workflows.started] == [record.id]
    run(world.ports, record.id)

    status, listed = api.call("GET", SNAPSHOTS, key)
    assert status == 200
    assert list(listed) == ["data", "metadata"]
    assert listed["metadata"] == {"recordCount": 1}
    [one] = listed["data"]
    assert list(one) == DOCUMENTED
    assert one == {
        "id": record.id,
        "name": "detached_foo_20260115100000",
        "state": "BackedUp",
        "intervalType": "MANUAL",
        "volumeId": source(world),
        "volume": "foo",
        "volumeType": "DATADISK",
    }
    assert api.call("GET", f"{SNAPSHOTS}/{record.id}", key) == (200, {"data": one})
    assert api.call("GET", f"{SNAPSHOTS}?volume_id={source(world)}", key) == (200, listed)
    status, none = api.call("GET", f"{SNAPSHOTS}?volume_id={VOLUME_ID}", key)
    assert none == {"data": [], "metadata": {"recordCount": 0}}
    status, task = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)
    assert (task["taskStatus"], task["data"]["result"]) == ("SUCCESS", one)


def test_deleted_snapshot_is_gone_and_its_task_is_over(world: World, api: VolumeApi, key: str) -> None:
    snapshot = world.take(keeps_source=True)
    status, begun = api.call("DELETE", f"{SNAPSHOTS}/{snapshot.id}", key)
    assert (status, begun["taskStatus"]) == (202, "PENDING")
    assert api.call("GET", f"/v1/tasks/{begun['taskId']}", key)[1]["taskStatus"] == "SUCCESS"
    assert error(api.call("GET", f"{SNAPSHOTS}/{snapshot.id}", key))[:2] == (404, 404)
    world.nothing_is_left()


def test_volumes_are_listed_by_type_and_got(world: World, api: VolumeApi, key: str) -> None:
    status, listed = api.call("GET", VOLUMES, key)
    assert (status, [one["id"] for one in listed["data"]]) == (200, [source(world)])
    assert api.call("GET", f"{VOLUMES}/{source(world)}", key) == (200, {"data": listed["data"][0]})
    assert api.call("GET", f"{VOLUMES}?type=OS", key)[1]["metadata"] == {"recordCount": 0}
    assert error(api.call("GET", f"{VOLUMES}?type=tape", key))[:2] == (400, 400)


def test_what_keeps_the_cloud_s_own_snapshot_is_asked_for_by_rapid(world: World, api: VolumeApi, key: str) -> None:
    api.call("POST", SNAPSHOTS, key, {"volumeId": source(world), "name": "first", "rapid": True})
    [record] = records(world)
    assert (record.keeps_source, record.name) == (True, "first")


@pytest.mark.parametrize(
    ("document", "expected", "said"),
    [
        ({"volumeId": VOLUME_ID}, (404, 404), VOLUME_ID),
        ({"volumeId": "of another environment"}, (404, 404), "no volume"),
        ({"volumeId": "vol-1"}, (400, 400), "UUID"),
        ({}, (400, 400), "volumeId"),
        ({"volumeId": "own", "name": "taken"}, (400, 2010), "taken"),
        ({"volumeId": "own", "size": 1}, (400, 400), "size"),
    ],
)
def test_creation_that_can_not_be_is_refused_and_nothing_is_begun(
    world: World, api: VolumeApi, key: str, document: dict[str, str], expected: tuple[int, int], said: str
) -> None:
    api.call("POST", SNAPSHOTS, key, {"volumeId": source(world), "name": "taken"})
    run(world.ports, records(world)[0].id)
    foreign = volume_id(REGION, world.disks.add_volume(1, {}, {"Environment": "other"}))
    meant = {"own": source(world), "of another environment": foreign}
    sent = {name: meant.get(value, value) if name == "volumeId" else value for name, value in document.items()}
    before = records(world)
    status, code, message = error(api.call("POST", SNAPSHOTS, key, sent))
    assert (status, code) == expected
    assert said in message
    assert records(world) == before


def test_volume_of_which_a_snapshot_is_being_made_is_refused_naming_that(
    world: World, api: VolumeApi, key: str
) -> None:
    api.call("POST", SNAPSHOTS, key, {"volumeId": source(world)})
    [running] = records(world)
    answer = api.call("POST", SNAPSHOTS, key, {"volumeId": source(world)})
    assert error(answer)[:2] == (400, 2011)
    assert answer[1]["errors"][0]["context"]["snapshotId"] == running.id
    assert records(world) == [running]


def test_snapshot_that_is_being_made_can_not_be_deleted(world: World, api: VolumeApi, key: str) -> None:
    snapshot_id = world.ask()
    answer = api.call("DELETE", f"{SNAPSHOTS}/{snapshot_id}", key)
    assert error(answer)[:2] == (400, 2012)
    assert answer[1]["errors"][0]["context"]["currentState"] == "Allocated"


def test_failed_snapshot_says_why_in_its_task(world: World, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", SNAPSHOTS, key, {"volumeId": source(world)})
    backup.abort(world.ports, TEST_AREA, records(world)[0].id, Failure("BlockDamaged", "block 7 is damaged"))
    _, task = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)
    assert (task["taskStatus"], task["errors"][0]["message"]) == ("FAILED", "block 7 is damaged")
    assert api.call("GET", SNAPSHOTS, key)[1]["data"][0]["state"] == "Error"


def test_creation_that_is_sent_again_under_its_key_is_answered_again(world: World, api: VolumeApi, key: str) -> None:
    once, document = {"Idempotency-Key": "one"}, {"volumeId": source(world)}
    first = api.call("POST", SNAPSHOTS, key, document, headers=once)
    assert api.call("POST", SNAPSHOTS, key, document, headers=once) == first
    assert len(records(world)) == 1
    answer = api.call("POST", SNAPSHOTS, key, {**document, "name": "other"}, headers=once)
    assert error(answer)[:2] == (400, 409)
    gone = f"{SNAPSHOTS}/{run(world.ports, records(world)[0].id).id}"
    assert api.call("DELETE", gone, key, headers=once) == api.call("DELETE", gone, key, headers=once)


def test_a_key_of_a_request_serves_its_own_environment_alone(world: World, api: VolumeApi) -> None:
    key, once = api.key(environments=("*",)), {"Idempotency-Key": "one"}
    foreign = volume_id(REGION, world.disks.add_volume(1, {}, {"Environment": "other"}))
    api.call("POST", SNAPSHOTS, key, {"volumeId": source(world)}, headers=once)
    status, _ = api.call("POST", SNAPSHOTS.replace("test_area", "other"), key, {"volumeId": foreign}, headers=once)
    assert status == 202
    assert len(list(world.ports.volumes.volume_snapshots("compute-on/other"))) == 1


def test_damaged_record_hides_no_other_and_is_reported(
    world: World, api: VolumeApi, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = world.take()
    damaged = DamagedVolumeSnapshot(SNAPSHOT_ID, Failure("CatalogCorrupt", "the record is damaged"))
    monkeypatch.setattr(world.ports.volumes, "volume_snapshots", lambda _: iter([damaged, snapshot]))
    _, listed = api.call("GET", SNAPSHOTS, key)
    assert [one["id"] for one in listed["data"]] == [snapshot.id]
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["environment"] for one in logged if "damaged" in str(one.get("message"))] == [TEST_AREA]


# --- keys, paths and methods


def without_key(api: VolumeApi) -> str:
    return ""


def of_tenants(api: VolumeApi) -> str:
    return api.key(environments=("compute-on/other",))


def for_reading(api: VolumeApi) -> str:
    return api.key(Action.READ)


@pytest.mark.parametrize(
    ("make", "method", "path", "said"),
    [
        (without_key, "GET", SNAPSHOTS, "missing, unknown or expired"),
        (lambda _: "tm_" + "x" * 43, "GET", SNAPSHOTS, "missing, unknown or expired"),
        (without_key, "GET", "/v1/nothing/here", "missing, unknown or expired"),
        (without_key, "PATCH", SNAPSHOTS, "missing, unknown or expired"),
        (without_key, "GET", f"/v1/tasks/{TASK_ID}", "missing, unknown or expired"),
        (of_tenants, "GET", SNAPSHOTS, "not for this environment"),
        (of_tenants, "POST", SNAPSHOTS, "not for this environment"),
        (for_reading, "POST", SNAPSHOTS, "not for this action"),
        (for_reading, "DELETE", f"{SNAPSHOTS}/{SNAPSHOT_ID}", "not for this action"),
    ],
)
def test_key_that_does_not_do_is_answered_403_and_never_401(
    world: World, api: VolumeApi, make: Callable[[VolumeApi], str], method: str, path: str, said: str
) -> None:
    status, code, message = error(api.call(method, path, make(api), {"volumeId": source(world)}))
    assert (status, code) == (403, 401 if "unknown" in said else 403)
    assert said in message
    assert records(world) == []


@pytest.mark.parametrize(
    ("method", "path", "expected", "said"),
    [
        ("GET", "/v1", (404, 404), "no such path"),
        ("GET", "/v1/services/compute-on/test_area/instances", (404, 404), "no such path"),
        ("PATCH", SNAPSHOTS, (405, 405), "GET, POST"),
        ("DELETE", VOLUMES, (405, 405), "GET"),
        ("GET", f"{SNAPSHOTS}/no-uuid", (400, 400), "UUID"),
        ("GET", "/v1/tasks/no-uuid", (400, 400), "UUID"),
        ("GET", f"/v1/tasks/{TASK_ID}", (404, 404), TASK_ID),
        ("GET", "/v1/services/compute-on/nowhere/snapshots", (404, 404), "compute-on/nowhere"),
        ("GET", "/v1/services/compute-on/BAD!/volumes", (404, 404), "small letters"),
        ("GET", "/v1/services/compute-on/%zz/volumes", (400, 400), "percent-encoded"),
    ],
)
def test_what_is_not_there_is_told_in_the_documented_form(
    api: VolumeApi, method: str, path: str, expected: tuple[int, int], said: str
) -> None:
    status, code, message = error(api.call(method, path, api.key(environments=("*",))))
    assert (status, code) == expected
    assert said in message


def test_unknown_method_of_a_path_of_volumes_is_told_with_those_that_it_has() -> None:
    answer = call(unknown_route.handler, sample("cloudca", "unknown_route"))
    assert (answer.status, answer.headers["Allow"], list(answer.json)) == (405, "GET", ["errors"])


def test_task_of_another_environment_is_not_there(world: World, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", SNAPSHOTS, key, {"volumeId": source(world)})
    other = api.key(environments=("compute-on/other",))
    assert error(api.call("GET", f"/v1/tasks/{begun['taskId']}", other))[:2] == (404, 404)


def test_function_serves_nobody_for_whom_the_authorizer_did_not_vouch(world: World) -> None:
    without: list[dict[str, str] | None] = [None, {}, {"keyId": "x", "tenants": "*"}]
    unchecked = [{"environments": "*"}, {"environments": "*", "environment": "a/b"}]
    for name, granted in [
        *(("list_snapshots", one) for one in (*without, *unchecked)),
        *(("get_task", one) for one in without),
    ]:
        event = request("cloudca", name)
        event["requestContext"]["authorizer"] = granted
        answer = call(FUNCTIONS["GET", event["resource"]], event)
        assert answer.status == 403
        assert list(answer.json) == ["errors"]


def test_logs_say_which_environment_and_which_things(
    world: World, api: VolumeApi, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = world.take()
    capsys.readouterr()
    api.call("GET", f"{SNAPSHOTS}/{snapshot.id}", key)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [line] = [one for one in lines if one.get("message") == "request"]
    assert (line["dialect"], line["environment"], line["snapshot_id"]) == ("cloudca", TEST_AREA, snapshot.id)
    assert "tenant" not in line
    assert key not in json.dumps(lines)


# --- a Go client


def driven(world: World, api: VolumeApi) -> Callable[..., Any]:
    """The API, where what is begun is over before the client asks for it."""

    def send(asked: Any) -> Any:
        answered = api.send(asked)
        for one in records(world):
            if isinstance(one, VolumeSnapshot) and one.running:
                run(world.ports, one.id)
        return answered

    return send


def test_go_client_makes_finds_and_deletes_snapshots(world: World, api: VolumeApi, key: str) -> None:
    client = GoClient(driven(world, api), key)
    made = client.create({"volumeId": source(world)})
    assert (made["state"], made["volume"]) == ("BackedUp", "foo")
    assert client.get(made["id"]) == made
    assert client.list({"volume_id": source(world)}) == client.list() == [made]
    executed = client.execute("", "create", {"volumeId": source(world), "name": "second"})
    assert client.delete(made["id"]) is None
    assert client.list() == [executed]
    assert [one["id"] for one in GoClient(api.send, key, "volumes").list()] == [source(world)]


@pytest.mark.parametrize(
    ("entity", "ask", "status"),
    [
        ("snapshots", lambda client: client.get(SNAPSHOT_ID), 404),
        ("snapshots", lambda client: client.create({"volumeId": VOLUME_ID}), 404),
        ("volumes", lambda client: client.create({}), 405),
        ("instances", lambda client: client.list(), 404),
    ],
)
def test_go_client_is_told_what_is_wrong(
    api: VolumeApi, key: str, entity: str, ask: Callable[[GoClient], Any], status: int
) -> None:
    with pytest.raises(ClientError) as refused:
        ask(GoClient(api.send, key, entity))
    assert refused.value.status == status
    assert refused.value.errors


def test_go_client_with_a_bad_key_is_told_403(api: VolumeApi) -> None:
    with pytest.raises(ClientError) as refused:
        GoClient(api.send, "tm_" + "x" * 43).list()
    assert refused.value.status == 403
    assert "MC-Api-Key" in refused.value.errors[0][1]
