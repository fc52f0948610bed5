"""Snapshots in the NGSIv2 vocabulary: the body of the restore request, and the answers.

Source: the Vela OS snapshots page, whose members, formats and order come first in every answer.
"""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tidemark.dialects.ngsi import restore_filter
from tidemark.dialects.ngsi.errors import stored_failure
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.snapshot_metadata import description_in
from tidemark.dialects.wire import Request
from tidemark.domain.restore import Mode, Restore
from tidemark.domain.snapshot import DamagedSnapshot, Origin, Snapshot, SnapshotId, Verification, parse_snapshot_id
from tidemark.domain.tenant import Tenant, parse_tenant
from tidemark.errors import InvalidRequest
from tidemark.usecases.read_snapshots import TransferProgress
from tidemark.usecases.restore_snapshot import Wish

MAX_BODY_BYTES: Final = 16_384
_MODES: Final = frozenset(Mode)
_PLANNED_MEMBERS: Final = ("filter", "mode", "target")
_RESTORE_MEMBERS: Final = (*_PLANNED_MEMBERS, "dryRun", "plan", "safetySnapshot")


class RestoreWanted(NamedTuple):
    """What a restore request asks for: to carry out `wish`, or with `dry_run` only to say what that would do. `plan` is
    the id of what a dry run said; then the wish is that one's.
    """

    wish: Wish
    dry_run: bool = False
    plan: str | None = None


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


def parse_restore(document: object) -> RestoreWanted:
    """The body of a restore request. Raises InvalidRequest naming the member that is wrong."""
    wanted = members(document, _RESTORE_MEMBERS)
    mode, plan = wanted.get("mode", "replace"), wanted.get("plan")
    safety, dry_run = _flag(wanted, "safetySnapshot", default=True), _flag(wanted, "dryRun", default=False)
    if not isinstance(mode, str) or mode not in _MODES:
        raise InvalidRequest(
            f"the member 'mode' must be 'replace' or 'merge'; it is {json_type(mode)}"
            + (f", {mode[:40]!r}" if isinstance(mode, str) else "")
        )
    if "plan" in wanted and (not isinstance(plan, str) or dry_run):
        raise InvalidRequest("the member 'plan' must be the id that a dry run gave, a string, and excludes 'dryRun'")
    if plan is not None and (said := [name for name in _PLANNED_MEMBERS if name in wanted]):
        raise InvalidRequest(f"the plan says what is to be restored; leave out {', '.join(map(repr, said))}")
    wish = Wish(
        target=_target(wanted["target"]) if "target" in wanted else None,
        mode=Mode(mode),
        selection=restore_filter.accept(wanted["filter"]) if "filter" in wanted else None,
        safety_snapshot=safety,
    )
    return RestoreWanted(wish, dry_run=dry_run, plan=plan)


def _flag(wanted: dict[str, Any], name: str, *, default: bool) -> bool:
    given = wanted.get(name, default)
    if not isinstance(given, bool):
        raise InvalidRequest(f"the member {name!r} must be true or false; it is {json_type(given)}")
    return given


def _target(given: object) -> Tenant:
    if not isinstance(given, dict) or list(given) != ["service"] or not isinstance(given["service"], str):
        raise InvalidRequest("the member 'target' must be an object with the member 'service', the name of a tenant")
    return parse_tenant(given["service"])


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as it is created and listed. Labels and expiry are there if it has any."""
    told: dict[str, Any] = {
        "id": snapshot.id,
        "description": snapshot.description,
        "createdAt": seconds(snapshot.created_at),
        "entityCount": snapshot.entity_count,
        "status": snapshot.standing,
    }
    if snapshot.labels:
        told["labels"] = dict(sorted(snapshot.labels.items()))
    if snapshot.expires_at is not None:
        told["expiresAt"] = seconds(snapshot.expires_at)
    return told


def listed(snapshot: Snapshot | DamagedSnapshot) -> dict[str, Any]:
    """A snapshot in the list, in the recycle bin or not. One whose record is damaged says so, and of the rest only what
    its place tells.
    """
    if isinstance(snapshot, Snapshot):
        return in_recycle_bin(snapshot) if snapshot.forgotten else summary(snapshot)
    return {
        "id": snapshot.id,
        "description": "",
        "createdAt": snapshot.created_at and seconds(snapshot.created_at),
        "entityCount": 0,
        "status": "failed",
        "error": stored_failure(snapshot.failure),
    }


def in_recycle_bin(snapshot: Snapshot) -> dict[str, Any]:
    """A deleted snapshot as it is listed: since when it is in the recycle bin, and until when it can be undeleted."""
    return {
        **summary(snapshot),
        "deletedAt": milliseconds(snapshot.deleted_at),
        "recycledUntil": milliseconds(snapshot.recycled_until),
    }


def detail(snapshot: Snapshot, progress: TransferProgress | None = None) -> dict[str, Any]:
    """A snapshot with what an operator wants to know. Members that have no value yet are left out."""
    more = {
        "trigger": snapshot.trigger.value,
        "consistency": "point-in-time",
        "sizeBytes": snapshot.stored_bytes,
        "newBytes": snapshot.new_bytes,
        "rawBytes": snapshot.raw_bytes,
        "digest": snapshot.digest,
        "cut": snapshot.cut or None,
        "parentId": snapshot.parent_id,
        "completedAt": milliseconds(snapshot.completed_at),
        "restoreId": snapshot.restore_id,
        "copiedFrom": snapshot.origin and _source(snapshot.origin),
        "progress": progress and _progress(progress),
        "usedBy": sorted(snapshot.used_by) or None,
        "error": snapshot.failure and stored_failure(snapshot.failure),
        "verification": snapshot.verification and _verification(snapshot.verification),
    }
    return {**summary(snapshot), **{name: value for name, value in more.items() if value is not None}}


def _progress(progress: TransferProgress) -> dict[str, int]:
    """How many entities a copy or import has gone through, and of how many. Never 100 %: much follows the last one."""
    if progress.total is None:
        return {"done": progress.done}
    percent = min(99, 100 * progress.done // progress.total) if progress.total else 0
    return {"done": progress.done, "total": progress.total, "percent": percent}


def _source(origin: Origin) -> dict[str, Any] | None:
    """Which snapshot a copy was made of."""
    return None if origin.tenant is None else {"service": origin.tenant, "id": origin.snapshot_id}


def _verification(found: Verification) -> dict[str, Any]:
    """What reading the snapshot back showed: how much was good, or which object is damaged and in what way."""
    told: dict[str, Any] = {
        "verifiedAt": milliseconds(found.checked_at),
        "status": "passed" if found.ok else "failed",
        "scope": found.scope.value,
    }
    if found.failure is not None:
        return {**told, "error": stored_failure(found.failure)}
    return {**told, "checkedBytes": found.checked_bytes, "checkedPacks": found.checked_packs}


def accepted(restore: Restore) -> dict[str, Any]:
    """The answer to a restore request: what has begun, and how to follow it."""
    there = {} if restore.source_tenant is None else {"service": restore.tenant}
    return {
        "id": restore.snapshot_id,
        "status": restore.status.value,
        "restoredEntities": restore.total,
        "restoreId": restore.id,
        **there,
    }


def location(snapshot_id: str) -> dict[str, str]:
    """The header that says where a snapshot is."""
    return {"Location": f"/v2/snapshots/{snapshot_id}"}


def seconds(moment: datetime) -> str:
    """A moment as people read it: `2026-01-15T10:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime | None) -> str | None:
    """A moment for measuring how long something took: `2026-01-15T10:00:00.123Z`."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
