"""What is left of volumes for a collection to close and remove, for the rights that this needs."""

from dataclasses import replace
from typing import Any

from tests.fakes import MemoryWorkflows
from tests.local.stack import LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.volume import Volume
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task, TaskId
from tidemark.domain.uuids import random_uuid
from tidemark.domain.volume import VolumeSnapshotState
from tidemark.errors import VolumeSnapshotNotFound
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.restore_volume_snapshot import RestoreWish, restore_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import tags_of
from tidemark.usecases.volume_restore_phases.lifecycle import tags_of as tags_of_task
from tidemark.usecases.volume_restore_phases.lifecycle import target_tags_of


class UpkeepStory:
    """A deleted snapshot, what dead processes left at EC2, and a backup and a restore that nobody drives."""

    def __init__(self, stack: LocalStack) -> None:
        self._volume = Volume(stack, size_gib=1)
        self._ports = self._volume.ports
        self._ec2: Any = stack.client("ec2")
        unstarted = replace(self._ports, workflows=MemoryWorkflows())
        self._volume.write({0: body("kept")})
        kept = self._volume.take()
        self._volume.write({0: body("deleted")})
        self._deleted = self._volume.take()
        delete_volume_snapshot(self._ports, self._volume.environment, self._deleted.id)
        self._snapshot_of_ec2s(tags_of(kept))
        for operation in (Operation.RESTORE, Operation.CREATE_TEMPLATE):
            self._died(Task(_id(operation), self._volume.environment, operation, kept.id, kept.created_at))
        wanted = Wanted(kept.volume_id)
        self._backup = create_volume_snapshot(unstarted, self._volume.environment, wanted)
        self._restore = restore_volume_snapshot(unstarted, self._volume.environment, kept.id, RestoreWish())

    def collected(self, report: dict[str, Any]) -> None:
        """What a collection has made of it. What happened before may have left more; a tenant's snapshot has gone."""
        assert report["environments"] >= 1
        assert report["closed"] >= 3
        assert report["purged"] >= 2
        assert self._volume.ended(self._backup.snapshot_id).status == "SUCCEEDED"
        assert self._volume.record(self._backup.snapshot_id).state is VolumeSnapshotState.STORED
        arn = self._volume.stack.physical_id("VolumeRestoreStateMachine").replace(":stateMachine:", ":execution:")
        ended = self._volume.stack.wait_execution(f"{arn}:{self._restore.id}_1")
        assert ended.status == "SUCCEEDED", ended
        try:
            self._volume.record(self._deleted.id)
        except VolumeSnapshotNotFound:
            return
        raise AssertionError(self._deleted.id)

    def _died(self, task: Task) -> None:
        """A task that failed, whose process died before it removed what it had made."""
        target_id = self._snapshot_of_ec2s(target_tags_of(task))
        self._ports.volumes.add_task(
            replace(task, target_id=target_id).failed(Failure("TaskCancelled", ""), task.created_at)
        )
        tags = _written(tags_of_task(task))
        if task.operation is Operation.RESTORE:
            specified = [{"ResourceType": "volume", "Tags": tags}]
            self._ec2.create_volume(AvailabilityZone="eu-west-1a", SnapshotId=target_id, TagSpecifications=specified)
            return
        made = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": target_id}}
        self._ec2.register_image(
            Name="left",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[made],
            TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
        )

    def _snapshot_of_ec2s(self, tags: Any) -> str:
        specified = [{"ResourceType": "snapshot", "Tags": _written(tags)}]
        made = self._ec2.create_snapshot(VolumeId=self._volume.seeded.volume_id, TagSpecifications=specified)
        return str(made["SnapshotId"])


def _id(operation: Operation) -> TaskId:
    return TaskId(random_uuid(operation.encode().ljust(16, b".")[:16]))


def _written(tags: Any) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
