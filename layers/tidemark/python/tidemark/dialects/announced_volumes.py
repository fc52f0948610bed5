"""The details of the events about volumes: each says which environment it is of, where others name a tenant."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.announced import (
    Detail,
    Moment,
    Reason,
    of_slot,
    of_verification,
    reason_of,
    written,
    written_if,
)
from tidemark.dialects.wire import or_unset
from tidemark.domain.announcements import Announcement, Kind
from tidemark.domain.interval import IntervalType
from tidemark.domain.schedule import RunStatus, Schedule
from tidemark.domain.snapshot import Scope
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState

Environment = Annotated[str, Meta(examples=["compute-on/test_area"])]


class VolumeDetail(Detail, frozen=True, kw_only=True):
    """What every event about volumes says."""

    environment: Environment


class VolumeSnapshotDetail(VolumeDetail, frozen=True, kw_only=True):
    """A snapshot of a volume that is stored, and of which every byte was read back; that failed; or that is gone."""

    snapshot_id: str
    volume_id: str
    task_id: str | UnsetType = UNSET
    status: Annotated[VolumeSnapshotState, Meta(extra_json_schema={"enum": ["stored", "failed", "deleted"]})]
    interval: IntervalType
    schedule_id: str | UnsetType = UNSET
    slot_at: Moment | UnsetType = UNSET
    created_at: Moment
    completed_at: Moment | UnsetType = UNSET
    volume_bytes: Annotated[int, Meta(ge=0, description="The size of the volume.")]
    size_bytes: Annotated[int, Meta(ge=0, description="What all of its packs hold.")]
    new_bytes: Annotated[int, Meta(ge=0, description="What this snapshot added to what was stored.")]
    error: Reason | UnsetType = UNSET


class VolumeVerificationDetail(VolumeDetail, frozen=True, kw_only=True):
    """A snapshot of a volume of which stored bytes are missing or damaged. It is told each time that they are read."""

    snapshot_id: str
    volume_id: str
    checked_at: Moment
    scope: Scope
    error: Reason | UnsetType = UNSET


class _VolumeTaskDetail(VolumeDetail, frozen=True, kw_only=True):
    """A task that is over."""

    task_id: str
    snapshot_id: str
    status: Annotated[TaskStatus, Meta(extra_json_schema={"enum": ["success", "failed"]})]
    started_at: Moment
    finished_at: Moment | UnsetType = UNSET
    error: Reason | UnsetType = UNSET


class VolumeRestoreDetail(_VolumeTaskDetail, frozen=True, kw_only=True):
    """A snapshot of a volume that was restored into a new one; or that was not, since that failed or was cancelled."""

    volume_id: Annotated[str, Meta(description="The volume that was made.")] | UnsetType = UNSET


class VolumeTemplateDetail(_VolumeTaskDetail, frozen=True, kw_only=True):
    """A snapshot of a volume that a template was made of; or none was, since that failed or was cancelled."""

    template_id: Annotated[str, Meta(description="The template that was made.")] | UnsetType = UNSET


class VolumeBackupDetail(VolumeDetail, frozen=True, kw_only=True):
    """A slot of a volume's schedule whose backup failed; that nobody ran (`missed`); or that its overlap policy
    skipped.
    """

    volume_id: str | UnsetType = UNSET
    schedule_id: str
    slot_at: Moment
    status: Annotated[RunStatus, Meta(extra_json_schema={"enum": ["failed", "missed", "skipped"]})]
    snapshot_id: str | UnsetType = UNSET
    error: Reason


# Which detail belongs to which kind of event, where that is about a volume.
DETAILS: Final[dict[Kind, type[VolumeDetail]]] = {
    Kind.VERIFICATION_FAILED: VolumeVerificationDetail,
    Kind.BACKUP_FAILED: VolumeBackupDetail,
    Kind.BACKUP_MISSED: VolumeBackupDetail,
    Kind.VOLUME_SNAPSHOT_COMPLETED: VolumeSnapshotDetail,
    Kind.VOLUME_SNAPSHOT_FAILED: VolumeSnapshotDetail,
    Kind.VOLUME_SNAPSHOT_DELETED: VolumeSnapshotDetail,
    Kind.VOLUME_RESTORE_COMPLETED: VolumeRestoreDetail,
    Kind.VOLUME_RESTORE_FAILED: VolumeRestoreDetail,
    Kind.VOLUME_TEMPLATE_COMPLETED: VolumeTemplateDetail,
    Kind.VOLUME_TEMPLATE_FAILED: VolumeTemplateDetail,
}


def of_volume(told: Announcement, common: dict[str, Any]) -> VolumeDetail:
    """The detail of an announcement about a volume; `common` is what all details have."""
    common = {**common, "environment": told.owner}
    match told.record:
        case VolumeSnapshot() if told.kind is Kind.VERIFICATION_FAILED:
            return _verification(told.record, common)
        case VolumeSnapshot():
            return _snapshot(told.record, common)
        case Task():
            return _task(told.record, common)
        case Schedule():
            return VolumeBackupDetail(
                **common, volume_id=or_unset(told.record.volume_id), **of_slot(told.kind, told.record)
            )
        case _:
            raise AssertionError(f"{told.kind} is not about a volume")


def _snapshot(record: VolumeSnapshot, common: dict[str, Any]) -> VolumeSnapshotDetail:
    image = record.image
    return VolumeSnapshotDetail(
        **common,
        snapshot_id=record.id,
        volume_id=record.volume_id,
        task_id=or_unset(record.task_id),
        status=record.state,
        interval=record.interval,
        schedule_id=or_unset(record.schedule_id),
        slot_at=written_if(record.slot_at),
        created_at=written(record.created_at),
        completed_at=written_if(image.verified_at if image else None),
        volume_bytes=record.size_bytes,
        size_bytes=image.stored_bytes if image else 0,
        new_bytes=image.new_bytes if image else 0,
        error=reason_of(record.failure),
    )


def _verification(record: VolumeSnapshot, common: dict[str, Any]) -> VolumeVerificationDetail:
    return VolumeVerificationDetail(
        **common, snapshot_id=record.id, volume_id=record.volume_id, **of_verification(record.verification)
    )


def _task(record: Task, common: dict[str, Any]) -> VolumeRestoreDetail | VolumeTemplateDetail:
    members = common | {
        "task_id": record.id,
        "snapshot_id": record.snapshot_id,
        "status": record.status,
        "started_at": written(record.created_at),
        "finished_at": written_if(record.finished_at),
        "error": reason_of(record.failure),
    }
    if record.operation is Operation.CREATE_TEMPLATE:
        return VolumeTemplateDetail(**members, template_id=or_unset(record.result_id))
    return VolumeRestoreDetail(**members, volume_id=or_unset(record.result_id))
