"""Announcements as the details of events on EventBridge: JSON whose members are described by a schema.

Members may be added; none is renamed, changes its type or goes. No event holds anything of an entity, nor a description
that somebody wrote.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects import announced_volumes
from tidemark.dialects.announced import (
    Detail,
    Moment,
    Reason,
    Whole,
    of_slot,
    of_verification,
    reason_of,
    written,
    written_if,
)
from tidemark.dialects.wire import or_unset
from tidemark.domain.announcements import Announcement, Kind
from tidemark.domain.interval import IntervalType
from tidemark.domain.restore import Mode, Restore, RestoreStatus
from tidemark.domain.schedule import RunStatus, Schedule
from tidemark.domain.snapshot import Scope, Snapshot, SnapshotStatus, Trigger
from tidemark.domain.task import Task
from tidemark.domain.volume import VolumeSnapshot
from tidemark.ports.announcements import SOURCE


class TenantDetail(Detail, frozen=True, kw_only=True):
    """What every event about entities says: whose data it is about."""

    tenant: str


class SnapshotDetail(TenantDetail, frozen=True, kw_only=True):
    """A snapshot that was completed, or failed, or came into the recycle bin, whoever or whatever put it there."""

    snapshot_id: str
    status: SnapshotStatus
    trigger: Trigger
    interval: IntervalType
    schedule_id: str | UnsetType = UNSET
    slot_at: Moment | UnsetType = UNSET
    restore_id: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    created_at: Moment
    completed_at: Moment | UnsetType = UNSET
    entity_count: Whole
    size_bytes: Annotated[int, Meta(ge=0, description="What all of its packs hold.")]
    new_bytes: Annotated[int, Meta(ge=0, description="What this snapshot added to what was stored.")]
    expires_at: Moment | UnsetType = UNSET
    deleted_at: Moment | UnsetType = UNSET
    recycled_until: Annotated[Moment, Meta(description="Until then it can be brought back.")] | UnsetType = UNSET
    error: Reason | UnsetType = UNSET


class VerificationDetail(TenantDetail, frozen=True, kw_only=True):
    """A snapshot of which stored bytes are missing or damaged. It is told each time that they are read."""

    snapshot_id: str
    checked_at: Moment
    scope: Scope
    error: Reason | UnsetType = UNSET


class Changes(msgspec.Struct, frozen=True):
    """What a restore of a part does to live entities, in numbers."""

    created: Whole
    updated: Whole
    deleted: Whole
    unchanged: Whole


class RestoreDetail(TenantDetail, frozen=True, kw_only=True):
    """A restore that was accepted; whose entities readers see; that is over; or that was rolled back, since it failed
    or was cancelled.
    """

    restore_id: str
    snapshot_id: str
    source_tenant: (
        Annotated[str, Meta(description="Whose snapshot it is, where that is another tenant.")] | UnsetType
    ) = UNSET
    status: RestoreStatus
    mode: Mode
    partial: Annotated[bool, Meta(description="Whether entities that it does not restore stay as they are.")]
    entity_count: Annotated[int, Meta(ge=0, description="The entities that it brings.")]
    started_at: Moment
    finished_at: Moment | UnsetType = UNSET
    safety_snapshot_id: str | UnsetType = UNSET
    changes: Changes | UnsetType = UNSET
    error: Reason | UnsetType = UNSET


class BackupDetail(TenantDetail, frozen=True, kw_only=True):
    """A slot of a schedule whose backup failed; that nobody ran (`missed`); or that its overlap policy skipped."""

    schedule_id: str
    slot_at: Moment
    status: Annotated[RunStatus, Meta(extra_json_schema={"enum": ["failed", "missed", "skipped"]})]
    snapshot_id: str | UnsetType = UNSET
    error: Reason


# Which detail belongs to which kind of event, where that is about entities.
DETAILS: Final[dict[Kind, type[TenantDetail]]] = {
    Kind.SNAPSHOT_COMPLETED: SnapshotDetail,
    Kind.SNAPSHOT_FAILED: SnapshotDetail,
    Kind.SNAPSHOT_DELETED: SnapshotDetail,
    Kind.VERIFICATION_FAILED: VerificationDetail,
    Kind.RESTORE_STARTED: RestoreDetail,
    Kind.RESTORE_CUT_OVER: RestoreDetail,
    Kind.RESTORE_COMPLETED: RestoreDetail,
    Kind.RESTORE_ROLLED_BACK: RestoreDetail,
    Kind.BACKUP_FAILED: BackupDetail,
    Kind.BACKUP_MISSED: BackupDetail,
}


def detail(told: Announcement) -> str:
    """The detail of the event that tells it. Members that have no value are left out."""
    return msgspec.json.encode(_detail(told, {"id": told.id, "at": written(told.at)})).decode()


def schema() -> dict[str, Any]:
    """The JSON Schema of the events as rules and targets see them: what EventBridge adds is not described.

    A detail has the tenant or the environment, so of no event both apply.
    """
    kinds = dict[type[Detail], list[str]]()
    for details in (DETAILS, announced_volumes.DETAILS):
        for kind, model in details.items():
            kinds.setdefault(model, []).append(kind.value)
    references, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of Tidemark on EventBridge",
        "type": "object",
        "required": ["source", "detail-type", "detail"],
        "properties": {"source": {"const": SOURCE}, "detail-type": {"enum": [kind.value for kind in Kind]}},
        "oneOf": [
            {"properties": {"detail-type": {"enum": names}, "detail": reference}}
            for names, reference in zip(kinds.values(), references, strict=True)
        ],
        "$defs": components,
    }


def _detail(told: Announcement, common: dict[str, Any]) -> Detail:
    record = told.record
    if isinstance(record, VolumeSnapshot | Task) or told.owner != record.tenant:
        return announced_volumes.of_volume(told, common)
    common |= {"tenant": record.tenant}
    match record:
        case Snapshot() if told.kind is Kind.VERIFICATION_FAILED:
            return VerificationDetail(**common, snapshot_id=record.id, **of_verification(record.verification))
        case Snapshot():
            return _snapshot(record, common)
        case Restore():
            return _restore(record, common)
        case Schedule():
            return BackupDetail(**common, **of_slot(told.kind, record))


def _snapshot(record: Snapshot, common: dict[str, Any]) -> SnapshotDetail:
    return SnapshotDetail(
        **common,
        snapshot_id=record.id,
        status=record.status,
        trigger=record.trigger,
        interval=record.interval,
        schedule_id=or_unset(record.schedule_id),
        slot_at=written_if(record.slot_at),
        restore_id=or_unset(record.restore_id),
        labels=dict(sorted(record.labels.items())) or UNSET,
        created_at=written(record.created_at),
        completed_at=written_if(record.completed_at),
        entity_count=record.entity_count,
        size_bytes=record.stored_bytes,
        new_bytes=record.new_bytes,
        expires_at=written_if(record.expires_at),
        deleted_at=written_if(record.deleted_at),
        recycled_until=written_if(record.recycled_until),
        error=reason_of(record.failure),
    )


def _restore(record: Restore, common: dict[str, Any]) -> RestoreDetail:
    return RestoreDetail(
        **common,
        restore_id=record.id,
        snapshot_id=record.snapshot_id,
        source_tenant=or_unset(record.source_tenant),
        status=record.status,
        mode=record.mode,
        partial=record.partial,
        entity_count=record.total,
        started_at=written(record.created_at),
        finished_at=written_if(record.finished_at),
        safety_snapshot_id=or_unset(record.safety_snapshot_id),
        changes=UNSET if record.changes is None else Changes(**record.changes._asdict()),
        error=reason_of(record.failure),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(msgspec.json.format(msgspec.json.encode(schema(), order="sorted"), indent=2) + b"\n")
