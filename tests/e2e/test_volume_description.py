"""Requests about volumes made from the API's description, good and bad: as `test_description.py` does it of tenants."""

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.e2e.served import Served, send
from tests.e2e.test_description import CHECKED, EXAMPLES, FAILURES, LONGEST_QUERY_CHARS, described
from tests.local.aws import REGION
from tidemark.dialects.cloudca.routes import serves
from tidemark.dialects.ngsi.openapi.document import OPERATIONS as DESCRIBED
from tidemark.dialects.ngsi.openapi.operation import JSON
from tidemark.domain.volume import volume_id

OPERATIONS = {route: one for route, one in DESCRIBED.items() if serves(route.split(" ")[1])}
NAME = "described"
ENVIRONMENT = f"/v1/services/compute-on/{NAME}"
HOURLY = {"intervalType": "HOURLY", "keep": 2}
_TASK_TIMEOUT_S = 60
# A failing request is made smaller, which takes many more.
pytestmark = pytest.mark.timeout(180 + 5 * EXAMPLES)


class World(NamedTuple):
    """A stack with an environment of one volume, and ids of what is in it."""

    served: Served
    key: str
    ids: Mapping[str, str]

    def call(self, method: str, path: str, document: object = None) -> Any:
        """What a request that is obeyed is answered."""
        body = None if document is None else json.dumps(document).encode()
        fields = {"MC-Api-Key": self.key, **({"Content-Type": JSON} if body else {})}
        answer = send(self.served.url, method, path, fields, body)
        assert answer.status in {200, 202}, answer
        return answer.json()

    def over(self, begun: Any) -> Any:
        """A task that is over."""
        deadline = time.monotonic() + _TASK_TIMEOUT_S
        while (task := self.call("GET", f"/v1/tasks/{begun['taskId']}"))["taskStatus"] == "PENDING":
            assert time.monotonic() < deadline, task
            time.sleep(0.1)
        return task

    def snapshot(self) -> tuple[str, str]:
        """A new snapshot of the volume, and the task that has made it."""
        begun = self.call("POST", f"{ENVIRONMENT}/snapshots", {"volumeId": self.ids["volumeId"]})
        return self.over(begun)["data"]["result"]["id"], begun["taskId"]

    def named(self, path: str) -> dict[str, str]:
        return {name: one for name, one in self.ids.items() if f"{{{name}}}" in path}

    def made_for(self, route: str) -> dict[str, str]:
        """What a route takes away, ends, or waits for."""
        if route.startswith("DELETE") and "{snapshotId}" in route:
            return {"snapshotId": self.snapshot()[0]}
        if route.startswith("DELETE") and "{scheduleId}" in route:
            wanted = {**HOURLY, "intervalType": "DAILY", "volumeId": self.ids["volumeId"]}
            return {"scheduleId": self.call("POST", f"{ENVIRONMENT}/schedules", wanted)["data"]["id"]}
        if route.endswith("/uploads"):
            begun = self.call("POST", f"{ENVIRONMENT}/snapshots?operation=import", {"sizeBytes": 1 << 20})
            snapshot_id = begun["snapshot"]["id"]
            # None of its parts holds anything.
            open_ = self.call("GET", f"{ENVIRONMENT}/snapshots/{snapshot_id}/uploads")["data"]
            assert requests.put(open_["indexUrl"], b"", timeout=10).ok
            return {"snapshotId": snapshot_id}
        return {}


@pytest.fixture(scope="module")
def world(served_stack: Served) -> World:
    tags = [{"Key": "Environment", "Value": NAME}]
    source_id = served_stack.client("ec2").create_volume(
        AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    ids = {
        "serviceCode": "compute-on",
        "environmentName": NAME,
        "volumeId": volume_id(REGION, source_id),
    }
    world = World(served_stack, served_stack.key(tenants=(), environments=(f"compute-on/{NAME}",)), ids)
    snapshot_id, task_id = world.snapshot()
    schedule = world.call("POST", f"{ENVIRONMENT}/schedules", {**HOURLY, "volumeId": ids["volumeId"]})["data"]["id"]
    return world._replace(ids={**ids, "snapshotId": snapshot_id, "taskId": task_id, "scheduleId": schedule})


def check(world: World, session: requests.Session, case: Any) -> int:
    """Send a request and check the answer; its status."""
    response = case.call(base_url=world.served.url, session=session)
    status: int = response.status_code
    assert status not in FAILURES, (case, response.text, world.served.log_lines()[-3:])
    case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))
    return status


@pytest.mark.parametrize("route", OPERATIONS)
def test_examples_of_the_description_are_obeyed(world: World, route: str) -> None:
    method, path = route.split(" ")
    operation, entry = described()[path][method], OPERATIONS[route]
    query = {one.name: one.example for one in entry.parameters if one.required}
    examples = [
        {"body": {**one, **({"volumeId": world.ids["volumeId"]} if "volumeId" in one else {})}, "media_type": JSON}
        for one in (entry.body.examples.values() if entry.body else ())
    ]
    named = world.named(path) | world.made_for(route)
    for example in examples or [{}]:
        # What is made of an image waits for its parts.
        waiting = "sizeBytes" in example.get("body", {})
        if waiting:
            query = {**query, "operation": "import"}
        with requests.Session() as session:
            case = operation.Case(path_parameters=named, query=query, headers={"MC-Api-Key": world.key}, **example)
            response = case.call(base_url=world.served.url, session=session)
        case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))
        # What has ended can't be cancelled.
        expected = {400} if route == "DELETE /v1/tasks/{taskId}" else entry.answers.keys()
        assert response.status_code in expected
        if response.status_code == 202 and not waiting:
            world.over(response.json())


@pytest.mark.parametrize("route", [route for route, one in OPERATIONS.items() if one.parameters])
def test_answers_are_described_when_one_parameter_alone_is_wrong(world: World, route: str) -> None:
    method, path = route.split(" ")
    entry = OPERATIONS[route]
    with requests.Session() as session:
        for name in [one.name for one in entry.parameters if one.place == "query"]:
            for junk in ("", "-1;<"):
                case = described()[path][method].Case(
                    path_parameters=world.named(path),
                    query={name: junk},
                    headers={"MC-Api-Key": world.key},
                    **({"body": {}, "media_type": JSON} if entry.body else {}),
                )
                assert check(world, session, case) == 400


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("route", OPERATIONS)
def test_answers_are_described_whatever_is_asked(world: World, route: str, mode: GenerationMode) -> None:
    method, path = route.split(" ")
    operation = described()[path][method]
    headers = {"MC-Api-Key": world.key}
    cases: SearchStrategy[Any] = operation.as_strategy(generation_mode=mode, headers=headers)
    if method == "GET":
        cases |= operation.as_strategy(generation_mode=mode, headers=headers, path_parameters=world.named(path))
    elif "environmentName" in path:
        there = {name: world.ids[name] for name in ("serviceCode", "environmentName")}
        unknown = {name: "1bd672f4-b274-4371-a792-b0a6c6778cc7" for name in world.named(path) if name not in there}
        cases |= operation.as_strategy(generation_mode=mode, headers=headers, path_parameters={**unknown, **there})

    @settings(max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(cases)
    def ask(case: Any) -> None:
        assume(len(repr(case.query)) < LONGEST_QUERY_CHARS)
        check(world, session, case)

    with requests.Session() as session:
        ask()
