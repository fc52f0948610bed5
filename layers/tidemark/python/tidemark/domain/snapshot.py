"""Snapshots: the catalog record, its states, and the id that people see."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from tidemark.domain.asked import Asked
from tidemark.domain.hold import Hold
from tidemark.domain.interval import IntervalType
from tidemark.domain.live import Cut, FencingToken, Generation
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotFound

SnapshotId = NewType("SnapshotId", str)
CaptureId = NewType("CaptureId", str)

MAX_DESCRIPTION_CHARS: Final = 1024
MAX_LABELS: Final = 50
MAX_LABEL_KEY_CHARS: Final = 128
MAX_LABEL_VALUE_CHARS: Final = 256
MIN_LIFETIME: Final = timedelta(minutes=1)
MAX_LIFETIME: Final = timedelta(days=3650)
_ID: Final = re.compile(r"snapshot_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-([1-9]\d{0,5}))?")


class SnapshotStatus(StrEnum):
    """Where a snapshot is in its life. Only `COMPLETED` can be read or restored.

    `DELETED` ones are in the recycle bin. `PURGING`: its time there is over, the bytes are going, and it can't be
    brought back.
    """

    CREATING = "creating"
    COMPLETED = "completed"
    FAILED = "failed"
    DELETED = "deleted"
    PURGING = "purging"


RESTORING: Final = "restoring"
# What people see as the status of a snapshot.
STANDINGS: Final = (*(status.value for status in SnapshotStatus if status is not SnapshotStatus.PURGING), RESTORING)


class Trigger(StrEnum):
    """Why a snapshot was taken."""

    MANUAL = "manual"
    SAFETY = "safety"
    COPY = "copy"
    IMPORT = "import"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something ended badly: a class of `tidemark.errors` and its sentence."""

    code: str
    message: str


class Scope(StrEnum):
    """How much of a snapshot a verification read back."""

    FULL = "full"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading a snapshot's stored bytes back showed. What was checked is counted only where all of it was good."""

    checked_at: datetime
    ok: bool
    scope: Scope = Scope.FULL
    checked_bytes: int = 0
    checked_packs: int = 0
    failure: Failure | None = None

    def outweighs(self, held: "Verification | None") -> bool:
        """Whether it says more than the one that is held: a sample that is good hides neither damage nor a full one."""
        return held is None or not self.ok or self.scope is Scope.FULL or (held.ok and held.scope is Scope.SAMPLE)


@dataclass(frozen=True, slots=True)
class ManifestRef:
    """Where a snapshot's manifest is, and what its bytes are."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """How a snapshot comes to be that is not captured from live data: a copy of `snapshot_id` of `tenant`, or an import
    of files, where both are None.

    `transfer_id` names its executions, `attempt` counts them; 0: an import still waits for its files. `started_at` is
    when its first execution was asked for, or its files were. `shards` is their number, once known; `total` is the
    number of entities, where that is known beforehand.
    """

    transfer_id: str
    started_at: datetime
    attempt: int = 0
    tenant: Tenant | None = None
    snapshot_id: SnapshotId | None = None
    shards: int = 0
    total: int | None = None


class ExportStatus(StrEnum):
    """How the merging of a snapshot's shards for an export stands."""

    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Export:
    """The last merging of a snapshot's shards for an export: `transfer_id` names its executions and its objects."""

    transfer_id: str
    started_at: datetime
    attempt: int = 1
    status: ExportStatus = ExportStatus.PREPARING
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalog record of one snapshot. `version` is the compare-and-swap token of the record.

    `parent_id` is the snapshot that this one was made incrementally from, `base_cut` the cut of the live data since
    when changes were read. `used_by` names captures and restores that need the snapshot; while it is not empty the
    snapshot can't be deleted. `deleted_at` is when it came into the recycle bin, `recycled_until` when its time there
    ends. `expires_at` is when nobody wants it any more: some time after, the collector puts it there. `asked` is the
    request that made it, where that can be sent again. One that is `pinned`, or has a legal `hold`, is neither deleted
    nor does it expire. `stored_bytes` is what its packs hold in all, `new_bytes` what this capture added, `raw_bytes`
    the records uncompressed.

    `digest` is the set digest of all its records (see `domain.digest`), None until it was read. `origin` is set where
    the snapshot is a copy or an import; those have generation and cut 0, which are of no live data. `schedule_id` is
    the schedule that made it, if one did, `slot_at` the slot that it was made for, and `interval` what the schedule
    says of it.
    """

    tenant: Tenant
    id: SnapshotId
    created_at: datetime
    capture_id: CaptureId
    token: FencingToken
    status: SnapshotStatus = SnapshotStatus.CREATING
    description: str = ""
    trigger: Trigger = Trigger.MANUAL
    generation: Generation | None = None
    cut: Cut | None = None
    parent_id: SnapshotId | None = None
    base_cut: Cut | None = None
    entity_count: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    new_bytes: int = 0
    manifest: ManifestRef | None = None
    completed_at: datetime | None = None
    restore_id: str | None = None
    failure: Failure | None = None
    verification: Verification | None = None
    deleted_at: datetime | None = None
    recycled_until: datetime | None = None
    used_by: frozenset[str] = field(default_factory=frozenset)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    expires_at: datetime | None = None
    pinned: bool = False
    hold: Hold | None = None
    asked: Asked | None = None
    digest: str | None = None
    origin: Origin | None = None
    export: Export | None = None
    schedule_id: str | None = None
    slot_at: datetime | None = None
    interval: IntervalType = IntervalType.MANUAL
    version: int = 0

    @property
    def restoring(self) -> bool:
        """Whether a restore is reading it now."""
        return any(user.startswith("restore_") for user in self.used_by)

    @property
    def standing(self) -> str:
        """Its status as people ask for it: one that a restore reads is `restoring` as long as that lasts."""
        return RESTORING if self.restoring else self.status.value

    @property
    def awaits_files(self) -> bool:
        """Whether it is an import that was not begun, since its files are still being uploaded."""
        return self.status is SnapshotStatus.CREATING and self.origin is not None and not self.origin.attempt

    @property
    def was_completed(self) -> bool:
        """Whether its capture came to a good end, whatever became of the snapshot since."""
        return self.manifest is not None

    @property
    def kept(self) -> bool:
        """Whether somebody has said that it is to stay. Whoever makes it go asks in the compare-and-swap that does."""
        return self.pinned or self.hold is not None

    @property
    def forgotten(self) -> bool:
        """Whether it was deleted: such a snapshot is not found, though one in the recycle bin can be brought back."""
        return self.status in {SnapshotStatus.DELETED, SnapshotStatus.PURGING}

    def recycled(self, now: datetime) -> bool:
        """Whether it is in the recycle bin, from where it can be brought back."""
        if self.status is not SnapshotStatus.DELETED:
            return False
        return self.recycled_until is not None and now < self.recycled_until

    def deleted(self, now: datetime, until: datetime) -> "Snapshot":
        """The record in the recycle bin, where it stays until then."""
        return replace(self, status=SnapshotStatus.DELETED, deleted_at=now, recycled_until=until)

    def undeleted(self) -> "Snapshot":
        """The record as it was before it came into the recycle bin."""
        before = SnapshotStatus.COMPLETED if self.was_completed else SnapshotStatus.FAILED
        return replace(self, status=before, deleted_at=None, recycled_until=None)

    def expired(self, now: datetime) -> bool:
        """Whether it is one that people see and its time is over. That of one that is kept never is."""
        if self.kept or self.expires_at is None:
            return False
        if self.status not in {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}:
            return False
        return self.expires_at <= now

    def using(self, user: str) -> "Snapshot":
        """The record with one more user. Repeating it changes nothing."""
        return replace(self, used_by=self.used_by | {user})

    def released_by(self, user: str) -> "Snapshot":
        """The record without that user. Repeating it changes nothing."""
        return replace(self, used_by=self.used_by - {user})


@dataclass(frozen=True, slots=True)
class DamagedSnapshot:
    """Stands for a snapshot whose catalog record is not what was stored. `id` and `created_at` are what the record's
    place says; None where that is no snapshot's.
    """

    id: SnapshotId | None
    created_at: datetime | None
    failure: Failure


def snapshot_id(created_at: datetime, sequence: int = 1) -> SnapshotId:
    """The id of the `sequence`-th snapshot of that second (UTC): `snapshot_2026-01-15T10-00-00Z`, then `...Z-2`,
    `...Z-3`.
    """
    return SnapshotId(f"snapshot_{stamp(created_at)}{_suffix(sequence)}")


def restore_id(created_at: datetime, sequence: int = 1) -> str:
    """The id of the `sequence`-th restore of that second (UTC): like a snapshot's, with its own prefix."""
    return f"restore_{stamp(created_at)}{_suffix(sequence)}"


def transfer_id(kind: str, identity: SnapshotId) -> str:
    """What the executions of a copy, export or import (`kind`) of a snapshot are named by."""
    return f"{kind}_{identity.removeprefix('snapshot_')}"


def copy_user(tenant: Tenant, identity: SnapshotId) -> str:
    """What a copy is called among the users of its source: unique across tenants, whose names have no colon."""
    return f"copy:{tenant}:{identity}"


def parse_copy_user(user: str) -> tuple[Tenant, SnapshotId] | None:
    """The tenant and id of the copy that is called so; None for other users."""
    kind, _, rest = user.partition(":")
    tenant, _, identity = rest.partition(":")
    return (Tenant(tenant), SnapshotId(identity)) if kind == "copy" else None


def parse_snapshot_id(text: str) -> tuple[str, int]:
    """The second and the sequence number in a snapshot id, which order snapshots.

    Raises SnapshotNotFound: a malformed id names nothing.
    """
    match = _ID.fullmatch(text)
    if match is None or match[2] == "1":
        raise SnapshotNotFound(f"no snapshot {text[:100]!r}: an id looks like snapshot_2026-01-15T10-00-00Z")
    return match[1], int(match[2] or 1)


def whole_second(moment: datetime) -> datetime:
    """The second that the moment is in, which is all that people see of it."""
    return moment.replace(microsecond=0)


def stamp(moment: datetime) -> str:
    """The second of a moment, in UTC, as ids have it: `2026-01-15T10-00-00Z`."""
    # Not strftime, which writes the year 1 as 1.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds").replace(":", "-") + "Z"


def _suffix(sequence: int) -> str:
    return "" if sequence == 1 else f"-{sequence}"
