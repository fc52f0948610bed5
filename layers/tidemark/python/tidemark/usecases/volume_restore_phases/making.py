"""The phases that make something of EC2's completed snapshot and end the task: MakeVolume, RegisterImage, Finish and
Abort.

Each can be repeated, run late, or twice at once. What is made bears the task's tags, and is the task's once its record
says so; what a run has made of a task that is over, it takes back.
"""

from typing import Final

from tidemark.domain.environment import Environment
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Making, Operation, Task
from tidemark.domain.volume import volume_id
from tidemark.errors import StageIncomplete, Throttled, VolumeNotFound, VolumeNotMade
from tidemark.ports import Ports
from tidemark.ports.volumes import Disks
from tidemark.usecases.records import amend_task
from tidemark.usecases.volume_restore_phases.lifecycle import (
    RESTORED_TAG,
    Looked,
    end,
    ended,
    fail,
    is_pending,
    not_ready,
    pending,
    tags_of,
)
from tidemark.usecases.volume_restore_phases.writing import target_of

_READY: Final = frozenset({"available", "in-use"})
_PENDING: Final = frozenset({"creating", "pending"})
_NAME: Final = "Name"


def make_volume(ports: Ports, environment_id: str, task_id: str) -> Looked:
    """Make a volume of the environment; whether it is ready by now: if not, call again. Raises TaskEnded,
    VolumeNotMade, DisksRefused; and Throttled where EC2 does not know it yet.
    """
    task = pending(ports, environment_id, task_id)
    environment = ports.volumes.environment(environment_id)
    disks = ports.region(environment.region).disks
    if task.made_id is None:
        task = _noted(ports, disks, task, _volume(disks, environment, task))
    made_id = _made(task)
    try:
        state = disks.volume(made_id).state
    except VolumeNotFound:
        raise Throttled(f"EC2 does not know the volume {made_id} yet, or no more; try again") from None
    return _ready(ports, task, state, f"the volume {made_id}")


def register_image(ports: Ports, environment_id: str, task_id: str) -> Looked:
    """Register a machine image; whether it is ready by now: if not, call again. Raises TaskEnded, VolumeNotMade,
    DisksRefused, also where its name is another image's.
    """
    task = pending(ports, environment_id, task_id)
    disks = ports.region(ports.volumes.environment(environment_id).region).disks
    making = making_of(task)
    if task.made_id is None:
        tags = {RESTORED_TAG: task.snapshot_id, **tags_of(task)}
        image_id = disks.register_image(target_of(task), name=making.name, description=making.description, tags=tags)
        task = _noted(ports, disks, task, image_id)
    made_id = _made(task)
    # One that EC2 does not list yet is not ready either.
    state = next((one.state for one in disks.images(tags_of(task)) if one.id == made_id), "pending")
    return _ready(ports, task, state, f"the image {made_id}")


def finish(ports: Ports, environment_id: str, task_id: str) -> Task:
    """The task, which has made what it was for; then remove what is not needed any more: EC2's snapshot, unless an
    image is made of it, and the use of ours. Raises StageIncomplete where nothing is made yet.
    """
    task = ports.volumes.task(task_id)
    if is_pending(task):
        made_id = _made(task)
        region = ports.volumes.environment(environment_id).region
        result_id = volume_id(region, made_id) if task.operation is Operation.RESTORE else made_id
        now = ports.clock.now()
        task = amend_task(
            ports.volumes, task_id, lambda record: record.succeeded(now, result_id) if is_pending(record) else record
        )
    end(ports, task)
    return task


def abort(ports: Ports, task_id: str, failure: Failure) -> Task:
    """Record why the task can't be done, unless it is over, and leave nothing of it at EC2."""
    task = fail(ports, task_id, failure)
    end(ports, task)
    return task


def making_of(task: Task) -> Making:
    """What a task is to make. Raises StageIncomplete where its record does not say."""
    if task.making is None:
        raise StageIncomplete(f"the record of task {task.id} does not say what is to be made of the snapshot")
    return task.making


def _volume(disks: Disks, environment: Environment, task: Task) -> str:
    """The id of the volume that the task has made, or makes now."""
    making = making_of(task)
    if making.zone is None or making.kind is None:
        raise StageIncomplete(f"the record of task {task.id} does not say where its volume is to be, or of what kind")
    tags = tags_of(task)
    # The token is forgotten by EC2 some time after; tags are not.
    for found in disks.volumes(tags):
        return found.id
    # With the environment's tags it is one of its volumes at once.
    told = {_NAME: making.name, RESTORED_TAG: task.snapshot_id, **tags, **environment.tags}
    made = disks.create_volume(target_of(task), zone=making.zone, kind=making.kind, token=task.id, tags=told)
    return made.id


def _noted(ports: Ports, disks: Disks, task: Task, made_id: str) -> Task:
    """The task, with what was made of it, unless another run was faster. Raises TaskEnded, after taking it back."""
    task = amend_task(
        ports.volumes,
        task.id,
        lambda record: record.having_made(made_id) if is_pending(record) and record.made_id is None else record,
    )
    # Where another run was faster, there are two volumes, but never two images, since these have one name.
    if task.made_id != made_id:
        if task.operation is Operation.RESTORE:
            disks.delete_volume(made_id)
        elif not is_pending(task):
            disks.deregister_image(made_id)
    if not is_pending(task):
        raise ended(task)
    return task


def _made(task: Task) -> str:
    if task.made_id is None:
        raise StageIncomplete(f"the task {task.id} has made nothing yet")
    return task.made_id


def _ready(ports: Ports, task: Task, state: str, what: str) -> Looked:
    if state in _READY:
        return Looked(ready=True)
    if state not in _PENDING:
        raise VolumeNotMade(f"EC2 could not make {what} of snapshot {task.snapshot_id}: its state is {state!r}")
    return not_ready(ports, task, f"EC2 did not make {what} ready")
