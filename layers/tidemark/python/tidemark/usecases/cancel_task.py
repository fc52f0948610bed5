"""Cancel a task that makes a volume or image of a snapshot. Its record says so at once; its execution, if one runs,
finds that and stops before it writes its next blocks.
"""

from typing import Final

from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Task
from tidemark.errors import TaskCancelled
from tidemark.ports import Ports
from tidemark.usecases.read_volume_snapshots import held_task
from tidemark.usecases.records import amend_task
from tidemark.usecases.volume_restore_phases.lifecycle import end

# It is recorded before anything is removed, and shown from then on.
_CANCELLED: Final = Failure(
    TaskCancelled.__name__,
    "the task was cancelled; what it had made at EC2 is removed, at the latest by the next collection",
)


def cancel_task(ports: Ports, held_environments: str, task_id: str) -> Task:
    """The task, cancelled, with nothing of it left at EC2. Can be repeated, also where a call of it fails.

    Raises TaskNotFound, also for one of an environment that the key does not hold; WrongState for one that is over, or
    that makes or deletes a snapshot; and Throttled while EC2 still makes what is to be removed.
    """
    held_task(ports, held_environments, task_id)
    now = ports.clock.now()
    task = amend_task(ports.volumes, task_id, lambda record: record.cancelled(_CANCELLED, now))
    end(ports, task)
    return task
