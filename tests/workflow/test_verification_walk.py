"""Verification and scrub through the REST API and both state machines, with the real functions on a local stack."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.keys import headers_of, seed_key
from tests.local.stack import Execution, LocalStack

ROOM = {"id": "Room1", "type": "Room", "temperature": {"type": "Number", "value": 23}}


class Walk:
    """A tenant with one snapshot on a stack where no verification fits a request."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.headers = headers_of(seed_key(stack))
        self.call("POST", "/v2/entities", ROOM)
        self.snapshot_id = self.call("POST", "/v2/snapshots")["id"]
        for execution in stack.executions("CaptureStateMachine"):
            assert stack.wait_execution(execution.arn).status == "SUCCEEDED"

    def call(self, method: str, path: str, body: object = None) -> Any:
        headers = self.headers if body is None else {**self.headers, "Content-Type": "application/json"}
        answer = self.stack.http(method, path, headers, b"" if body is None else body)
        assert answer.status in {200, 201, 202}, answer
        return answer.json() if answer.body else None

    def verification(self) -> Any:
        return self.call("GET", f"/v2/snapshots/{self.snapshot_id}").get("verification")

    def verify(self) -> Execution:
        assert self.call("POST", f"/v2/snapshots/{self.snapshot_id}/verify")["id"] == self.snapshot_id
        return self.ended("VerifyStateMachine")

    def scrub(self) -> Execution:
        machine = self.stack.physical_id("ScrubStateMachine")
        self.stack.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")
        return self.ended("ScrubStateMachine")

    def ended(self, machine: str) -> Execution:
        ended = [self.stack.wait_execution(one.arn) for one in self.stack.executions(machine)]
        assert {one.status for one in ended} == {"SUCCEEDED"}
        return ended[0]

    def damage(self) -> str:
        """Replace the snapshot's only pack by other bytes; its key."""
        s3, bucket = self.stack.client("s3"), self.stack.outputs["BucketName"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="smartcity/packs/")["Contents"]
        (pack,) = [entry["Key"] for entry in listed if entry["Key"].endswith(".pack")]
        s3.put_object(Bucket=bucket, Key=pack, Body=b"something else")
        return str(pack)


@pytest.fixture(scope="module")
def walk() -> Iterator[Walk]:
    with LocalStack.in_process(
        parameters={"InlineBudgetSeconds": "0", "ScrubDays": "1", "ShardsPerTenant": "2"}
    ) as stack:
        yield Walk(stack)


def test_verification_and_scrub_find_good_bytes_good_and_name_damage(walk: Walk) -> None:
    assert walk.verification() is None
    walk.scrub()
    sampled = walk.verification()
    assert (sampled["status"], sampled["scope"], sampled["checkedPacks"]) == ("passed", "sample", 1)
    walk.verify()
    verified = walk.verification()
    assert (verified["status"], verified["scope"], verified["checkedPacks"]) == ("passed", "full", 1)

    pack = walk.damage()
    walk.scrub()
    found = walk.verification()
    assert (found["status"], found["scope"], found["error"]["code"]) == ("failed", "sample", "PackCorrupt")
    assert pack in found["error"]["description"]
    walk.verify()
    found = walk.verification()
    assert (found["status"], found["scope"], found["error"]["code"]) == ("failed", "full", "PackCorrupt")
    assert pack in found["error"]["description"]


def test_schedule_starts_the_scrub_every_day(walk: Walk) -> None:
    found = walk.stack.client("scheduler").get_schedule(Name=walk.stack.physical_id("DailyScrub"))
    assert found["Target"]["Arn"] == walk.stack.physical_id("ScrubStateMachine")
    assert (found["ScheduleExpression"], found["Target"]["Input"]) == ("cron(17 3 * * ? *)", "{}")
