"""Tasks: what was asked for of a volume's snapshot and takes longer than a request, and how it ended."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.snapshot import Failure
from tidemark.domain.uuids import parse_uuid, random_uuid
from tidemark.domain.volume import VolumeSnapshotId
from tidemark.errors import WrongState

TaskId = NewType("TaskId", str)

# How long somebody can ask what became of a task.
KEPT_FOR: Final = timedelta(days=30)


class Operation(StrEnum):
    """What a task does to or with a snapshot."""

    CREATE = "create"
    DELETE = "delete"
    RESTORE = "restore"
    CREATE_TEMPLATE = "create-template"


_TOLD_BY_THEMSELVES: Final = frozenset({Operation.RESTORE, Operation.CREATE_TEMPLATE})


class TaskStatus(StrEnum):
    """Whether a task goes on, or how it ended."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """The catalog record of one task. `version` is the compare-and-swap token of the record.

    `result_id` is what it made, where that is not the snapshot itself: the volume of a restore, the image of a
    template. `asked` is the request that began it, where that can be sent again.
    """

    id: TaskId
    environment: EnvironmentId
    operation: Operation
    snapshot_id: VolumeSnapshotId
    created_at: datetime
    status: TaskStatus = TaskStatus.PENDING
    result_id: str | None = None
    finished_at: datetime | None = None
    failure: Failure | None = None
    asked: Asked | None = None
    version: int = 0

    @property
    def kept_until(self) -> datetime | None:
        """From when on its record may be forgotten; None as long as it may not.

        What makes a volume or template is told by its task alone, so that stays until it is over. The others are
        told by the record of their snapshot, however these stand.
        """
        if self.operation in _TOLD_BY_THEMSELVES:
            return None if self.finished_at is None else self.finished_at + KEPT_FOR
        return self.created_at + KEPT_FOR

    def succeeded(self, now: datetime, result_id: str | None = None) -> "Task":
        """The record of a task that has done what it was for. Repeating it changes nothing.

        Raises WrongState for one that has failed, or has made something else.
        """
        if self.status is TaskStatus.SUCCESS and self.result_id == result_id:
            return self
        self._check_pending()
        return replace(self, status=TaskStatus.SUCCESS, result_id=result_id, finished_at=now)

    def failed(self, failure: Failure, now: datetime) -> "Task":
        """The record of a task that will not do what it was for. Repeating it changes nothing, and the first reason
        stays. Raises WrongState for one that has succeeded.
        """
        if self.status is TaskStatus.FAILED:
            return self
        self._check_pending()
        return replace(self, status=TaskStatus.FAILED, failure=failure, finished_at=now)

    def _check_pending(self) -> None:
        if self.status is not TaskStatus.PENDING:
            raise WrongState(
                f"the task {self.id} is over, and ends as it has ended",
                subject="task",
                subject_id=self.id,
                current=self.status,
                expected=(TaskStatus.PENDING,),
            )


def new_task_id(random_bytes: bytes) -> TaskId:
    """The id of a new task, of 16 random bytes."""
    return TaskId(random_uuid(random_bytes))


def parse_task_id(text: str) -> TaskId:
    """The id of a task. Raises InvalidRequest unless it is a UUID."""
    return TaskId(parse_uuid(text, "the id of a task"))
