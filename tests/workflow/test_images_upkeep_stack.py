"""Collection, scrub and verification of images of volumes as they are deployed, beside a tenant's."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.local.keys import headers_of, seed_key
from tests.local.stack import Execution, LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.conftest import SMALL
from tests.workflow.volume import Volume
from tidemark.domain.environment import Environment, image_owner
from tidemark.domain.snapshot import Scope
from tidemark.domain.task import TaskStatus
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.errors import VolumeSnapshotNotFound
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.read_volume_snapshots import get_task
from tidemark.usecases.volume_phases.lifecycle import tags_of

TENANT = "smartcity"


@pytest.fixture(scope="module")
def volume() -> Iterator[Volume]:
    parameters = {**SMALL, "VolumeConcurrency": "2", "ScrubDays": "1"}
    with LocalStack.in_process(parameters=parameters, wait_scale=0) as stack:
        found = Volume(stack)
        headers = headers_of(seed_key(stack), TENANT)
        room = {"id": "room-1", "type": "Room", "temperature": {"type": "Number", "value": 1}}
        assert stack.http("POST", "/v2/entities", headers, room).status == 201
        assert stack.http("POST", "/v2/snapshots", headers).status == 201
        yield found


def run(volume: Volume, machine: str, told: dict[str, Any]) -> Execution:
    client = volume.stack.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=volume.stack.physical_id(machine), input=json.dumps(told))
    return volume.stack.wait_execution(arn["executionArn"])


def collect(volume: Volume, *, dry: bool = False) -> Execution:
    return run(volume, "CollectStateMachine", {"dryRun": dry})


def packs_of(volume: Volume, snapshot: VolumeSnapshot) -> dict[str, int]:
    """The packs that a snapshot has stored itself, with their sizes."""
    bucket = volume.stack.outputs["BucketName"]
    prefix = f"{image_owner(volume.environment)}/packs/{snapshot.id}/"
    found = volume.stack.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {one["Key"]: one["Size"] for one in found if one["Key"].endswith(".pack")}


def test_what_a_deleted_snapshot_alone_needs_goes_and_what_died_is_closed(volume: Volume) -> None:
    volume.write({0: body("a"), 7: body("b")})
    first = volume.take()
    volume.write({7: body("c")})
    second = volume.take()
    (task,) = [delete_volume_snapshot(volume.ports, volume.environment, first.id)]
    # A process that died has left one at EC2, and an execution that nobody started a snapshot that is to be made.
    volume.stack.client("ec2").create_snapshot(
        VolumeId=volume.seeded.volume_id,
        TagSpecifications=[
            {
                "ResourceType": "snapshot",
                "Tags": [{"Key": key, "Value": value} for key, value in tags_of(second).items()],
            }
        ],
    )
    dry = collect(volume, dry=True)
    assert dry.status == "SUCCEEDED", dry
    assert len(volume.at_ec2()) == 1
    ended = collect(volume)
    assert ended.status == "SUCCEEDED", ended
    report = ended.output["outcome"]["report"]
    assert (report["tenants"], report["environments"], report["finished"]) == (1, 1, 2)
    assert (report["closed"], report["purged"]) == (1, 1)
    assert report == {**dry.output["outcome"]["report"], "closed": 1}
    assert volume.at_ec2() == set()
    with pytest.raises(VolumeSnapshotNotFound):
        volume.record(first.id)
    # The second one is made of what the first has stored, but for a block.
    assert packs_of(volume, first) != {}
    assert volume.content(volume.record(second.id)) == volume.now
    assert get_task(volume.ports, "*", task.id).task.status is TaskStatus.SUCCESS
    assert get_task(volume.ports, "*", first.task_id or "").task.status is TaskStatus.SUCCESS


def test_other_environments_and_tenants_are_collected_when_one_can_not_be_closed(volume: Volume) -> None:
    (kept,) = list(volume.ports.volumes.volume_snapshots(volume.environment))
    assert isinstance(kept, VolumeSnapshot)
    volume.write({9: body("d")})
    gone = volume.take()
    delete_volume_snapshot(volume.ports, volume.environment, gone.id)
    made = Environment("compute-on", "damaged", volume.seeded.region, datetime(2026, 1, 15, tzinfo=UTC), {"a": "b"})
    volume.ports.volumes.add_environment(made)
    place = {"pk": {"S": "ENVIRONMENTS"}, "sk": {"S": made.id}}
    dynamodb, table = volume.stack.client("dynamodb"), volume.stack.outputs["CatalogTableName"]
    row = dynamodb.get_item(TableName=table, Key=place)["Item"]
    dynamodb.put_item(TableName=table, Item=row | {"record": {"S": row["record"]["S"].replace("damaged", "other")}})
    ended = collect(volume)
    assert (ended.status, ended.error) == ("FAILED", "NotAllCollected")
    assert made.id in (ended.cause or "")
    assert packs_of(volume, gone) == {}
    dynamodb.delete_item(TableName=table, Key=place)
    assert collect(volume).status == "SUCCEEDED"


def test_damage_is_found_by_the_scrub_and_the_next_snapshot_is_a_full_copy_until_all_is_verified(
    volume: Volume,
) -> None:
    volume.write({11: body("e")})
    before = volume.take()
    bucket, s3 = volume.stack.outputs["BucketName"], volume.stack.client("s3")
    clean = run(volume, "ScrubStateMachine", {})
    assert (clean.status, clean.output["scrubbed"]["damaged"]) == ("SUCCEEDED", 0)
    noted = volume.record(before.id).verification
    assert noted is not None
    assert (noted.ok, noted.scope) == (True, Scope.SAMPLE)

    stored = {}
    for snapshot in volume.ports.volumes.volume_snapshots(volume.environment):
        assert isinstance(snapshot, VolumeSnapshot)
        for key, size_bytes in packs_of(volume, snapshot).items():
            stored[key] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            s3.put_object(Bucket=bucket, Key=key, Body=bytes(size_bytes), ChecksumAlgorithm="SHA256")
    found = run(volume, "ScrubStateMachine", {})
    assert (found.status, found.output["scrubbed"]["damaged"]) == ("SUCCEEDED", len(stored))
    damaged = volume.record(before.id).verification
    assert damaged is not None
    assert damaged.failure is not None
    assert damaged.failure.code == "PackCorrupt"
    whole = volume.take()
    assert (whole.state, whole.parent_id) == (VolumeSnapshotState.STORED, None)
    assert volume.content(whole) == volume.now

    told = {"tenant": image_owner(volume.environment), "snapshotId": before.id}
    assert run(volume, "VerifyStateMachine", told).status == "SUCCEEDED"
    assert volume.record(before.id).verification == replace(
        volume.record(before.id).verification or damaged, ok=False, scope=Scope.FULL
    )
    for key, content in stored.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")
    assert run(volume, "VerifyStateMachine", told).status == "SUCCEEDED"
    again = volume.record(before.id).verification
    assert again is not None
    assert (again.ok, again.scope) == (True, Scope.FULL)
    assert again.checked_packs > 0
