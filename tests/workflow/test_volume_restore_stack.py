"""Volumes and templates made of snapshots by the real functions on a local stack: EC2 and EBS direct are pretended."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import MemoryWorkflows
from tests.local import volumes
from tests.local.moto_ec2 import snapshots_settle
from tests.local.stack import Execution, LocalStack
from tests.local.volume_blocks import BLOCK_BYTES, GIB_BYTES
from tests.unit.blocks.imaging import body
from tests.workflow.conftest import SMALL
from tests.workflow.volume import OTHER_SHARD, SIZE_GIB, Volume
from tidemark.domain.task import Task, TaskStatus
from tidemark.domain.volume import VolumeId, VolumeSnapshot
from tidemark.engine import manifests
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.cancel_task import cancel_task
from tidemark.usecases.close_volume_restores import close_volume_restores
from tidemark.usecases.read_volumes import get_volume
from tidemark.usecases.restore_volume_snapshot import (
    RestoreWish,
    TemplateWish,
    create_volume_template,
    restore_volume_snapshot,
)
from tidemark.usecases.volume_restore_phases import writing

MACHINE = "VolumeRestoreStateMachine"
WRITTEN = ["Begin", "StillWanted", "WriteShards", "Complete", "AwaitTarget", "TargetReady"]


class Restores(Volume):
    """A volume with a snapshot, which it has changed since."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        self.write({0: body("a"), 7: body("b"), OTHER_SHARD: body("c")})
        self.moment = self.now
        self.snapshot: VolumeSnapshot = self.take()
        self.write({7: body("b later")})
        self.ec2: Any = stack.client("ec2")

    def restore(self, ports: Ports | None = None, wish: RestoreWish | None = None) -> Task:
        """A task that was asked for, which starts the machine."""
        return restore_volume_snapshot(ports or self.ports, self.environment, self.snapshot.id, wish or RestoreWish())

    def task(self, task: Task) -> Task:
        return self.ports.volumes.task(task.id)

    def over(self, task: Task) -> Execution:
        """The newest execution of a task, at its end."""
        found = next(one for one in self.stack.executions(MACHINE) if one.name.startswith(task.id))
        return self.stack.wait_execution(found.arn)

    def holds(self, volume_id: str) -> bool:
        """Whether a volume holds what the snapshot does, and nothing else."""
        blocks = {
            index: volumes.read(volume_id, index * BLOCK_BYTES, BLOCK_BYTES) for index in (*self.moment, 1, 4095, 4096)
        }
        same = all(content == self.moment.get(index, bytes(BLOCK_BYTES)) for index, content in blocks.items())
        return same and volumes.written_blocks(volume_id) == len(self.moment)

    def at_ec2(self) -> set[str]:
        """EC2's snapshots, and the volumes and images that tasks have made."""
        found = super().at_ec2()
        tagged = [{"Name": "tag-key", "Values": ["tidemark:task"]}]
        found |= {one["VolumeId"] for one in self.ec2.describe_volumes(Filters=tagged)["Volumes"]}
        return found | {one["ImageId"] for one in self.ec2.describe_images(Owners=["self"])["Images"]}

    def uses(self) -> frozenset[str]:
        return self.record(self.snapshot.id).used_by


@pytest.fixture(scope="module")
def world() -> Iterator[Restores]:
    with LocalStack.in_process(parameters={**SMALL, "VolumeConcurrency": "2"}, wait_scale=0) as stack:
        yield Restores(stack)


def test_volume_is_restored_into_the_environment(world: Restores) -> None:
    before = world.at_ec2()
    with snapshots_settle(looks=2):
        task = world.restore(wish=RestoreWish("again"))
        ended = world.over(task)
    assert ended.status == "SUCCEEDED", ended
    done = world.task(task)
    assert done.status is TaskStatus.SUCCESS
    shown = get_volume(world.ports, world.environment, VolumeId(done.result_id or ""))
    assert (shown.source_id, shown.name, shown.size_bytes) == (done.made_id, "again", SIZE_GIB * GIB_BYTES)
    assert world.holds(shown.source_id)
    assert (world.at_ec2() - before, world.uses()) == ({shown.source_id}, frozenset())
    path = [state for state in world.stack.history(ended.arn) if state in {*WRITTEN, "WaitForTarget", "MakeVolume"}]
    waited = ["WaitForTarget", "AwaitTarget", "TargetReady"]
    assert path == [*WRITTEN, *waited, *waited, "MakeVolume"]


def test_template_is_an_image_whose_instances_have_what_the_snapshot_holds(world: Restores) -> None:
    before = world.at_ec2()
    wish = TemplateWish("golden", "from a test")
    task = create_volume_template(world.ports, world.environment, world.snapshot.id, wish)
    assert world.over(task).status == "SUCCEEDED"
    done = world.task(task)
    [image] = world.ec2.describe_images(ImageIds=[done.result_id])["Images"]
    assert (image["Name"], image["Description"]) == ("golden", "from a test")
    assert image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == done.target_id
    assert (world.at_ec2() - before, world.uses()) == ({done.result_id, done.target_id}, frozenset())
    made = world.ec2.create_volume(SnapshotId=done.target_id, AvailabilityZone="eu-west-1a")
    assert world.holds(made["VolumeId"])


def test_damaged_block_ends_the_restore_naming_it_and_leaves_nothing(world: Restores) -> None:
    before = world.at_ec2()
    assert world.snapshot.image is not None
    pack = manifests.read(world.ports.payloads, world.snapshot.image.manifest).shards[1].layers[0].packs[0]
    s3, bucket = world.stack.client("s3"), world.stack.outputs["BucketName"]
    whole = s3.get_object(Bucket=bucket, Key=pack.key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=pack.key, Body=whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    try:
        task = world.restore()
        ended = world.over(task)
    finally:
        s3.put_object(Bucket=bucket, Key=pack.key, Body=whole)
    assert (ended.status, ended.error) == ("FAILED", "PackCorrupt")
    failure = world.task(task).failure
    assert failure is not None
    assert f"block {OTHER_SHARD} " in failure.message
    assert (world.at_ec2(), world.uses()) == (before, frozenset())


def test_cancelled_restore_ends_well_and_leaves_nothing(world: Restores) -> None:
    before = world.at_ec2()
    unstarted = replace(world.ports, workflows=MemoryWorkflows())
    task = world.restore(unstarted)
    writing.begin(world.ports, world.environment, task.id)
    assert world.at_ec2() > before
    cancel_task(world.ports, world.environment, task.id)
    assert (world.at_ec2(), world.uses()) == (before, frozenset())
    world.ports.workflows.start_volume_restore(world.environment, task.id, attempt=1)
    ended = world.over(task)
    assert ended.status == "SUCCEEDED"
    assert "AlreadyOver" in world.stack.history(ended.arn)
    failure = world.task(task).failure
    assert failure is not None
    assert failure.code == "TaskCancelled"


def test_restore_whose_execution_died_is_driven_on_by_the_next_collection(world: Restores) -> None:
    task = world.restore(replace(world.ports, workflows=MemoryWorkflows()))
    writing.begin(world.ports, world.environment, task.id)
    writing.write_shard(world.ports, world.environment, task.id, shard=0)
    target_id = world.task(task).target_id
    assert close_volume_restores(world.ports, world.environment) == (0, 1, ())
    assert world.over(task).status == "SUCCEEDED"
    done = world.task(task)
    assert (done.target_id, done.status) == (target_id, TaskStatus.SUCCESS)
    assert world.holds(done.made_id or "")
    assert close_volume_restores(world.ports, world.environment) == (0, 0, ())


def test_zone_that_ec2_does_not_have_is_refused_at_once_with_those_that_it_has(world: Restores) -> None:
    with pytest.raises(InvalidRequest, match=r"'eu-west-1z' .* eu-west-1a, eu-west-1b, eu-west-1c"):
        world.restore(wish=RestoreWish(zone="eu-west-1z"))
    assert world.uses() == frozenset()


def test_zone_that_has_closed_meanwhile_fails_the_restore_before_anything_is_written(world: Restores) -> None:
    before = world.at_ec2()
    task = world.task(world.restore(replace(world.ports, workflows=MemoryWorkflows())))
    assert task.making is not None
    world.ports.volumes.replace_task(replace(task, making=replace(task.making, zone="eu-west-1z")))
    world.ports.workflows.start_volume_restore(world.environment, task.id, attempt=1)
    assert world.over(task).status == "FAILED"
    ended = world.task(task)
    assert ended.failure is not None
    assert "the zone eu-west-1z now" in ended.failure.message
    assert ended.target_id is None
    assert (world.at_ec2(), world.uses()) == (before, frozenset())
