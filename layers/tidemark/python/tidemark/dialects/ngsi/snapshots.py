"""Snapshots in the NGSIv2 vocabulary: the bodies of the create and restore requests, and the answers.

Source: the Vela OS snapshots page, whose members, formats and order come first in every answer.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tidemark.dialects.ngsi.errors import stored_failure
from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.wire import Request
from tidemark.domain.restore import Restore
from tidemark.domain.snapshot import (
    MAX_DESCRIPTION_CHARS,
    Origin,
    Snapshot,
    SnapshotId,
    Verification,
    parse_snapshot_id,
)
from tidemark.domain.tenant import Tenant, parse_tenant
from tidemark.errors import InvalidRequest, NotSupported

MAX_BODY_BYTES: Final = 16_384
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_RESTORE_MEMBERS: Final = ("mode", "safetySnapshot")
_LATER_RESTORE_MEMBERS: Final = ("dryRun", "filter", "target")


class RestoreWanted(NamedTuple):
    """What a restore request asks for. `safety_snapshot` keeps the state at the moment of the cutover."""

    safety_snapshot: bool = True


class CopyWanted(NamedTuple):
    """What a copy request asks for: whose the copy will be, and a description, or that of its source."""

    tenant: Tenant
    description: str


def named(request: Request) -> SnapshotId:
    """The snapshot in the path. Raises SnapshotNotFound at once where no snapshot can have such an id."""
    text = request.path_parameter("snapshotId")
    parse_snapshot_id(text)
    return SnapshotId(text)


def asks_for_recycle_bin(request: Request) -> bool:
    """Whether a list of deleted snapshots is wanted: `status=deleted`. Raises InvalidRequest for any other status."""
    status = request.query.get("status")
    if status not in {None, "deleted"}:
        raise InvalidRequest(
            f"the parameter status can only be 'deleted', which lists the recycle bin; it is {status[:40]!r}"
        )
    return status is not None


def parse_create(document: object) -> str:
    """The description in the body of a create request; empty where it has none.

    Raises InvalidRequest naming the member that is wrong.
    """
    return description_in(members(document, ("description",)))


def description_in(wanted: Mapping[str, Any]) -> str:
    """The member `description` of a body; empty where it has none. Raises InvalidRequest."""
    text = wanted.get("description", "")
    if not isinstance(text, str):
        raise InvalidRequest(f"the member 'description' must be a string; it is {json_type(text)}")
    if len(text) > MAX_DESCRIPTION_CHARS:
        raise InvalidRequest(
            f"the member 'description' has {len(text)} characters; at most {MAX_DESCRIPTION_CHARS} are accepted"
        )
    if control := _CONTROL.search(text):
        raise InvalidRequest(
            f"the member 'description' holds the control character U+{ord(control[0]):04X}; use only tab and line feed"
        )
    return text


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
    """The body of a restore request. Raises InvalidRequest naming the member that is wrong, NotSupported."""
    wanted = members(document, _RESTORE_MEMBERS, later=_LATER_RESTORE_MEMBERS)
    mode, safety = wanted.get("mode", "replace"), wanted.get("safetySnapshot", True)
    if mode == "merge":
        raise NotSupported("the mode 'merge' is not supported by this version; use 'replace'")
    if mode != "replace":
        raise InvalidRequest(
            f"the member 'mode' must be 'replace'; it is {json_type(mode)}"
            + (f", {mode[:40]!r}" if isinstance(mode, str) else "")
        )
    if not isinstance(safety, bool):
        raise InvalidRequest(f"the member 'safetySnapshot' must be true or false; it is {json_type(safety)}")
    return RestoreWanted(safety_snapshot=safety)


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as it is created and listed."""
    return {
        "id": snapshot.id,
        "description": snapshot.description,
        "createdAt": seconds(snapshot.created_at),
        "entityCount": snapshot.entity_count,
        "status": "restoring" if snapshot.restoring else snapshot.status.value,
    }


def in_recycle_bin(snapshot: Snapshot) -> dict[str, Any]:
    """A deleted snapshot as it is listed: since when it is in the recycle bin, and until when it can be undeleted."""
    return {
        **summary(snapshot),
        "deletedAt": milliseconds(snapshot.deleted_at),
        "recycledUntil": milliseconds(snapshot.recycled_until),
    }


def detail(snapshot: Snapshot) -> dict[str, Any]:
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
        "usedBy": sorted(snapshot.used_by) or None,
        "error": snapshot.failure and stored_failure(snapshot.failure),
        "verification": snapshot.verification and _verification(snapshot.verification),
    }
    return {**summary(snapshot), **{name: value for name, value in more.items() if value is not None}}


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
    return {
        "id": restore.snapshot_id,
        "status": restore.status.value,
        "restoredEntities": restore.total,
        "restoreId": restore.id,
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
