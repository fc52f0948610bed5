"""What a restore or template has while it is made, and gives back when that is over: a snapshot of EC2's, what was made
of it, and the use of the snapshot. Whoever meets one that nobody makes any more drives it on.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final, NamedTuple

from tidemark.domain.snapshot import Failure
from tidemark.domain.task import MAKING, Operation, Task, TaskStatus
from tidemark.errors import TaskEnded, TaskNotFound, VolumeNotMade, VolumeSnapshotNotFound
from tidemark.ports import Ports
from tidemark.ports.volumes import Disk, Disks, DiskSnapshot, MachineImage
from tidemark.usecases.contention import next_attempt
from tidemark.usecases.records import amend_task, amend_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, ask_ec2_again_in_s, region_of, user_of_task

TASK_TAG: Final = "tidemark:task"
RESTORED_TAG: Final = "tidemark:restored-from"
# Of the snapshot that is written to, and of no volume: whoever copies the tags of a volume to a backup of it does not
# make that one of the task's.
_TARGET_TAG: Final = "tidemark:target-of"
# With a name, what a volume bears beside the tags of its environment.
OWN_TAGS: Final = 4
# EBS itself gives a snapshot up to which nothing is written for three days.
_PATIENCE: Final = timedelta(days=7)


class Looked(NamedTuple):
    """Whether something at EC2 is ready by now; otherwise after how many seconds to look again."""

    ready: bool
    wait_s: int = 0


def tags_of(task: Task) -> Mapping[str, str]:
    """What all bears that the task makes at EC2, so that whoever makes it a second time finds it, and whoever ends the
    task too.
    """
    return {ENVIRONMENT_TAG: task.environment, TASK_TAG: task.id}


def target_tags_of(task: Task) -> Mapping[str, str]:
    """What the snapshot of EC2's bears that the task writes to."""
    return {**tags_of(task), _TARGET_TAG: task.snapshot_id}


def made_by(task: Task, one: DiskSnapshot | Disk | MachineImage) -> bool:
    """Whether something that bears the task's tags is of the task's own making. Tags are copied too: to snapshots of a
    restored volume, to copies of an image, to what those are restored to. These are somebody's, and stay.
    """
    match one:
        case DiskSnapshot():
            return _TARGET_TAG in one.tags
        case Disk():
            return task.target_id is not None and one.snapshot_id == task.target_id
        case MachineImage():
            return task.target_id in one.snapshot_ids


def pending(ports: Ports, environment_id: str, task_id: str) -> Task:
    """The task, which is making something in that environment. Raises TaskEnded, TaskNotFound."""
    task = ports.volumes.task(task_id)
    if task.environment != environment_id:
        raise TaskNotFound(f"the task {task_id} is of environment {task.environment}, not of {environment_id}")
    if not is_pending(task):
        raise ended(task)
    return task


def ended(task: Task) -> TaskEnded:
    """What a step raises that finds its task over."""
    return TaskEnded(f"the task {task.id} is over: it is {task.status}")


def not_ready(ports: Ports, task: Task, what: str) -> Looked:
    """To look again later: longer each time.

    Raises VolumeNotMade once it has waited for longer than anything at EC2 takes.
    """
    age = ports.clock.now() - task.created_at
    if age > _PATIENCE:
        raise VolumeNotMade(f"{what} in {_PATIENCE.days} days; look at EC2's own state there, and ask for it again")
    return Looked(ready=False, wait_s=ask_ec2_again_in_s(age))


def is_pending(task: Task) -> bool:
    """Whether it is making something."""
    return task.status is TaskStatus.PENDING


def see_through(ports: Ports, task: Task) -> None:
    """Make sure that an execution ends the task: nothing is done while one runs or where it is over, otherwise the next
    attempt is started.
    """
    attempt = next_attempt(lambda number: ports.workflows.volume_restore_running(task.id, attempt=number))
    # It may have come to its end while its executions were looked at.
    if attempt is not None and is_pending(ports.volumes.task(task.id)):
        ports.workflows.start_volume_restore(task.environment, task.id, attempt=attempt)


def fail(ports: Ports, task_id: str, failure: Failure) -> Task:
    """Record why the task can't be done; one that is over stays what it is. Can be repeated."""
    now = ports.clock.now()
    return amend_task(
        ports.volumes, task_id, lambda record: record.failed(failure, now) if is_pending(record) else record
    )


def end(ports: Ports, task: Task) -> int:
    """Give back what a task has that is over; how many things were removed at EC2. One that is pending is left alone,
    and so is one that makes nothing of a snapshot. Can be repeated.
    """
    if is_pending(task) or task.operation not in MAKING:
        return 0
    removed = _remove(region_of(ports, task.environment).disks, task)
    # Last: while the use is noted, somebody knows that there may be something to remove.
    release(ports, task)
    return removed


def release(ports: Ports, task: Task) -> None:
    """Let go of the snapshot that the task makes something of. Can be repeated."""
    user = user_of_task(task.id)
    # What is gone has no users.
    with suppress(VolumeSnapshotNotFound):
        amend_volume_snapshot(
            ports.volumes, task.environment, task.snapshot_id, lambda record: record.released_by(user)
        )


def kept_of(task: Task) -> set[str | None]:
    """What a task that is over has made at EC2 and leaves there: of one that succeeded, what it was for; of a template
    the snapshot too, which the image is made of.
    """
    if task.status is not TaskStatus.SUCCESS:
        return set()
    return {task.made_id, task.target_id} if task.operation is Operation.CREATE_TEMPLATE else {task.made_id}


def _remove(disks: Disks, task: Task) -> int:
    """Remove what the task made at EC2 and nothing needs; how many things. They are looked for by their tags too:
    whoever dies right after EC2 has made something has not told of it.
    """
    tags, kept = tags_of(task), kept_of(task)
    images = {one.id for one in disks.images(tags) if made_by(task, one)} - kept
    for image_id in sorted(images):
        # First: while there is the image, its snapshot can't be deleted.
        disks.deregister_image(image_id)
    volumes = {one.id for one in disks.volumes(tags) if made_by(task, one)}
    if task.made_id is not None and task.operation is Operation.RESTORE:
        volumes.add(task.made_id)
    # One that somebody has attached by now is theirs, and stays.
    gone = [volume_id for volume_id in sorted(volumes - kept) if disks.delete_volume(volume_id)]
    snapshots = {one.id for one in disks.snapshots(tags) if made_by(task, one)}
    if task.target_id is not None:
        snapshots.add(task.target_id)
    snapshots -= kept
    for snapshot_id in sorted(snapshots):
        disks.delete_snapshot(snapshot_id)
    return len(images) + len(gone) + len(snapshots)
