"""Restores in the NGSIv2 vocabulary: how far one is, and how it ended."""

import re
from typing import Any, Final

import msgspec

from tidemark.dialects.ngsi.errors import stored_failure
from tidemark.dialects.ngsi.snapshots import milliseconds, seconds
from tidemark.dialects.wire import Request
from tidemark.domain.restore import DamagedRestore, Restore, RestoreId, RestoreStatus
from tidemark.errors import RestoreNotFound
from tidemark.usecases.read_restores import RestoreProgress

_ID: Final = re.compile(r"restore_[0-9TZ-]{20,27}")


def named(request: Request) -> RestoreId:
    """The restore in the path. Raises RestoreNotFound at once where no restore can have such an id."""
    text = request.path_parameter("restoreId")
    if _ID.fullmatch(text) is None:
        raise RestoreNotFound(f"no restore {text[:100]!r}: an id looks like restore_2026-01-15T10-00-00Z")
    return RestoreId(text)


def render(progress: RestoreProgress) -> dict[str, Any]:
    """A restore. Members that have no value yet are left out."""
    restore = progress.restore
    more = {
        "sourceService": restore.source_tenant,
        "filter": restore.selection and msgspec.json.decode(restore.selection),
        "changes": progress.changes and progress.changes._asdict(),
        "safetySnapshotId": restore.safety_snapshot_id,
        "finishedAt": milliseconds(restore.finished_at),
        "error": restore.failure and stored_failure(restore.failure),
    }
    return {
        "id": restore.id,
        "snapshotId": restore.snapshot_id,
        "status": restore.status.value,
        "mode": restore.mode.value,
        "phase": restore.phase.value,
        "done": progress.done,
        "total": restore.total,
        "percent": percent(restore, progress.done),
        "createdAt": seconds(restore.created_at),
        "phases": [
            {"phase": start.phase.value, "startedAt": milliseconds(start.started_at)} for start in restore.phases
        ],
        **{name: value for name, value in more.items() if value is not None},
    }


def listed(found: RestoreProgress | DamagedRestore) -> dict[str, Any]:
    """A restore in the list. One whose record is damaged says so, and of the rest only what its place tells."""
    if isinstance(found, RestoreProgress):
        return render(found)
    return {
        "id": found.id,
        "status": RestoreStatus.FAILED.value,
        "createdAt": found.created_at and seconds(found.created_at),
        "error": stored_failure(found.failure),
    }


def percent(restore: Restore, done: int) -> int:
    """How much is done, rounded down. 100 only once the restore is completed, since much follows the last entity."""
    if restore.status is RestoreStatus.COMPLETED:
        return 100
    return min(99, 100 * done // restore.total) if restore.total else 0


def location(restore_id: str) -> dict[str, str]:
    """The header that says where a restore is."""
    return {"Location": f"/v2/restores/{restore_id}"}
