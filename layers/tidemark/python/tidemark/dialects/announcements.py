"""Announcements as the details of events on EventBridge: JSON whose members are described by a schema.

Members may be added; none is renamed, changes its type or goes. No event holds anything of an entity, nor a description
that somebody wrote.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.wire import or_unset
from tidemark.domain.announcements import Announcement, Kind, Record
from tidemark.domain.interval import IntervalType
from tidemark.domain.restore import Mode, Restore, RestoreStatus
from tidemark.domain.schedule import LastRun, RunStatus, Schedule
from tidemark.domain.snapshot import Failure, Scope, Snapshot, SnapshotStatus, Trigger
from tidemark.ports.announcements import SOURCE

MAX_REASON_CHARS: Final = 1000
_SECOND: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"

Moment = Annotated[str, Meta(pattern=f"^{_SECOND}[.][0-9]{{3}}Z$", examples=["2026-01-15T10:00:00.123Z"])]
Whole = Annotated[int, Meta(ge=0)]
Id = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{64}$", description="The same whenever this is told again: whoever has seen it can pass on."
    ),
]


class Reason(msgspec.Struct, frozen=True):
    """Why something ended badly: `code` for programs, `description` for people."""

    code: str
    description: Annotated[str, Meta(max_length=MAX_REASON_CHARS)]


class Detail(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What every event says: whose data it is about, and when that happened."""

    id: Id
    tenant: str
    at: Moment


class SnapshotDetail(Detail, frozen=True, kw_only=True):
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


class VerificationDetail(Detail, frozen=True, kw_only=True):
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


class RestoreDetail(Detail, frozen=True, kw_only=True):
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


class BackupDetail(Detail, frozen=True, kw_only=True):
    """A slot of a schedule whose backup failed; that nobody ran (`missed`); or that its overlap policy skipped."""

    schedule_id: str
    slot_at: Moment
    status: Annotated[RunStatus, Meta(extra_json_schema={"enum": ["failed", "missed", "skipped"]})]
    snapshot_id: str | UnsetType = UNSET
    error: Reason


# Which detail belongs to which kind of event.
DETAILS: Final[dict[Kind, type[Detail]]] = {
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
    common = {"id": told.id, "tenant": told.record.tenant, "at": _moment(told.at)}
    return msgspec.json.encode(_detail(told.kind, told.record, common)).decode()


def schema() -> dict[str, Any]:
    """The JSON Schema of the events as rules and targets see them: what EventBridge adds is not described."""
    models = list(dict.fromkeys(DETAILS.values()))
    references, components = msgspec.json.schema_components(models, ref_template="#/$defs/{name}")
    by_model = dict(zip(models, references, strict=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of Tidemark on EventBridge",
        "type": "object",
        "required": ["source", "detail-type", "detail"],
        "properties": {"source": {"const": SOURCE}, "detail-type": {"enum": [kind.value for kind in DETAILS]}},
        "oneOf": [
            {
                "properties": {
                    "detail-type": {"enum": [kind.value for kind, of in DETAILS.items() if of is model]},
                    "detail": by_model[model],
                }
            }
            for model in models
        ],
        "$defs": components,
    }


def _detail(kind: Kind, record: Record, common: dict[str, Any]) -> Detail:
    match record:
        case Snapshot() if kind is Kind.VERIFICATION_FAILED:
            return _verification(record, common)
        case Snapshot():
            return _snapshot(record, common)
        case Restore():
            return _restore(record, common)
        case Schedule():
            return _backup(kind, record, common)


def _snapshot(record: Snapshot, common: dict[str, Any]) -> SnapshotDetail:
    return SnapshotDetail(
        **common,
        snapshot_id=record.id,
        status=record.status,
        trigger=record.trigger,
        interval=record.interval,
        schedule_id=or_unset(record.schedule_id),
        slot_at=_maybe(record.slot_at),
        restore_id=or_unset(record.restore_id),
        labels=dict(sorted(record.labels.items())) or UNSET,
        created_at=_moment(record.created_at),
        completed_at=_maybe(record.completed_at),
        entity_count=record.entity_count,
        size_bytes=record.stored_bytes,
        new_bytes=record.new_bytes,
        expires_at=_maybe(record.expires_at),
        deleted_at=_maybe(record.deleted_at),
        recycled_until=_maybe(record.recycled_until),
        error=_reason(record.failure),
    )


def _verification(record: Snapshot, common: dict[str, Any]) -> VerificationDetail:
    found = record.verification
    if found is None:
        raise AssertionError("a failed verification is announced of a snapshot that has one")
    return VerificationDetail(
        **common,
        snapshot_id=record.id,
        checked_at=_moment(found.checked_at),
        scope=found.scope,
        error=_reason(found.failure),
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
        started_at=_moment(record.created_at),
        finished_at=_maybe(record.finished_at),
        safety_snapshot_id=or_unset(record.safety_snapshot_id),
        changes=UNSET if record.changes is None else Changes(**record.changes._asdict()),
        error=_reason(record.failure),
    )


def _backup(kind: Kind, record: Schedule, common: dict[str, Any]) -> BackupDetail:
    about = record.last_run if kind is Kind.BACKUP_FAILED else record.last_missed
    if about is None:
        raise AssertionError("a backup is announced of a schedule that has a slot to tell of")
    if isinstance(about, LastRun):
        snapshot_id, reason = or_unset(about.snapshot_id), _reason(about.failure)
    else:
        snapshot_id, reason = UNSET, _reason(Failure(f"Backup{about.status.capitalize()}", about.reason))
    return BackupDetail(
        **common,
        schedule_id=record.id,
        slot_at=_moment(about.slot_at),
        status=about.status,
        snapshot_id=snapshot_id,
        error=reason if isinstance(reason, Reason) else Reason("BackupFailed", ""),
    )


def _reason(failure: Failure | None) -> Reason | UnsetType:
    return UNSET if failure is None else Reason(failure.code, failure.message[:MAX_REASON_CHARS])


def _maybe(moment: datetime | None) -> str | UnsetType:
    return UNSET if moment is None else _moment(moment)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(msgspec.json.format(msgspec.json.encode(schema(), order="sorted"), indent=2) + b"\n")
