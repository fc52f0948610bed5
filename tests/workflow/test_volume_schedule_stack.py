"""Schedules of volumes on a local stack: made over HTTP, delivered by its clock, run by the deployed machines."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local import volumes
from tests.local.environments import ENVIRONMENT_NAME, SERVICE_CODE, TAGS, seed_environment
from tests.local.keys import ports_of
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tests.unit.blocks.imaging import body
from tests.workflow.conftest import SMALL
from tidemark.domain.api_key import Action
from tidemark.domain.environment import Environment, image_owner
from tidemark.domain.schedule import RunStatus
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState, volume_id
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.ports import Ports
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.keys import create_key

pytestmark = pytest.mark.timeout(300)

PATH = f"/v1/services/{SERVICE_CODE}/{ENVIRONMENT_NAME}"
HOUR = timedelta(hours=1)


class Scheduled:
    """The environment of the page with its volume, and a key for it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.ports: Ports = ports_of(stack)
        self.seeded = seed_environment(stack, size_gib=1)
        made = Environment(SERVICE_CODE, ENVIRONMENT_NAME, self.seeded.region, datetime(2026, 1, 15, tzinfo=UTC), TAGS)
        self.environment = self.ports.volumes.add_environment(made).id
        self.volume_id = volume_id(self.seeded.region, self.seeded.volume_id)
        created = create_key(
            self.ports, name="test", tenants=(), actions=(Action.ADMIN,), environments=(self.environment,)
        )
        self._headers = {"MC-Api-Key": created.secret, "Content-Type": "application/json"}

    def http(self, method: str, path: str, status: int, document: object = None) -> Any:
        sent = b"" if document is None else json.dumps(document).encode()
        answer = self.stack.http(method, f"{PATH}{path}", self._headers, sent)
        assert answer.status == status, answer
        return json.loads(answer.body)

    def write(self, block: int, content: bytes) -> None:
        volumes.write(self.seeded.volume_id, block * BLOCK_BYTES, content)

    def until(self, moment: datetime, schedule_id: str) -> list[str]:
        """Let EventBridge Scheduler deliver the slots until then; the states that their executions end in."""
        done = self.stack.fire_due_schedules(moment, only=lambda name: name.endswith(schedule_id))
        return [self.stack.history(one.execution_arn)[-1] for one in done]

    def listed(self) -> list[dict[str, Any]]:
        """The snapshots, newest first."""
        found: list[dict[str, Any]] = self.http("GET", "/snapshots", 200)["data"]
        return found

    def block(self, snapshot_id: str, index: int) -> bytes | None:
        snapshot = self.ports.volumes.volume_snapshot(self.environment, snapshot_id)
        assert isinstance(snapshot, VolumeSnapshot)
        assert snapshot.image is not None
        manifest = manifests.read(self.ports.payloads, snapshot.image.manifest)
        return {one.index: one.body for one in images.read_image(self.ports, manifest)}.get(index)

    def at_ec2(self) -> list[Any]:
        return list(self.stack.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"])


@pytest.fixture(scope="module")
def scheduled() -> Iterator[Scheduled]:
    with LocalStack.in_process(parameters=SMALL, wait_scale=0.05) as stack:
        yield Scheduled(stack)


def test_three_slots_leave_two_snapshots_when_two_are_to_be_kept(scheduled: Scheduled) -> None:
    wanted = {"volumeId": scheduled.volume_id, "intervalType": "HOURLY", "keep": 2, "minute": 0}
    schedule = scheduled.http("POST", "/schedules", 200, wanted)["data"]
    first = datetime.fromisoformat(schedule["nextDue"])
    by_hand = create_volume_snapshot(scheduled.ports, scheduled.environment, Wanted(scheduled.volume_id))
    for slot in range(3):
        scheduled.write(7, body(f"slot {slot}"))
        assert scheduled.until(first + slot * HOUR, schedule["id"]) == ["BackedUp"]
    newest, older, manual = scheduled.listed()
    assert {one["state"] for one in (newest, older, manual)} == {"BackedUp"}
    assert [one["intervalType"] for one in (newest, older, manual)] == ["HOURLY", "HOURLY", "MANUAL"]
    assert manual["id"] == by_hand.snapshot_id
    assert [scheduled.block(one["id"], 7) for one in (newest, older)] == [body("slot 2"), body("slot 1")]
    shown = scheduled.http("GET", f"/schedules/{schedule['id']}", 200)["data"]
    assert shown["last"] == {
        "due": f"{first + 2 * HOUR:%Y-%m-%dT%H:%M:%S}+0000",
        "state": "COMPLETED",
        "snapshotId": newest["id"],
    }
    assert scheduled.at_ec2() == []
    records = list(scheduled.ports.volumes.volume_snapshots(scheduled.environment))
    gone = [one for one in records if isinstance(one, VolumeSnapshot) and one.state is VolumeSnapshotState.DELETED]
    assert [one.slot_at for one in gone] == [first]
    assert scheduled.http("DELETE", f"/schedules/{schedule['id']}", 200) == {"taskStatus": "SUCCESS"}
    assert scheduled.until(first + 4 * HOUR, schedule["id"]) == []
    assert len(scheduled.listed()) == 3


def test_volume_that_is_gone_fails_the_slot_and_the_schedule_says_why(scheduled: Scheduled) -> None:
    gone = scheduled.stack.client("ec2").create_volume(
        AvailabilityZone=f"{scheduled.seeded.region}a",
        Size=1,
        TagSpecifications=[
            {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()]}
        ],
    )["VolumeId"]
    wanted = {"volumeId": volume_id(scheduled.seeded.region, gone), "intervalType": "DAILY", "keep": 1}
    schedule = scheduled.http("POST", "/schedules", 200, wanted)["data"]
    scheduled.stack.client("ec2").delete_volume(VolumeId=gone)
    assert scheduled.until(datetime.fromisoformat(schedule["nextDue"]), schedule["id"]) == ["BackupFailed"]
    last = scheduled.http("GET", f"/schedules/{schedule['id']}", 200)["data"]["last"]
    assert (last["state"], last["errors"][0]["code"]) == ("FAILED", 404)
    assert "delete the schedule" in last["errors"][0]["message"]
    record = scheduled.ports.catalog.schedule(image_owner(scheduled.environment), schedule["id"])
    assert record.last_run is not None
    assert record.last_run.status is RunStatus.FAILED
    scheduled.http("DELETE", f"/schedules/{schedule['id']}", 200)


def test_slots_that_were_lost_are_told_by_the_watch(scheduled: Scheduled) -> None:
    wanted = {"volumeId": scheduled.volume_id, "intervalType": "HOURLY", "keep": 1, "minute": 30}
    schedule = scheduled.http("POST", "/schedules", 200, wanted)["data"]
    due = datetime.fromisoformat(schedule["nextDue"])
    assert (
        len(scheduled.stack.scheduler.lose_due(due + 1.5 * HOUR, only=lambda name: name.endswith(schedule["id"]))) == 2
    )
    assert scheduled.stack.invoke("WatchFunction", {}) == {"missed": 1}
    last = scheduled.http("GET", f"/schedules/{schedule['id']}", 200)["data"]["last"]
    assert (last["state"], last["due"]) == ("MISSED", f"{due:%Y-%m-%dT%H:%M:%S}+0000")
    scheduled.http("DELETE", f"/schedules/{schedule['id']}", 200)
