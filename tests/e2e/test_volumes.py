"""The documented commands about snapshots of volumes as a shell runs them: only host, key and id are other ones."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.curl import run
from tests.e2e.served import Served, send
from tests.local.environments import VOLUME_NAME, Seeded, seed_environment
from tests.local.http_messages import Answer

LIST = """
curl -X GET \\
   -H "MC-Api-Key: your_api_key" \\
   "https://api.cloud.ca/v1/services/compute-on/test_area/snapshots"
"""
RETRIEVE = """
curl -X GET \\
   -H "MC-Api-Key: your_api_key" \\
   "https://api.cloud.ca/v1/services/compute-on/test_area/snapshots/1bd672f4-b274-4371-a792-b0a6c6778cc7"
"""
ID_IN_THE_DOCUMENT = "1bd672f4-b274-4371-a792-b0a6c6778cc7"
DOCUMENTED = ["id", "name", "state", "intervalType", "volumeId", "volume", "volumeType"]
ENVIRONMENT = "/v1/services/compute-on/test_area"
_TASK_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def volume(served_stack: Served) -> Seeded:
    """The environment's volume."""
    return seed_environment(served_stack)


@pytest.fixture(scope="module")
def key(served_stack: Served) -> str:
    return served_stack.key(tenants=(), environments=("compute-on/test_area",))


def asked(served: Served, command: str, key: str) -> Answer:
    """The answer to a documented command, at this stack and with this key."""
    changed = command.replace("https://api.cloud.ca", served.url).replace("your_api_key", key)
    return run(changed.replace("\\\n", " ").strip())


def call(served: Served, key: str, method: str, path: str, document: object = None) -> Answer:
    body = None if document is None else json.dumps(document).encode()
    fields = {"MC-Api-Key": key, **({"Content-Type": "application/json"} if body else {})}
    return send(served.url, method, path, fields, body)


def over(served: Served, key: str, begun: Any) -> Any:
    """A task when it is over."""
    deadline = time.monotonic() + _TASK_TIMEOUT_S
    while True:
        task = call(served, key, "GET", f"/v1/tasks/{begun['taskId']}").json()
        if task["taskStatus"] != "PENDING":
            return task
        assert time.monotonic() < deadline, task
        time.sleep(0.1)


def test_documented_commands_give_exactly_the_documented_members(
    served_stack: Served, volume: Seeded, key: str
) -> None:
    created = call(
        served_stack, key, "POST", f"{ENVIRONMENT}/snapshots?operation=create", {"volumeId": volume.shown_as}
    )
    assert created.status == 202, created
    task = over(served_stack, key, created.json())
    assert task["taskStatus"] == "SUCCESS", task

    listed = asked(served_stack, LIST, key)
    assert (listed.status, listed.headers["Content-Type"]) == (200, "application/json")
    assert list(listed.json()) == ["data", "metadata"]
    # Other tests may have taken some of other volumes.
    shown = listed.json()["data"]
    assert listed.json()["metadata"] == {"recordCount": len(shown)}
    assert {tuple(snapshot) for snapshot in shown} == {tuple(DOCUMENTED)}
    [one] = [snapshot for snapshot in shown if snapshot["volumeId"] == volume.shown_as]
    assert one["name"].startswith("i-douglas-ADM_foo_")
    assert {name: one[name] for name in DOCUMENTED[2:]} == {
        "state": "BackedUp",
        "intervalType": "MANUAL",
        "volumeId": volume.shown_as,
        "volume": VOLUME_NAME,
        "volumeType": "DATADISK",
    }
    assert task["data"]["result"] == one

    got = asked(served_stack, RETRIEVE.replace(ID_IN_THE_DOCUMENT, one["id"]), key)
    assert (got.status, got.json()) == (200, {"data": one})
    filtered = asked(served_stack, LIST.replace("/snapshots", f"/snapshots?volume_id={volume.shown_as}"), key)
    assert filtered.json() == {"data": [one], "metadata": {"recordCount": 1}}
    other = asked(served_stack, LIST.replace("/snapshots", f"/snapshots?volume_id={ID_IN_THE_DOCUMENT}"), key)
    assert other.json() == {"data": [], "metadata": {"recordCount": 0}}


def test_documented_commands_say_what_is_wrong_in_the_documented_form(
    served_stack: Served, volume: Seeded, key: str
) -> None:
    tenants = served_stack.key(environments=())
    told = []
    for command, with_key in (
        (RETRIEVE, key),
        (RETRIEVE.replace(ID_IN_THE_DOCUMENT, "foo"), key),
        (LIST, "your_api_key"),
        (LIST, tenants),
        (LIST.replace("test_area", "production"), key),
        (LIST.replace("/snapshots", "/nothing"), key),
        (LIST.replace("/snapshots", "/nothing"), "your_api_key"),
        (LIST.replace("GET", "PATCH"), key),
        (LIST.replace("GET", "PATCH"), "your_api_key"),
    ):
        answer = asked(served_stack, command, with_key)
        [error] = answer.json()["errors"]
        assert list(error) == ["code", "errorCode", "message", "context"]
        assert error["errorCode"] == str(error["code"])
        told.append(answer.status)
    assert told == [404, 400, 403, 403, 403, 404, 403, 405, 403]
    denied = asked(served_stack, LIST, tenants)
    assert "not for this environment" in denied.json()["errors"][0]["message"]


def test_volumes_of_the_environment_are_listed_and_others_are_not(
    served_stack: Served, volume: Seeded, key: str
) -> None:
    untagged = served_stack.client("ec2").create_volume(AvailabilityZone=f"{volume.region}a", Size=1)["VolumeId"]
    answer = call(served_stack, key, "GET", f"{ENVIRONMENT}/volumes/?")
    assert answer.status == 200
    shown = {one["id"]: one for one in answer.json()["data"]}
    assert answer.json()["metadata"] == {"recordCount": len(shown)}
    one = shown[volume.shown_as]
    assert (one["name"], one["instanceName"], one["sizeInGb"]) == (VOLUME_NAME, "i-douglas-ADM", 1)
    assert replace(volume, volume_id=untagged).shown_as not in shown
