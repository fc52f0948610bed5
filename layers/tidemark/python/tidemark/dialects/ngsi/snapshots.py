"""Snapshots in the NGSIv2 vocabulary: the answers, and the bodies of requests that hardly say anything.

Source: the Vela OS snapshots page, whose members, formats and order come first in every answer.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.errors import FailureBody, stored_failure
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.snapshot_metadata import description_in
from tidemark.dialects.wire import Request, or_unset
from tidemark.domain.interval import IntervalType
from tidemark.domain.restore import Changes, Restore, RestoreStatus
from tidemark.domain.snapshot import (
    STANDINGS,
    DamagedSnapshot,
    Origin,
    Scope,
    Snapshot,
    SnapshotId,
    Trigger,
    Verification,
    parse_snapshot_id,
)
from tidemark.domain.tenant import Tenant, parse_tenant
from tidemark.errors import InvalidRequest
from tidemark.usecases.read_snapshots import TransferProgress

MAX_BODY_BYTES: Final = 16_384
_SECOND: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_STAMP: Final = _SECOND.replace(":", "-") + "Z(-[1-9][0-9]{0,5})?"

# What answers are made of, as the API's description has it. Answers are not checked against it when they are made.
SnapshotName = Annotated[str, Meta(pattern=f"^snapshot_{_STAMP}$", examples=["snapshot_2026-01-15T10-00-00Z"])]
RestoreName = Annotated[str, Meta(pattern=f"^restore_{_STAMP}$", examples=["restore_2026-01-15T10-05-00Z"])]
ScheduleName = Annotated[str, Meta(pattern="^schedule_[0-9a-f]{16}$", examples=["schedule_9f86d081884c7d65"])]
Seconds = Annotated[str, Meta(pattern=f"^{_SECOND}Z$", examples=["2026-01-15T10:00:00Z"])]
Digest = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", description="The SHA-256 of its entities: equal where they are.")
]
Milliseconds = Annotated[str, Meta(pattern=f"^{_SECOND}[.][0-9]{{3}}Z$", examples=["2026-01-15T10:00:00.123Z"])]


class SnapshotSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A snapshot as it is created and listed."""

    id: SnapshotName
    description: str
    created_at: Seconds
    entity_count: Annotated[int, Meta(ge=0)]
    status: Annotated[str, Meta(extra_json_schema={"enum": list(STANDINGS)})]
    labels: dict[str, str] | UnsetType = UNSET
    expires_at: Seconds | UnsetType = UNSET
    pinned: Annotated[bool, Meta(description="There if it is: neither deleted, nor does it expire.")] | UnsetType = (
        UNSET
    )
    legal_hold: (
        Annotated[bool, Meta(description="There if it is under one: neither deleted, nor does it expire.")] | UnsetType
    ) = UNSET

    schedule_id: (
        Annotated[ScheduleName, Meta(description="The schedule that made it, which may be gone since.")] | UnsetType
    ) = UNSET
    interval: Annotated[IntervalType, Meta(description="How often that makes one.")] | UnsetType = UNSET


class RecycledSnapshot(SnapshotSummary, frozen=True, kw_only=True):
    """A deleted snapshot: since when it is in the recycle bin, and until when it can be undeleted."""

    deleted_at: Milliseconds | UnsetType = UNSET
    recycled_until: Milliseconds | UnsetType = UNSET


class DamagedSnapshotBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Stands in lists for a snapshot whose record is damaged: of it only what the record's place tells is known."""

    id: SnapshotName | None
    description: str = ""
    created_at: Seconds | None
    entity_count: int = 0
    status: Literal["failed"] = "failed"
    error: FailureBody


class CopySource(msgspec.Struct, frozen=True):
    """The snapshot that a copy was made of."""

    service: str
    id: SnapshotName


class ProgressBody(msgspec.Struct, frozen=True):
    """How many entities a copy or import has gone through, and of how many, where that is known."""

    done: Annotated[int, Meta(ge=0)]
    total: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    percent: Annotated[int, Meta(ge=0, le=99)] | UnsetType = UNSET


class VerificationBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What reading a snapshot back showed: how much was good, or which object is damaged and in what way."""

    verified_at: Milliseconds | UnsetType
    status: Literal["passed", "failed"]
    scope: Scope
    checked_bytes: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    checked_packs: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    error: FailureBody | UnsetType = UNSET


class SnapshotDetail(SnapshotSummary, frozen=True, kw_only=True):
    """A snapshot with what an operator wants to know. Members that have no value yet are left out."""

    interval: Annotated[IntervalType, Meta(description="Of the schedule that made it; `manual` where none did.")]
    trigger: Trigger
    consistency: Literal["point-in-time"] = "point-in-time"
    size_bytes: Annotated[int, Meta(ge=0, description="What all of its packs hold.")]
    new_bytes: Annotated[int, Meta(ge=0, description="What this snapshot added to what was stored.")]
    raw_bytes: Annotated[int, Meta(ge=0, description="Its entities before compression.")]
    digest: Digest | UnsetType = UNSET
    cut: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    parent_id: SnapshotName | UnsetType = UNSET
    completed_at: Milliseconds | UnsetType = UNSET
    restore_id: RestoreName | UnsetType = UNSET
    copied_from: CopySource | UnsetType = UNSET
    progress: ProgressBody | UnsetType = UNSET
    used_by: list[str] | UnsetType = UNSET
    error: FailureBody | UnsetType = UNSET
    verification: VerificationBody | UnsetType = UNSET


class AcceptedRestore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A restore that has begun, and how to follow it. `service` is there if it goes into another tenant."""

    id: SnapshotName
    status: RestoreStatus
    restored_entities: Annotated[int, Meta(ge=0)]
    restore_id: RestoreName
    service: str | UnsetType = UNSET


class ChangesBody(msgspec.Struct, frozen=True):
    """What a restore does to live entities, in numbers."""

    created: Annotated[int, Meta(ge=0)]
    updated: Annotated[int, Meta(ge=0)]
    deleted: Annotated[int, Meta(ge=0)]
    unchanged: Annotated[int, Meta(ge=0)]


class CopyWanted(NamedTuple):
    """What a copy request asks for: whose the copy will be, and a description, or that of its source."""

    tenant: Tenant
    description: str


def named(request: Request) -> SnapshotId:
    """The snapshot in the path. Raises SnapshotNotFound at once where no snapshot can have such an id."""
    text = request.path_parameter("snapshotId")
    parse_snapshot_id(text)
    return SnapshotId(text)


def parse_bare(document: object) -> None:
    """The body of a request that takes no members. Raises InvalidRequest naming one that is there."""
    members(document, ())


def parse_copy(document: object) -> CopyWanted:
    """The body of a copy request. Raises InvalidRequest naming the member that is wrong."""
    wanted = members(document, ("service", "description"))
    service = wanted.get("service")
    if not isinstance(service, str) or not service:
        raise InvalidRequest(
            "the member 'service' must name the tenant that is to have the copy; "
            + (f"it is {json_type(service)}" if "service" in wanted else "it is missing")
        )
    return CopyWanted(parse_tenant(service), description_in(wanted))


def summary(snapshot: Snapshot) -> SnapshotSummary:
    """A snapshot as it is created and listed. Labels, expiry, pin, legal hold and schedule are there if it has any."""
    return SnapshotSummary(**_summary(snapshot))


def listed(snapshot: Snapshot | DamagedSnapshot) -> SnapshotSummary | DamagedSnapshotBody:
    """A snapshot as it is listed, in the recycle bin or not. One whose record is damaged says so."""
    if isinstance(snapshot, DamagedSnapshot):
        created_at = None if snapshot.created_at is None else seconds(snapshot.created_at)
        return DamagedSnapshotBody(id=snapshot.id, created_at=created_at, error=stored_failure(snapshot.failure))
    if not snapshot.forgotten:
        return summary(snapshot)
    return RecycledSnapshot(
        **_summary(snapshot),
        deleted_at=or_unset(milliseconds(snapshot.deleted_at)),
        recycled_until=or_unset(milliseconds(snapshot.recycled_until)),
    )


def detail(snapshot: Snapshot, progress: TransferProgress | None = None) -> SnapshotDetail:
    """A snapshot with what an operator wants to know. Members that have no value yet are left out."""
    return SnapshotDetail(
        **_summary(snapshot) | {"interval": snapshot.interval},
        trigger=snapshot.trigger,
        size_bytes=snapshot.stored_bytes,
        new_bytes=snapshot.new_bytes,
        raw_bytes=snapshot.raw_bytes,
        digest=or_unset(snapshot.digest),
        cut=snapshot.cut or UNSET,
        parent_id=or_unset(snapshot.parent_id),
        completed_at=or_unset(milliseconds(snapshot.completed_at)),
        restore_id=or_unset(snapshot.restore_id),
        copied_from=_source(snapshot.origin),
        progress=_progress(progress) if progress else UNSET,
        used_by=sorted(snapshot.used_by) or UNSET,
        error=stored_failure(snapshot.failure) if snapshot.failure else UNSET,
        verification=_verification(snapshot.verification) if snapshot.verification else UNSET,
    )


def _summary(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "description": snapshot.description,
        "created_at": seconds(snapshot.created_at),
        "entity_count": snapshot.entity_count,
        "status": snapshot.standing,
        "labels": dict(sorted(snapshot.labels.items())) or UNSET,
        "expires_at": UNSET if snapshot.expires_at is None else seconds(snapshot.expires_at),
        "pinned": snapshot.pinned or UNSET,
        "legal_hold": (snapshot.hold is not None and snapshot.hold.placed) or UNSET,
        "schedule_id": or_unset(snapshot.schedule_id),
        "interval": UNSET if snapshot.schedule_id is None else snapshot.interval,
    }


def _source(origin: Origin | None) -> CopySource | UnsetType:
    """Which snapshot a copy was made of. An import has an origin without one."""
    if origin is None or origin.tenant is None or origin.snapshot_id is None:
        return UNSET
    return CopySource(service=origin.tenant, id=origin.snapshot_id)


def _progress(progress: TransferProgress) -> ProgressBody:
    """Never 100 %: much follows the last entity."""
    if progress.total is None:
        return ProgressBody(progress.done)
    percent = min(99, 100 * progress.done // progress.total) if progress.total else 0
    return ProgressBody(progress.done, progress.total, percent)


def _verification(found: Verification) -> VerificationBody:
    good = found.failure is None
    return VerificationBody(
        verified_at=or_unset(milliseconds(found.checked_at)),
        status="passed" if found.ok else "failed",
        scope=found.scope,
        checked_bytes=found.checked_bytes if good else UNSET,
        checked_packs=found.checked_packs if good else UNSET,
        error=UNSET if found.failure is None else stored_failure(found.failure),
    )


def accepted(restore: Restore) -> AcceptedRestore:
    """The answer to a restore request: what has begun, and how to follow it."""
    return AcceptedRestore(
        id=restore.snapshot_id,
        status=restore.status,
        restored_entities=restore.total,
        restore_id=restore.id,
        service=UNSET if restore.source_tenant is None else restore.tenant,
    )


def changes_of(changes: Changes) -> ChangesBody:
    """The numbers of a restore's changes."""
    return ChangesBody(**changes._asdict())


def location(snapshot_id: str) -> dict[str, str]:
    """The header that says where a snapshot is."""
    return {"Location": f"/v2/snapshots/{snapshot_id}"}


def seconds(moment: datetime) -> str:
    """A moment as people read it: `2026-01-15T10:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime | None) -> str | None:
    """A moment for measuring how long something took: `2026-01-15T10:00:00.123Z`."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
