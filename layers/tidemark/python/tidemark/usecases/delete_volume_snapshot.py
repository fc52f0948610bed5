"""Delete a snapshot of a volume: EC2's too, if there is one. Its stored bytes are left to the collector."""

from typing import Final

from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task, new_task_id
from tidemark.domain.uuids import RANDOM_BYTES
from tidemark.errors import DiskSnapshotInUse, TransferCancelled
from tidemark.ports import Ports
from tidemark.usecases.read_volume_snapshots import get_volume_snapshot
from tidemark.usecases.records import amend_task, amend_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import drop_dead_users, remove_source
from tidemark.usecases.volume_phases.uploads import give_up

_GOES_ON: Final = "The snapshot is deleted with the next collection after that, or at once if it is deleted again"


def delete_volume_snapshot(
    ports: Ports, environment_id: EnvironmentId, snapshot_id: str, *, asked: Asked | None = None
) -> Task:
    """The task that deletes it, which is over when this returns. Where a call of it fails, repeating it goes on.

    An import whose parts are waited for is given up. Where EC2 keeps its own snapshot, since somebody has made an image
    of it, the task says so: the deletion goes on when it is repeated, or with the next collection.

    Raises EnvironmentNotFound, VolumeSnapshotNotFound, WrongState while it is being made, SnapshotInUse, DisksRefused.
    """
    found = get_volume_snapshot(ports, environment_id, snapshot_id)
    if found.awaits_upload:
        give_up(ports, found, Failure(TransferCancelled.__name__, "it was deleted before all its parts had arrived"))
    drop_dead_users(ports, found)
    snapshot = amend_volume_snapshot(ports.volumes, environment_id, snapshot_id, lambda record: record.deleting())
    task = ports.volumes.add_task(
        Task(
            id=new_task_id(ports.entropy.token_bytes(RANDOM_BYTES)),
            environment=environment_id,
            operation=Operation.DELETE,
            snapshot_id=snapshot.id,
            created_at=ports.clock.now(),
            asked=asked,
        )
    )
    # The record names EC2's snapshot until that is gone, and says that this one is gone after that alone.
    try:
        remove_source(ports, snapshot)
    except DiskSnapshotInUse as error:
        reason = Failure(error.code, f"{error.message}. {_GOES_ON}")
        return amend_task(ports.volumes, task.id, lambda record: record.held_up(reason))
    amend_volume_snapshot(ports.volumes, environment_id, snapshot_id, lambda record: record.deleted())
    return task
