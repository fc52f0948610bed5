"""Schedules of volumes on a local stack: made over HTTP, delivered by its clock, run by the deployed machines."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.local.environments import TAGS
from tests.local.stack import LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.conftest import SMALL
from tests.workflow.volume_schedules import HOUR, VolumeSchedules
from tidemark.domain.schedule import RunStatus
from tidemark.domain.volume import volume_id
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot

pytestmark = pytest.mark.timeout(300)


class Scheduled(VolumeSchedules):
    """The volume, its schedules, and the clock that delivers them."""

    def until(self, moment: datetime, schedule_id: str) -> list[str]:
        """Let EventBridge Scheduler deliver the slots until then; the states that their executions end in."""
        done = self.stack.fire_due_schedules(moment, only=lambda name: name.endswith(schedule_id))
        return [self.stack.history(one.execution_arn)[-1] for one in done]


@pytest.fixture(scope="module")
def scheduled() -> Iterator[Scheduled]:
    with LocalStack.in_process(parameters=SMALL, wait_scale=0.05) as stack:
        yield Scheduled(stack)


def test_three_slots_leave_two_snapshots_when_two_are_to_be_kept(scheduled: Scheduled) -> None:
    schedule = scheduled.made()
    first = datetime.fromisoformat(schedule["nextDue"])
    by_hand = create_volume_snapshot(scheduled.ports, scheduled.environment, Wanted(scheduled.volume_id))
    for slot in range(3):
        scheduled.write({7: body(f"slot {slot}")})
        assert scheduled.until(first + slot * HOUR, schedule["id"]) == ["BackedUp"]
    newest, older, manual = scheduled.listed()
    assert {one["state"] for one in (newest, older, manual)} == {"BackedUp"}
    assert [one["intervalType"] for one in (newest, older, manual)] == ["HOURLY", "HOURLY", "MANUAL"]
    assert manual["id"] == by_hand.snapshot_id
    stored = [scheduled.content(scheduled.record(one["id"])) for one in (newest, older)]
    assert stored == [{7: body("slot 2")}, {7: body("slot 1")}]
    shown = scheduled.http("GET", f"/schedules/{schedule['id']}", 200)["data"]
    assert shown["last"] == {
        "due": f"{first + 2 * HOUR:%Y-%m-%dT%H:%M:%S}+0000",
        "state": "COMPLETED",
        "snapshotId": newest["id"],
    }
    assert scheduled.at_ec2() == set()
    assert [one.slot_at for one in scheduled.deleted()] == [first]
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
    schedule = scheduled.made(volumeId=volume_id(scheduled.seeded.region, gone), intervalType="DAILY")
    scheduled.stack.client("ec2").delete_volume(VolumeId=gone)
    assert scheduled.until(datetime.fromisoformat(schedule["nextDue"]), schedule["id"]) == ["BackupFailed"]
    last = scheduled.http("GET", f"/schedules/{schedule['id']}", 200)["data"]["last"]
    assert (last["state"], last["errors"][0]["code"]) == ("FAILED", 404)
    assert "delete the schedule" in last["errors"][0]["message"]
    record = scheduled.ports.catalog.schedule(scheduled.owner, schedule["id"])
    assert record.last_run is not None
    assert record.last_run.status is RunStatus.FAILED
    scheduled.http("DELETE", f"/schedules/{schedule['id']}", 200)


def test_slots_that_were_lost_are_told_by_the_watch(scheduled: Scheduled) -> None:
    schedule = scheduled.made(minute=30)
    due = datetime.fromisoformat(schedule["nextDue"])
    assert (
        len(scheduled.stack.scheduler.lose_due(due + 1.5 * HOUR, only=lambda name: name.endswith(schedule["id"]))) == 2
    )
    assert scheduled.stack.invoke("WatchFunction", {}) == {"missed": 1}
    last = scheduled.http("GET", f"/schedules/{schedule['id']}", 200)["data"]["last"]
    assert (last["state"], last["due"]) == ("MISSED", f"{due:%Y-%m-%dT%H:%M:%S}+0000")
    scheduled.http("DELETE", f"/schedules/{schedule['id']}", 200)
