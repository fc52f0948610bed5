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


class TaskStatus(StrEnum):
    """Whether a task goes on, or how it ended."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


MAKING: Final = frozenset({Operation.RESTORE, Operation.CREATE_TEMPLATE})
"""The operations that make something of a snapshot: these alone can be cancelled."""


@dataclass(frozen=True, slots=True)
class Making:
    """What is to be made of a snapshot: its name; of an image a description, of a volume the zone that it is to be in,
    by its name, and the kind that it is to be, as EC2 calls it.
    """

    name: str
    description: str = ""
    zone: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """The catalog record of one task. `version` is the compare-and-swap token of the record.

    `failure` is why it failed; of one that is to delete a snapshot, why that can't be deleted yet.
    `result_id` is what it made, where that is not the snapshot itself: the volume of a restore, the image of a
    template. `asked` is the request that began it, where that can be sent again.

    Where it makes something of a snapshot, `making` says what; `target_id` is the cloud's own snapshot that the blocks
    are written to, and `made_id` what the cloud calls what was made of that: both None until there is one.
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
    making: Making | None = None
    target_id: str | None = None
    made_id: str | None = None
    version: int = 0

    @property
    def kept_until(self) -> datetime | None:
        """From when on its record may be forgotten; None as long as it may not.

        What makes a volume or template is told by its task alone, so that stays until it is over. The others are
        told by the record of their snapshot, however these stand.
        """
        if self.operation in MAKING:
            return None if self.finished_at is None else self.finished_at + KEPT_FOR
        return self.created_at + KEPT_FOR

    def writing_to(self, target_id: str) -> "Task":
        """The record of a task whose blocks are written to that snapshot of the cloud's. Repeating it changes nothing.

        Raises WrongState where it is over, or writes to another one.
        """
        self._check_pending()
        if self.target_id not in {None, target_id}:
            raise self._refusal(f"the task {self.id} writes to another snapshot of the cloud's")
        return replace(self, target_id=target_id)

    def having_made(self, made_id: str) -> "Task":
        """The record of a task that has made that of its snapshot. Repeating it changes nothing.

        Raises WrongState where it is over, or has made something else.
        """
        self._check_pending()
        if self.made_id not in {None, made_id}:
            raise self._refusal(f"the task {self.id} has made something else")
        return replace(self, made_id=made_id)

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

    def held_up(self, failure: Failure) -> "Task":
        """The record of a task that is to delete a snapshot, and can't before somebody has done what the failure says.
        It is over when the snapshot is deleted, all the same.
        """
        return replace(self, failure=failure)

    def cancelled(self, failure: Failure, now: datetime) -> "Task":
        """The record of a task that somebody does not want any more. Repeating it changes nothing.

        Raises WrongState for one that is over otherwise, and for one that makes or deletes a snapshot.
        """
        if self.operation not in MAKING:
            raise self._refusal(
                f"the task {self.id} is to {self.operation} a snapshot, which can't be cancelled; "
                "restores and templates can be"
            )
        if self.status is TaskStatus.FAILED and self.failure is not None and self.failure.code == failure.code:
            return self
        self._check_pending()
        return self.failed(failure, now)

    def _check_pending(self) -> None:
        if self.status is not TaskStatus.PENDING:
            raise self._refusal(f"the task {self.id} is over, and ends as it has ended", TaskStatus.PENDING)

    def _refusal(self, message: str, *expected: TaskStatus) -> WrongState:
        return WrongState(message, subject="task", subject_id=self.id, current=self.status, expected=expected)


def new_task_id(random_bytes: bytes) -> TaskId:
    """The id of a new task, of 16 random bytes."""
    return TaskId(random_uuid(random_bytes))


def parse_task_id(text: str) -> TaskId:
    """The id of a task. Raises InvalidRequest unless it is a UUID."""
    return TaskId(parse_uuid(text, "the id of a task"))
