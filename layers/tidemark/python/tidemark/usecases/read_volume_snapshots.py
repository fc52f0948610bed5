"""List and get snapshots of volumes, and tasks."""

from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.api_key import holds_environment
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.volume import DamagedVolumeSnapshot, Volume, VolumeId, VolumeSnapshot, VolumeSnapshotState
from tidemark.errors import EnvironmentNotFound, TaskNotFound, VolumeNotFound, VolumeSnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.read_volumes import get_volume


class Found(NamedTuple):
    """The snapshots, newest first, and those whose records can't be read, which may be of any volume."""

    snapshots: list[VolumeSnapshot]
    damaged: list[DamagedVolumeSnapshot]


class TaskFound(NamedTuple):
    """A task, and the snapshot or volume that it has made, if it has and that is still there."""

    task: Task
    made: VolumeSnapshot | Volume | None


def list_volume_snapshots(ports: Ports, environment_id: str, *, volume_id: VolumeId | None = None) -> Found:
    """The snapshots of an environment that are not deleted: all, or those of one volume, which may be gone since.

    Raises EnvironmentNotFound.
    """
    environment = ports.volumes.environment(environment_id)
    found = Found([], [])
    for one in ports.volumes.volume_snapshots(environment.id):
        if isinstance(one, DamagedVolumeSnapshot):
            found.damaged.append(one)
        elif one.state is not VolumeSnapshotState.DELETED and volume_id in {None, one.volume_id}:
            found.snapshots.append(one)
    found.snapshots.sort(key=lambda one: (one.created_at, one.id), reverse=True)
    return found


def get_volume_snapshot(ports: Ports, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
    """One snapshot that is not deleted. Raises EnvironmentNotFound, VolumeSnapshotNotFound, CatalogCorrupt."""
    environment = ports.volumes.environment(environment_id)
    snapshot = ports.volumes.volume_snapshot(environment.id, snapshot_id)
    if snapshot.state is VolumeSnapshotState.DELETED:
        raise VolumeSnapshotNotFound(f"the snapshot {snapshot_id} was deleted")
    return snapshot


def find_task(ports: Ports, task_id: str) -> Task | None:
    """The record of a task; None where there is none, or no more."""
    try:
        return ports.volumes.task(task_id)
    except TaskNotFound:
        return None


def held_task(ports: Ports, held_environments: str, task_id: str) -> Task:
    """The record of a task, if it is of an environment that the key holds. Raises TaskNotFound."""
    task = ports.volumes.task(task_id)
    if not holds_environment(held_environments, task.environment):
        raise TaskNotFound(f"no task {task_id}")
    return task


def get_task(ports: Ports, held_environments: str, task_id: str) -> TaskFound:
    """One task, as it stands, if it is of an environment that the key holds, as `ApiKey.held_environments` writes them.

    Raises TaskNotFound.
    """
    task = held_task(ports, held_environments, task_id)
    if task.operation is Operation.RESTORE:
        return TaskFound(task, _restored(ports, task))
    try:
        snapshot = ports.volumes.volume_snapshot(task.environment, task.snapshot_id)
    except VolumeSnapshotNotFound:
        # The collector has forgotten it, which it does with those alone that are deleted.
        gone = task.operation is Operation.DELETE and task.status is TaskStatus.PENDING
        return TaskFound(replace(task, status=TaskStatus.SUCCESS, failure=None) if gone else task, None)
    task = as_it_stands(task, snapshot)
    there = snapshot.state is not VolumeSnapshotState.DELETED
    made = task.operation is Operation.CREATE and task.status is TaskStatus.SUCCESS and there
    return TaskFound(task, snapshot if made else None)


def _restored(ports: Ports, task: Task) -> Volume | None:
    """The volume that a task has made, unless it is gone, or is no longer one of the environment."""
    if task.status is not TaskStatus.SUCCESS or task.result_id is None:
        return None
    try:
        return get_volume(ports, task.environment, VolumeId(task.result_id))
    except (VolumeNotFound, EnvironmentNotFound):
        return None


def as_it_stands(task: Task, snapshot: VolumeSnapshot) -> Task:
    """A task that creates or deletes a snapshot is over when that is, which its record says: so there is no second
    record that somebody could die before writing.
    """
    if task.status is not TaskStatus.PENDING:
        return task
    match task.operation:
        case Operation.CREATE if snapshot.failure is not None:
            return replace(task, status=TaskStatus.FAILED, failure=snapshot.failure)
        case Operation.CREATE if snapshot.image is not None:
            return replace(task, status=TaskStatus.SUCCESS, finished_at=snapshot.image.verified_at)
        case Operation.DELETE if snapshot.state is VolumeSnapshotState.DELETED:
            return replace(task, status=TaskStatus.SUCCESS, failure=None)
        case Operation.DELETE if task.failure is not None:
            # It goes on once somebody has done what the reason says; nobody is to ask again and again until then.
            return replace(task, status=TaskStatus.FAILED)
        case _:
            return task
