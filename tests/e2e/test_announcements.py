"""A tenant's story as the event bus tells it: taken, restored, failed, deleted; each event in the documented form."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from tests.contract.examples import schedule
from tests.e2e import walk
from tests.e2e.inside import Inside
from tests.fakes import MemoryWorkflows
from tests.local.keys import headers_of, seed_key
from tests.local.listening import Listener
from tests.local.stack import LocalStack
from tests.local.streams import Streams
from tests.repo.sources import EVENTS
from tests.unit.blocks.imaging import body
from tests.unit.volumes import examples as volumes
from tests.workflow.volume import Volume
from tidemark.domain.environment import image_owner
from tidemark.domain.schedule import LastRun, Missed, RunStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_volume_snapshot import RestoreWish, restore_volume_snapshot

PARAMETERS = {
    "ShardsPerTenant": "2",
    "GatesPerTenant": "2",
    "StageConcurrency": "1",
    "ShardConcurrency": "1",
    "ReadDrainSeconds": "0",
}
SCHEMA = json.loads((EVENTS / "announcements" / "schema.json").read_text(encoding="utf-8"))
FEEDING_TIMEOUT_S = 60


@pytest.fixture
def inside() -> Iterator[Inside]:
    with LocalStack.in_process(parameters=PARAMETERS, wait_scale=0) as stack:
        yield Inside(stack)


class Told:
    """What the bus tells of the stack, fed from the stream when it is asked."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._listener = Listener(stack, stack.outputs["EventBusName"])
        self.all: list[dict[str, Any]] = []

    def since(self) -> list[tuple[str, str]]:
        """The kinds of the events since the last call, and which record each is about."""
        self._stack.streams.deliver()
        found = self._listener.heard()
        for event in found:
            OAS31Validator(SCHEMA).validate(event)
        self.all += found
        return [(event["detail-type"], _about(event)) for event in found]

    @property
    def last(self) -> dict[str, Any]:
        """The detail of the last event."""
        detail: dict[str, Any] = self.all[-1]["detail"]
        return detail


def _about(event: dict[str, Any]) -> str:
    kinds = {"Restore": "restoreId", "Backup": "scheduleId", "Volume Restore": "taskId"}
    return str(event["detail"][kinds.get(event["detail-type"].rpartition(" ")[0], "snapshotId")])


def test_story_is_told_in_its_order(inside: Inside) -> None:
    told, call = Told(inside.stack), inside.caller("smartcity")
    walk.put_rooms(call, 3)
    made = walk.create(call, "nobody else is told this")["id"]
    assert told.since() == [("Snapshot Completed", made)]
    assert (told.last["tenant"], told.last["trigger"], told.last["entityCount"]) == ("smartcity", "manual", 3)

    done = walk.restore(call, made)
    safety = done["safetySnapshotId"]
    events = told.since()
    # The safety snapshot belongs to the restore; the bus tells both.
    assert [event for event in events if event[1] == done["id"]] == [
        ("Restore Started", done["id"]),
        ("Restore CutOver", done["id"]),
        ("Restore Completed", done["id"]),
    ]
    assert events.index(("Restore CutOver", done["id"])) < events.index(("Snapshot Completed", safety))
    assert len(events) == 4

    assert call("DELETE", f"/v2/snapshots/{safety}").status == 204
    assert told.since() == [("Snapshot Deleted", safety)]
    assert call("POST", f"/v2/snapshots/{safety}/undelete").status == 200
    assert told.since() == []

    failed = create_snapshot(replace(inside.ports, workflows=MemoryWorkflows()), call.tenant, budget_s=-1)
    capture = {"tenant": call.tenant, "snapshotId": failed.id, "captureId": failed.capture_id, "attempt": 1}
    inside.stack.invoke("AbortFunction", {**capture, "error": "States.Timeout", "cause": ""})
    assert told.since() == [("Snapshot Failed", failed.id)]
    assert told.last["error"]["code"] == "Unavailable"

    manifest = inside.ports.catalog.snapshot(call.tenant, made).manifest
    assert manifest is not None
    inside.damage(manifest.key)
    assert call("POST", f"/v2/snapshots/{made}/verify").json()["verification"]["status"] == "failed"
    assert told.since() == [("Verification Failed", made)]
    rolled_back = walk.restore(call, made)
    assert told.since() == [("Restore Started", rolled_back["id"]), ("Restore RolledBack", rolled_back["id"])]
    assert told.last["status"] == "failed"
    assert "nobody else is told this" not in json.dumps(told.all)


def test_backups_that_were_not_made_are_told(inside: Inside) -> None:
    told, catalog = Told(inside.stack), inside.ports.catalog
    slot_at = datetime.now(UTC).replace(microsecond=0)
    held = catalog.add_schedule(schedule())
    failed = LastRun(slot_at, slot_at, RunStatus.FAILED, failure=Failure("PackCorrupt", "a pack is damaged"))
    held = catalog.replace_schedule(replace(held, last_run=failed))
    assert told.since() == [("Backup Failed", held.id)]
    missed = Missed(slot_at + timedelta(hours=1), RunStatus.MISSED, "nobody delivered it", slot_at)
    held = catalog.replace_schedule(replace(held, last_missed=missed))
    catalog.replace_schedule(replace(held, paused=True))
    assert told.since() == [("Backup Missed", held.id)]
    assert told.last["error"] == {"code": "BackupMissed", "description": "nobody delivered it"}


def test_what_becomes_of_volumes_is_told(inside: Inside) -> None:
    told, catalog, scheduled = Told(inside.stack), inside.ports.volumes, inside.ports.catalog
    begun = catalog.add_volume_snapshot(volumes.snapshot())
    assert told.since() == []
    failed = catalog.replace_volume_snapshot(begun.failed(volumes.FAILURE))
    into = catalog.add_task(volumes.task(operation=Operation.RESTORE))
    catalog.replace_task(into.succeeded(datetime.now(UTC), volumes.VOLUME_ID))
    gone = catalog.replace_volume_snapshot(catalog.replace_volume_snapshot(failed.deleting()).deleted())
    assert told.since() == [
        ("Volume Snapshot Failed", begun.id),
        ("Volume Restore Completed", into.id),
        ("Volume Snapshot Deleted", gone.id),
    ]
    slot_at = datetime.now(UTC).replace(microsecond=0)
    missed = Missed(slot_at, RunStatus.MISSED, "nobody delivered it", slot_at)
    owner = image_owner(volumes.TEST_AREA)
    held = scheduled.add_schedule(replace(schedule(), tenant=owner, volume_id=volumes.VOLUME_ID, last_missed=missed))
    assert told.since() == [("Backup Missed", held.id)]
    assert {event["detail"]["environment"] for event in told.all} == {volumes.TEST_AREA}
    assert told.last["volumeId"] == volumes.VOLUME_ID


def test_volume_that_is_backed_up_and_restored_is_told(inside: Inside) -> None:
    told, volume = Told(inside.stack), Volume(inside.stack, size_gib=1)
    volume.write({0: body("a"), 7: body("b")})
    stored = volume.take()
    assert told.since() == [("Volume Snapshot Completed", stored.id)]
    assert told.last["volumeBytes"] == 1024**3
    assert told.last["sizeBytes"] == told.last["newBytes"] > 0

    task = restore_volume_snapshot(volume.ports, volume.environment, stored.id, RestoreWish())
    [running] = [one for one in inside.stack.executions("VolumeRestoreStateMachine") if one.name.startswith(task.id)]
    inside.stack.wait_execution(running.arn)
    assert told.since() == [("Volume Restore Completed", task.id)]
    assert told.last["volumeId"] == volume.ports.volumes.task(task.id).result_id


def test_stream_that_is_delivered_again_tells_the_same_ids(inside: Inside) -> None:
    told, call = Told(inside.stack), inside.caller("smartcity")
    walk.put_rooms(call, 1)
    for _ in range(3):
        made = walk.create(call)["id"]
    assert call("DELETE", f"/v2/snapshots/{made}").status == 204
    first = told.since()
    Streams(inside.stack.deployment.streams, inside.stack.functions.invoke, inside.stack.aws).deliver()
    assert told.since() == first
    ids = [event["detail"]["id"] for event in told.all]
    assert ids == ids[:4] * 2
    assert len(set(ids)) == 4


def test_what_the_bus_does_not_take_is_kept_in_the_queue_and_holds_up_nothing(inside: Inside) -> None:
    call, stack = inside.caller("smartcity"), inside.stack
    bus, url = stack.outputs["EventBusName"], stack.physical_id("AnnouncementDeadLetters")
    stack.client("events").delete_event_bus(Name=bus)
    walk.put_rooms(call, 1)
    walk.create(call)
    stack.streams.deliver()
    [kept] = stack.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(kept["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1
    assert any("event bus" in line or "on the bus" in line for line in stack.log_lines("AnnounceFunction"))
    stack.client("events").create_event_bus(Name=bus)
    told = Told(stack)
    made = walk.create(call)["id"]
    assert told.since() == [("Snapshot Completed", made)]


def test_alarms_are_mailed_and_the_bus_is_the_one_that_is_named() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:operators"
    parameters = {"AlarmEmail": "ops@example.org", "AlarmTopicArn": topic, "EventBusName": "default"}
    with LocalStack.in_process(parameters={**PARAMETERS, **parameters}, wait_scale=0) as stack:
        alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        own = stack.physical_id("AlarmTopic")
        assert {tuple(alarm["AlarmActions"]) for alarm in alarms} == {(topic, own)}
        [subscription] = stack.client("sns").list_subscriptions_by_topic(TopicArn=own)["Subscriptions"]
        assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.org")
        assert "EventBus" not in stack.deployment.physical_ids
        told, inside = Told(stack), Inside(stack)
        made = walk.create(inside.caller("smartcity"))["id"]
        assert told.since() == [("Snapshot Completed", made)]


def test_served_stack_announces_by_itself() -> None:
    with LocalStack.serve(parameters=PARAMETERS) as stack:
        listener = Listener(stack, stack.outputs["EventBusName"])
        stack.streams.start()
        answer = stack.http("POST", "/v2/snapshots", headers_of(seed_key(stack)))
        deadline = time.monotonic() + FEEDING_TIMEOUT_S
        while not (heard := listener.heard()):
            assert time.monotonic() < deadline, stack.log_lines("AnnounceFunction")
            time.sleep(0.1)
        assert [(one["detail-type"], one["detail"]["snapshotId"]) for one in heard] == [
            ("Snapshot Completed", json.loads(answer.body)["id"])
        ]
