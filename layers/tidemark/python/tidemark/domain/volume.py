"""Volumes, and the catalog record of a snapshot of one: its states, and which may follow which.

Source: the snapshot states of Apache CloudStack, in words of our own. A dialect has its own for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.interval import IntervalType
from tidemark.domain.snapshot import Failure, ManifestRef, Verification
from tidemark.domain.upload import Upload
from tidemark.domain.uuids import derived_uuid, parse_uuid, random_uuid
from tidemark.errors import SnapshotInUse, WrongState

VolumeId = NewType("VolumeId", str)
InstanceId = NewType("InstanceId", str)
VolumeSnapshotId = NewType("VolumeSnapshotId", str)


class VolumeKind(StrEnum):
    """Whether an instance starts from a volume, or only keeps data on it."""

    ROOT = "root"
    DATA = "data"


class VolumeState(StrEnum):
    """The state of a volume, as EC2 names it."""

    CREATING = "creating"
    AVAILABLE = "available"
    IN_USE = "in-use"
    DELETING = "deleting"
    DELETED = "deleted"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as it is now; no record is kept of it. `source_id` and `instance_source_id` are what EC2 calls it and
    the instance that it is attached to, `id` and `instance_id` what these are called here; `zone` is its zone's name,
    `source_kind` what EC2 calls its kind.
    """

    environment: EnvironmentId
    id: VolumeId
    source_id: str
    name: str
    kind: VolumeKind
    state: VolumeState
    size_bytes: int
    created_at: datetime
    zone_id: str
    zone: str
    source_kind: str | None = None
    instance_id: InstanceId | None = None
    instance_source_id: str | None = None
    instance_name: str | None = None

    @property
    def ready(self) -> bool:
        """Whether a snapshot of it can be taken."""
        return self.state in {VolumeState.AVAILABLE, VolumeState.IN_USE}

    def check_ready(self) -> None:
        """Raises WrongState unless a snapshot of it can be taken."""
        if not self.ready:
            raise WrongState(
                f"the volume {self.id} is not ready, so no snapshot can be taken of it",
                subject="volume",
                subject_id=self.id,
                current=self.state,
                expected=(VolumeState.AVAILABLE, VolumeState.IN_USE),
            )


class VolumeSnapshotState(StrEnum):
    """Where a snapshot of a volume is in its life.

    `CUT`: the moment is kept by the cloud's own snapshot. `STORING`: its blocks are being stored here. `STORED`: they
    are, and every byte was read back. `DELETED` ones are gone but for the record.
    """

    ALLOCATED = "allocated"
    CREATING = "creating"
    CUT = "cut"
    STORING = "storing"
    STORED = "stored"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


_S = VolumeSnapshotState
# Which states may follow each. Repeating what led to a state is no change of it.
FOLLOWING: Final[Mapping[VolumeSnapshotState, frozenset[VolumeSnapshotState]]] = {
    _S.ALLOCATED: frozenset({_S.CREATING, _S.FAILED}),
    _S.CREATING: frozenset({_S.CUT, _S.FAILED}),
    _S.CUT: frozenset({_S.STORING, _S.FAILED}),
    _S.STORING: frozenset({_S.STORED, _S.FAILED}),
    _S.STORED: frozenset({_S.DELETING}),
    _S.FAILED: frozenset({_S.DELETING}),
    _S.DELETING: frozenset({_S.DELETED}),
    _S.DELETED: frozenset(),
}
RUNNING: Final = frozenset({_S.ALLOCATED, _S.CREATING, _S.CUT, _S.STORING})


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The image of a volume as it is stored: that all of it was read back, at `verified_at`, is what makes it one.

    `digest` is of the whole image, however it is packed. `stored_bytes` is what it takes in all, `new_bytes` what this
    snapshot added.
    """

    manifest: ManifestRef
    digest: str
    stored_bytes: int
    new_bytes: int
    verified_at: datetime


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    """The catalog record of one snapshot of a volume. `version` is the compare-and-swap token of the record.

    `name` is unique in the environment. The volume's own members are what they were when the snapshot was asked for.
    `source_id` is the cloud's own snapshot that keeps the moment, None before there is one and once it was removed;
    where `keeps_source` is set it is kept. `parent_id` is the snapshot that this one was stored incrementally from.
    `zone` and `source_kind` say where a volume restored from it is to be, and of what kind, unless told otherwise.
    `sealed` is the manifest of one that is stored and still to be read back. `used_by` names what reads it now.
    `task_id` is the task that makes it, if one does. `schedule_id` is the schedule that made it, if one did, `slot_at`
    the slot that it was made for. `asked` is the request that made it, where that can be sent again. `verification` is
    what was found when its stored bytes were read back last, after it was made. `uploaded` says where the image
    comes from that is imported. Until `shared_until`, somebody has addresses of what is stored.
    """

    environment: EnvironmentId
    id: VolumeSnapshotId
    name: str
    volume_id: VolumeId
    volume_name: str
    volume_kind: VolumeKind
    size_bytes: int
    created_at: datetime
    state: VolumeSnapshotState = VolumeSnapshotState.ALLOCATED
    source_id: str | None = None
    keeps_source: bool = False
    parent_id: VolumeSnapshotId | None = None
    sealed: ManifestRef | None = None
    image: StoredImage | None = None
    failure: Failure | None = None
    used_by: frozenset[str] = field(default_factory=frozenset)
    interval: IntervalType = IntervalType.MANUAL
    schedule_id: str | None = None
    slot_at: datetime | None = None
    asked: Asked | None = None
    task_id: str | None = None
    verification: Verification | None = None
    zone: str | None = None
    source_kind: str | None = None
    uploaded: Upload | None = None
    shared_until: datetime | None = None
    version: int = 0

    def __post_init__(self) -> None:
        """A record that says more than is known is none, whoever made it."""
        if self.state is VolumeSnapshotState.STORED and self.image is None:
            raise ValueError("a snapshot of a volume is stored only where its image is")
        if self.state is VolumeSnapshotState.FAILED and self.failure is None:
            raise ValueError("a failed snapshot of a volume has a reason")

    @property
    def running(self) -> bool:
        """Whether it is being made."""
        return self.state in RUNNING

    @property
    def awaits_upload(self) -> bool:
        """Whether it is an import whose parts are still to be sent."""
        return self.running and self.uploaded is not None and self.uploaded.index_sha256 is None

    @property
    def claims(self) -> str:
        """What there is one running snapshot of at most: its volume; an import is in the way of none."""
        return self.volume_id if self.uploaded is None else self.id

    @property
    def leaves_source(self) -> bool:
        """Whether the cloud's own snapshot is there though nothing needs it any more."""
        if self.source_id is None or self.running:
            return False
        return self.state is not VolumeSnapshotState.STORED or not self.keeps_source

    def creating(self) -> "VolumeSnapshot":
        """The record of one whose moment is being taken. Raises WrongState."""
        return self._in(VolumeSnapshotState.CREATING)

    def cut(self, source_id: str | None) -> "VolumeSnapshot":
        """The record of one whose moment is kept by the cloud's snapshot `source_id`; None: by what was uploaded.

        Raises WrongState, also where another one keeps it: two would be two moments.
        """
        if self.source_id not in {None, source_id}:
            raise self._refusal(VolumeSnapshotState.CUT)
        return replace(self._in(VolumeSnapshotState.CUT), source_id=source_id)

    def storing(self) -> "VolumeSnapshot":
        """The record of one whose blocks are being stored. Raises WrongState."""
        return self._in(VolumeSnapshotState.STORING)

    def sealed_as(self, manifest: ManifestRef) -> "VolumeSnapshot":
        """The record of one whose blocks are all stored, and are to be read back now.

        Raises WrongState unless its blocks are being stored.
        """
        if self.state is not VolumeSnapshotState.STORING:
            raise self._refusal(VolumeSnapshotState.STORING)
        return replace(self, sealed=manifest)

    def stored(self, image: StoredImage) -> "VolumeSnapshot":
        """The record of one that is stored and was read back. Repeating it changes nothing: the first image stays.

        Raises WrongState.
        """
        if self.state is VolumeSnapshotState.STORED:
            return self
        self._check_leads_to(VolumeSnapshotState.STORED)
        return replace(self, state=VolumeSnapshotState.STORED, image=image, sealed=None)

    def failed(self, failure: Failure) -> "VolumeSnapshot":
        """The record of one that can't be made. Repeating it changes nothing: the first reason stays.

        Raises WrongState.
        """
        if self.state is VolumeSnapshotState.FAILED:
            return self
        self._check_leads_to(VolumeSnapshotState.FAILED)
        return replace(self, state=VolumeSnapshotState.FAILED, failure=failure)

    def without_source(self) -> "VolumeSnapshot":
        """The record once the cloud's own snapshot is removed. Repeating it changes nothing.

        Raises WrongState while it is being made from that.
        """
        if self.running:
            raise self._refusal(VolumeSnapshotState.STORED, VolumeSnapshotState.FAILED)
        return replace(self, source_id=None)

    def deleting(self) -> "VolumeSnapshot":
        """The record of one that is being deleted. Repeating it changes nothing.

        Raises WrongState while it is being made, SnapshotInUse while something reads it.
        """
        if self.used_by:
            users = ", ".join(sorted(self.used_by))
            raise SnapshotInUse(f"the snapshot {self.id} is in use by {users}; delete it once that is over")
        return self._in(VolumeSnapshotState.DELETING)

    def deleted(self) -> "VolumeSnapshot":
        """The record of one that is gone. Repeating it changes nothing.

        Raises WrongState, also while the cloud's own snapshot is still there.
        """
        if self.source_id is not None:
            raise self._refusal(VolumeSnapshotState.DELETED)
        return self._in(VolumeSnapshotState.DELETED)

    def using(self, user: str) -> "VolumeSnapshot":
        """The record with one more user. Repeating it changes nothing. Raises WrongState unless it is stored."""
        self.check_stored()
        return replace(self, used_by=self.used_by | {user})

    def released_by(self, user: str) -> "VolumeSnapshot":
        """The record without that user. Repeating it changes nothing."""
        return replace(self, used_by=self.used_by - {user})

    def check_stored(self) -> None:
        """Raises WrongState unless it can be restored, read and exported."""
        if self.state is not VolumeSnapshotState.STORED:
            raise WrongState(
                f"the snapshot {self.id} is not stored, so it can't be read",
                subject="snapshot",
                subject_id=self.id,
                current=self.state,
                expected=(VolumeSnapshotState.STORED,),
            )

    def _in(self, state: VolumeSnapshotState) -> "VolumeSnapshot":
        """The record in that state, where it is or may be next."""
        if self.state is state:
            return self
        self._check_leads_to(state)
        return replace(self, state=state)

    def _check_leads_to(self, state: VolumeSnapshotState) -> None:
        if state not in FOLLOWING[self.state]:
            raise self._refusal(*(before for before, after in FOLLOWING.items() if state in after))

    def _refusal(self, *expected: VolumeSnapshotState) -> WrongState:
        return WrongState(
            f"the snapshot {self.id} is in a state that does not allow this",
            subject="snapshot",
            subject_id=self.id,
            current=self.state,
            expected=expected,
        )


@dataclass(frozen=True, slots=True)
class DamagedVolumeSnapshot:
    """A record of a snapshot that can't be read: the id that its place says, and why."""

    id: VolumeSnapshotId
    failure: Failure


def new_volume_snapshot_id(random_bytes: bytes) -> VolumeSnapshotId:
    """The id of a new snapshot, of 16 random bytes."""
    return VolumeSnapshotId(random_uuid(random_bytes))


def parse_volume_snapshot_id(text: str) -> VolumeSnapshotId:
    """The id of a snapshot. Raises InvalidRequest unless it is a UUID."""
    return VolumeSnapshotId(parse_uuid(text, "the id of a snapshot"))


def volume_id(region: str, source_id: str) -> VolumeId:
    """What a volume of EC2 is called here: always the same, so no record is needed to find the one by the other."""
    return VolumeId(derived_uuid("volume", region, source_id))


def parse_volume_id(text: str) -> VolumeId:
    """The id of a volume. Raises InvalidRequest unless it is a UUID."""
    return VolumeId(parse_uuid(text, "the id of a volume"))
