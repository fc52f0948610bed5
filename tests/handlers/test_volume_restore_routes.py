"""Volumes and templates made of snapshots over HTTP: tasks as clients poll them, cancelling, and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.handlers.test_volume_routes import SNAPSHOTS, VOLUMES
from tests.handlers.volume_api import VolumeApi, error, in_use
from tests.unit.volumes.examples import FAILURE, SNAPSHOT_ID, TASK_ID
from tests.unit.volumes.go_client import Answered, Asked, ClientError, GoClient
from tests.unit.volumes.restoring import Restoring, run
from tidemark.domain.api_key import Action
from tidemark.ports.volumes import MachineImage
from tidemark.usecases.volume_restore_phases import making


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Restoring]:
    with in_use(Restoring(), monkeypatch) as found:
        found.snapshot.check_stored()
        yield found


@pytest.fixture
def api(world: Restoring) -> VolumeApi:
    return VolumeApi(world)


@pytest.fixture
def key(api: VolumeApi) -> str:
    return api.key()


def path(world: Restoring, operation: str) -> str:
    return f"{SNAPSHOTS}/{world.snapshot.id}?operation={operation}"


def began(world: Restoring) -> list[str]:
    """The tasks that were begun after the snapshot."""
    return [one.subject for one in world.workflows.started[1:]]


def test_volume_is_restored_by_a_task_whose_result_it_is(world: Restoring, api: VolumeApi, key: str) -> None:
    status, begun = api.call("POST", path(world, "restore"), key, {"name": "again", "zone": "eu-west-1b"})
    assert (status, begun["taskStatus"], begun["data"]["id"]) == (202, "PENDING", begun["taskId"])
    assert began(world) == [begun["taskId"]]
    assert api.call("GET", f"/v1/tasks/{begun['taskId']}", key)[1]["taskStatus"] == "PENDING"
    run(world.ports, begun["taskId"])
    status, over = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)
    assert (status, over["taskStatus"], over["data"]["status"]) == (200, "SUCCESS", "SUCCESS")
    volume = over["data"]["result"]
    assert (volume["name"], volume["zoneName"], volume["state"]) == ("again", "eu-west-1b", "Ready")
    assert api.call("GET", f"{VOLUMES}/{volume['id']}", key) == (200, {"data": volume})
    assert volume in api.call("GET", VOLUMES, key)[1]["data"]
    api.call("POST", f"{SNAPSHOTS}?operation=create", key, {"volumeId": volume["id"]})
    assert len(world.workflows.started) == 3


def test_template_is_made_by_a_task_whose_result_it_is(world: Restoring, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", path(world, "createTemplate"), key, {"name": "golden", "description": "a page's"})
    run(world.ports, begun["taskId"])
    over = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)[1]
    [image] = world.disks.registered.values()
    assert (over["taskStatus"], over["data"]["result"]) == ("SUCCESS", {"id": image.id})


def test_result_is_left_out_once_the_volume_is_gone(world: Restoring, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", path(world, "restore"), key)
    done = run(world.ports, begun["taskId"])
    world.disks.delete_volume(done.made_id or "")
    over = api.call("GET", f"/v1/tasks/{begun['taskId']}", key)[1]
    assert (over["taskStatus"], "result" in over["data"]) == ("SUCCESS", False)


def test_task_is_cancelled_and_says_so(world: Restoring, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", path(world, "restore"), key)
    status, cancelled = api.call("DELETE", f"/v1/tasks/{begun['taskId']}", key)
    assert (status, cancelled["taskStatus"], cancelled["data"]["status"]) == (200, "FAILED", "FAILED")
    [told] = cancelled["errors"]
    assert (told["code"], told["context"]) == (409, {"failure": "TaskCancelled"})
    assert "cancelled" in told["message"]
    assert api.call("DELETE", f"/v1/tasks/{begun['taskId']}", key) == (200, cancelled)
    assert api.call("GET", f"/v1/tasks/{begun['taskId']}", key) == (200, cancelled)
    world.all_is_well(begun["taskId"])


@pytest.mark.parametrize("ended", ["done", "failed"])
def test_task_that_is_over_is_not_cancelled(world: Restoring, api: VolumeApi, key: str, ended: str) -> None:
    _, begun = api.call("POST", path(world, "restore"), key)
    if ended == "done":
        run(world.ports, begun["taskId"])
    else:
        making.abort(world.ports, begun["taskId"], FAILURE)
    status, code, message = error(api.call("DELETE", f"/v1/tasks/{begun['taskId']}", key))
    assert (status, code) == (400, 2012)
    assert "its state is " + ("SUCCESS" if ended == "done" else "FAILED") in message
    assert "it would have to be PENDING" in message


def test_task_that_makes_a_snapshot_is_not_cancelled_and_says_why(world: Restoring, api: VolumeApi, key: str) -> None:
    volume = api.call("GET", VOLUMES, key)[1]["data"][0]["id"]
    _, begun = api.call("POST", f"{SNAPSHOTS}?operation=create", key, {"volumeId": volume})
    answer = api.call("DELETE", f"/v1/tasks/{begun['taskId']}", key)
    assert error(answer)[:2] == (400, 2012)
    assert "can't be cancelled" in error(answer)[2]
    assert answer[1]["errors"][0]["context"]["type"] == "tasks"


@pytest.mark.parametrize(
    ("operation", "document", "expected", "said"),
    [
        ("restore", {"size": 1}, (400, 400), "size"),
        (
            "restore",
            {"zone": "us-east-1a"},
            (400, 400),
            "the zones of eu-west-1 are eu-west-1a, eu-west-1b, eu-west-1c",
        ),
        ("restore", {"zone": 1}, (400, 400), "zone"),
        ("restore", {"name": "AWS:copy"}, (400, 400), "may not begin with 'aws:'"),
        ("restore", {"name": "copy "}, (400, 400), "no space at its ends"),
        ("restore", {"name": "co\x00py"}, (400, 400), "printable"),
        ("restore", {"name": "co\ud83dpy"}, (400, 400), ""),
        ("createTemplate", {"name": "x"}, (400, 400), "3 to 128"),
        ("createTemplate", {"name": "x" * 129}, (400, 400), "3 to 128"),
        ("createTemplate", {"name": "fire \U0001f692"}, (400, 400), "letters, digits"),
        ("createTemplate", {"name": "taken"}, (400, 2010), "ami-1"),
        ("revert", None, (400, 400), "restore or createTemplate"),
        ("", None, (400, 400), "restore or createTemplate"),
    ],
)
def test_what_can_not_be_made_is_refused_and_nothing_is_begun(
    world: Restoring, api: VolumeApi, key: str, operation: str, document: Any, expected: tuple[int, int], said: str
) -> None:
    world.disks.registered["ami-1"] = MachineImage("ami-1", "taken", "available")
    status, code, message = error(api.call("POST", path(world, operation), key, document))
    assert (status, code) == expected
    assert said in message
    assert began(world) == []


def test_snapshot_that_is_not_there_or_not_backed_up_is_not_restored(
    world: Restoring, api: VolumeApi, key: str
) -> None:
    assert error(api.call("POST", f"{SNAPSHOTS}/{SNAPSHOT_ID}?operation=restore", key))[:2] == (404, 404)
    assert error(api.call("POST", f"{SNAPSHOTS}/no-uuid?operation=restore", key))[:2] == (400, 400)
    running = world.ask()
    answer = api.call("POST", f"{SNAPSHOTS}/{running}?operation=restore", key)
    assert error(answer)[:2] == (400, 2012)
    assert answer[1]["errors"][0]["context"]["expectedStates"] == ["BackedUp"]
    assert began(world) == [running]


def test_snapshot_in_use_by_a_task_is_not_deleted_and_names_it(world: Restoring, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", path(world, "restore"), key)
    status, code, message = error(api.call("DELETE", f"{SNAPSHOTS}/{world.snapshot.id}", key))
    assert (status, code) == (400, 2013)
    assert begun["taskId"] in message


def test_key_must_be_for_restoring_and_for_the_environment(world: Restoring, api: VolumeApi, key: str) -> None:
    _, begun = api.call("POST", path(world, "restore"), key)
    task = f"/v1/tasks/{begun['taskId']}"
    other = api.key(environments=("compute-on/other",))
    reading = api.key(Action.READ, Action.SNAPSHOT)
    for refused, asked in ((reading, ("POST", path(world, "restore"))), (reading, ("DELETE", task))):
        assert error(api.call(*asked, refused))[:2] == (403, 403)
    assert error(api.call("POST", path(world, "restore"), other))[:2] == (403, 403)
    assert error(api.call("DELETE", task, other))[:2] == (404, 404)
    assert error(api.call("DELETE", f"/v1/tasks/{TASK_ID}", key))[:2] == (404, 404)
    assert error(api.call("DELETE", "/v1/tasks/no-uuid", key))[:2] == (400, 400)
    assert api.call("DELETE", task, api.key(Action.RESTORE))[0] == 200
    assert len(began(world)) == 1


def test_request_that_is_sent_again_under_its_key_is_answered_again(world: Restoring, api: VolumeApi, key: str) -> None:
    once = {"Idempotency-Key": "one"}
    first = api.call("POST", path(world, "restore"), key, headers=once)
    assert api.call("POST", path(world, "restore"), key, headers=once) == first
    assert len(began(world)) == 1
    # The same path and body, and yet another request.
    assert error(api.call("POST", path(world, "createTemplate"), key, headers=once))[:2] == (400, 409)


def test_go_client_restores_makes_templates_and_is_told_why_a_task_failed(world: Restoring, api: VolumeApi) -> None:
    failing = False

    def send(asked: Asked) -> Answered:
        answered = api.send(asked)
        for task_id in began(world):
            if failing:
                making.abort(world.ports, task_id, FAILURE)
            else:
                run(world.ports, task_id)
        return answered

    client = GoClient(send, api.key())
    volume = client.execute(world.snapshot.id, "restore", {"name": "again"})
    assert (volume["name"], volume["sizeInGb"]) == ("again", 3)
    assert client.execute(world.snapshot.id, "createTemplate")["id"].startswith("ami-")
    failing = True
    with pytest.raises(ClientError) as told:
        client.execute(world.snapshot.id, "restore")
    assert told.value.errors[0][1] == FAILURE.message
