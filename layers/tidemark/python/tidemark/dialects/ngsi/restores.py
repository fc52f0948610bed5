"""Restores in the NGSIv2 vocabulary: how far one is, and how it ended."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.ngsi.errors import FailureBody, stored_failure
from tidemark.dialects.ngsi.snapshots import (
    ChangesBody,
    Milliseconds,
    RestoreName,
    Seconds,
    SnapshotName,
    changes_of,
    milliseconds,
    seconds,
)
from tidemark.dialects.wire import Request, or_unset
from tidemark.domain.restore import DamagedRestore, Mode, Phase, Restore, RestoreId, RestoreStatus
from tidemark.errors import RestoreNotFound
from tidemark.usecases.read_restores import RestoreProgress

_ID: Final = re.compile(r"restore_[0-9TZ-]{20,27}")


class PhaseEntry(msgspec.Struct, frozen=True, rename="camel"):
    """When a phase was first entered."""

    phase: Phase
    started_at: Milliseconds | UnsetType


class RestoreBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A restore: how far it is, or how it ended. Members that have no value yet are left out."""

    id: RestoreName
    snapshot_id: SnapshotName
    status: RestoreStatus
    mode: Mode
    phase: Phase
    done: Annotated[int, Meta(ge=0, description="How many entities are staged.")]
    total: Annotated[int, Meta(ge=0)]
    percent: Annotated[int, Meta(ge=0, le=100, description="100 only once the restore is completed.")]
    created_at: Seconds
    phases: list[PhaseEntry]
    source_service: str | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType = UNSET
    changes: ChangesBody | UnsetType = UNSET
    safety_snapshot_id: SnapshotName | UnsetType = UNSET
    finished_at: Milliseconds | UnsetType = UNSET
    error: FailureBody | UnsetType = UNSET


class DamagedRestoreBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Stands in lists for a restore whose record is damaged: of it only what the record's place tells is known."""

    id: RestoreName | None
    status: Literal["failed"] = "failed"
    created_at: Seconds | None
    error: FailureBody


def named(request: Request) -> RestoreId:
    """The restore in the path. Raises RestoreNotFound at once where no restore can have such an id."""
    text = request.path_parameter("restoreId")
    if _ID.fullmatch(text) is None:
        raise RestoreNotFound(f"no restore {text[:100]!r}: an id looks like restore_2026-01-15T10-00-00Z")
    return RestoreId(text)


def render(progress: RestoreProgress) -> RestoreBody:
    """A restore. Members that have no value yet are left out."""
    restore = progress.restore
    return RestoreBody(
        id=restore.id,
        snapshot_id=restore.snapshot_id,
        status=restore.status,
        mode=restore.mode,
        phase=restore.phase,
        done=progress.done,
        total=restore.total,
        percent=percent(restore, progress.done),
        created_at=seconds(restore.created_at),
        phases=[PhaseEntry(start.phase, or_unset(milliseconds(start.started_at))) for start in restore.phases],
        source_service=or_unset(restore.source_tenant),
        filter=msgspec.json.decode(restore.selection) if restore.selection else UNSET,
        changes=UNSET if progress.changes is None else changes_of(progress.changes),
        safety_snapshot_id=or_unset(restore.safety_snapshot_id),
        finished_at=or_unset(milliseconds(restore.finished_at)),
        error=stored_failure(restore.failure) if restore.failure else UNSET,
    )


def listed(found: RestoreProgress | DamagedRestore) -> RestoreBody | DamagedRestoreBody:
    """A restore in the list. One whose record is damaged says so, and of the rest only what its place tells."""
    if isinstance(found, RestoreProgress):
        return render(found)
    created_at = None if found.created_at is None else seconds(found.created_at)
    return DamagedRestoreBody(id=found.id, created_at=created_at, error=stored_failure(found.failure))


def percent(restore: Restore, done: int) -> int:
    """How much is done, rounded down. 100 only once the restore is completed, since much follows the last entity."""
    if restore.status is RestoreStatus.COMPLETED:
        return 100
    return min(99, 100 * done // restore.total) if restore.total else 0


def location(restore_id: str) -> dict[str, str]:
    """The header that says where a restore is."""
    return {"Location": f"/v2/restores/{restore_id}"}
