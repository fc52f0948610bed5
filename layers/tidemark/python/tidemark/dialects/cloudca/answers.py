"""Snapshots, volumes and tasks as this dialect's clients read them, in their envelopes.

Source: the cloud.ca documentation, "Snapshots", "Volumes" and "Success response", whose members these are, and what the
Go clients of cloud.ca make of an answer. Those take a member that is null for one that is there, and stop working: what
has no value is left out. Without a `taskStatus` they ask for the task again and again, so each answer to a change has
one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.cloudca.errors import ErrorItem, stored_error
from tidemark.dialects.cloudca.words import (
    INTERVALS,
    SNAPSHOT_STATES,
    SNAPSHOT_VOLUME_TYPES,
    TASKS,
    VOLUME_STATES,
    VOLUME_TYPES,
)
from tidemark.dialects.wire import Response, json_response, or_unset
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.volume import Volume, VolumeSnapshot

_GIB: Final = 1024**3
_UUID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

Uuid = Annotated[str, Meta(pattern=_UUID, examples=["33a27b8d-5a27-42a5-aec4-37606e372bda"])]
Moment = Annotated[str, Meta(examples=["2016-10-19T14:25:41+0000"])]


class SnapshotBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A snapshot of a volume: the documented members, and no others."""

    id: Uuid
    name: str
    state: Annotated[str, Meta(extra_json_schema={"enum": list(SNAPSHOT_STATES.values())})]
    interval_type: Annotated[str, Meta(extra_json_schema={"enum": list(INTERVALS.values())})]
    volume_id: Uuid
    volume: Annotated[str, Meta(description="The name of the volume.")]
    volume_type: Annotated[str, Meta(extra_json_schema={"enum": list(SNAPSHOT_VOLUME_TYPES.values())})]


class VolumeBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A volume that snapshots can be taken of. One that no instance has lacks the members of the instance."""

    id: Uuid
    name: str
    type: Annotated[str, Meta(extra_json_schema={"enum": list(VOLUME_TYPES.values())})]
    creation_date: Moment
    instance_id: Uuid | UnsetType = UNSET
    instance_name: str | UnsetType = UNSET
    zone_id: Uuid
    zone_name: str
    state: str
    size_in_gb: Annotated[int, Meta(ge=0)]


class TemplateBody(msgspec.Struct, frozen=True, rename="camel"):
    """What a template task has made."""

    id: Annotated[str, Meta(description="The image, as EC2 names it.", examples=["ami-0abcdef1234567890"])]


# What describes the API has these models under such names. They bear no tags, so msgspec makes no union of them.
_REFERENCE: Final = "#/components/schemas/Cloudca{}"
_MADE: Final = ("SnapshotBody", "VolumeBody", "TemplateBody")
Made = Annotated[Any, Meta(extra_json_schema={"anyOf": [{"$ref": _REFERENCE.format(name)} for name in _MADE]})]


class TaskBody(msgspec.Struct, frozen=True, kw_only=True):
    """A task. `result` is there once it has succeeded: what it made or changed."""

    id: Uuid
    status: Annotated[str, Meta(extra_json_schema={"enum": list(TASKS.values())})]
    created: Moment
    result: Made = UNSET


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What a list says of itself."""

    record_count: Annotated[int, Meta(ge=0)]


class Listed[T](msgspec.Struct, frozen=True):
    """The envelope of a list."""

    data: list[T]
    metadata: Metadata


class One[T](msgspec.Struct, frozen=True):
    """The envelope of one thing."""

    data: T


class TaskAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The envelope of a task: the documented members beside those that polling clients look for in `data`. `errors` is
    there if it has failed.
    """

    task_id: Uuid
    task_status: Annotated[str, Meta(extra_json_schema={"enum": list(TASKS.values())})]
    data: TaskBody
    errors: list[ErrorItem] | UnsetType = UNSET


def snapshot_list(snapshots: Iterable[VolumeSnapshot]) -> Response:
    """The answer that lists snapshots, in their order."""
    return _listed([snapshot_body(snapshot) for snapshot in snapshots])


def one_snapshot(snapshot: VolumeSnapshot) -> Response:
    """The answer that is one snapshot."""
    return json_response(HTTPStatus.OK, One(snapshot_body(snapshot)))


def volume_list(volumes: Iterable[Volume]) -> Response:
    """The answer that lists volumes, in their order."""
    return _listed([volume_body(volume) for volume in volumes])


def one_volume(volume: Volume) -> Response:
    """The answer that is one volume."""
    return json_response(HTTPStatus.OK, One(volume_body(volume)))


def accepted(task: Task) -> Response:
    """The answer to a request that a task has been begun for.

    It says `PENDING` whatever has become of the task since: clients take the `data` of an answer that says `SUCCESS`
    for what they asked for, and not for a task.
    """
    return json_response(HTTPStatus.ACCEPTED, pending(task))


def pending(task: Task) -> TaskAnswer:
    """A task that has been begun; see `accepted`."""
    return _task_answer(task, TaskStatus.PENDING)


def one_task(task: Task, made: VolumeSnapshot | Volume | None = None) -> Response:
    """The answer that says how a task stands.

    `made` is what a task that has succeeded made or changed, where that is a snapshot or volume and is still there.
    """
    if task.status is TaskStatus.FAILED:
        reasons = [] if task.failure is None else [stored_error(task.failure)]
        return json_response(HTTPStatus.OK, _task_answer(task, task.status, errors=reasons or UNSET))
    result: SnapshotBody | VolumeBody | TemplateBody | UnsetType = UNSET
    if task.status is TaskStatus.SUCCESS:
        result = _result(task, made)
    return json_response(HTTPStatus.OK, _task_answer(task, task.status, result=result))


def snapshot_body(snapshot: VolumeSnapshot) -> SnapshotBody:
    """A snapshot."""
    return SnapshotBody(
        id=snapshot.id,
        name=snapshot.name,
        state=SNAPSHOT_STATES[snapshot.state],
        interval_type=INTERVALS[snapshot.interval],
        volume_id=snapshot.volume_id,
        volume=snapshot.volume_name,
        volume_type=SNAPSHOT_VOLUME_TYPES[snapshot.volume_kind],
    )


def volume_body(volume: Volume) -> VolumeBody:
    """A volume. Its size is in whole GiB, as those of EBS are."""
    return VolumeBody(
        id=volume.id,
        name=volume.name,
        type=VOLUME_TYPES[volume.kind],
        creation_date=moment(volume.created_at),
        instance_id=or_unset(volume.instance_id),
        instance_name=or_unset(volume.instance_name),
        zone_id=volume.zone_id,
        zone_name=volume.zone,
        state=VOLUME_STATES[volume.state],
        size_in_gb=-(-volume.size_bytes // _GIB),
    )


def moment(at: datetime) -> str:
    """A moment as the documents write it, in UTC: `2016-10-19T18:25:41+0000`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _listed[T](bodies: list[T]) -> Response:
    return json_response(HTTPStatus.OK, Listed(bodies, Metadata(len(bodies))))


def _task_answer(
    task: Task,
    status: TaskStatus,
    *,
    result: SnapshotBody | VolumeBody | TemplateBody | UnsetType = UNSET,
    errors: list[ErrorItem] | UnsetType = UNSET,
) -> TaskAnswer:
    word = TASKS[status]
    body = TaskBody(id=task.id, status=word, created=moment(task.created_at), result=result)
    return TaskAnswer(task_id=task.id, task_status=word, data=body, errors=errors)


def _result(task: Task, made: VolumeSnapshot | Volume | None) -> SnapshotBody | VolumeBody | TemplateBody | UnsetType:
    match made:
        case VolumeSnapshot():
            return snapshot_body(made)
        case Volume():
            return volume_body(made)
        case None:
            # A volume that is gone has left nothing to be shown.
            if task.operation is not Operation.CREATE_TEMPLATE or task.result_id is None:
                return UNSET
            return TemplateBody(task.result_id)
