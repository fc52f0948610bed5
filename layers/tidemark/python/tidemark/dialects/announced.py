"""What details of announced events have in common: their types, and what is said alike of entities and of volumes."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidemark.dialects.wire import or_unset
from tidemark.domain.announcements import Kind
from tidemark.domain.schedule import LastRun, Schedule
from tidemark.domain.snapshot import Failure, Verification

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
    """What every event says: which it is, and when that happened."""

    id: Id
    at: Moment


def reason_of(failure: Failure | None) -> Reason | UnsetType:
    """Why it failed, if it did."""
    return UNSET if failure is None else Reason(failure.code, failure.message[:MAX_REASON_CHARS])


def written(moment: datetime) -> str:
    """A moment to the millisecond, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written_if(moment: datetime | None) -> str | UnsetType:
    """A moment, where there is one."""
    return UNSET if moment is None else written(moment)


def of_slot(kind: Kind, record: Schedule) -> dict[str, Any]:
    """What is said of the slot of a schedule that an announcement is about."""
    about = record.last_run if kind is Kind.BACKUP_FAILED else record.last_missed
    if about is None:
        raise AssertionError("a backup is announced of a schedule that has a slot to tell of")
    if isinstance(about, LastRun):
        snapshot_id, reason = or_unset(about.snapshot_id), reason_of(about.failure)
    else:
        snapshot_id, reason = UNSET, reason_of(Failure(f"Backup{about.status.capitalize()}", about.reason))
    return {
        "schedule_id": record.id,
        "slot_at": written(about.slot_at),
        "status": about.status,
        "snapshot_id": snapshot_id,
        "error": reason if isinstance(reason, Reason) else Reason("BackupFailed", ""),
    }


def of_verification(found: Verification | None) -> dict[str, Any]:
    """What is said of a verification that has found damage."""
    if found is None:
        raise AssertionError("a failed verification is announced of a snapshot that has one")
    return {"checked_at": written(found.checked_at), "scope": found.scope, "error": reason_of(found.failure)}
