"""The ports of disks: EC2, which has volumes and their snapshots, and the EBS direct APIs, which read and write blocks
of a snapshot.

A disk snapshot is EC2's own, of one volume; it is what an image is read from, or written to, and no snapshot of ours.
Source: Amazon EBS User Guide, "Use EBS direct APIs to access the contents of an EBS snapshot".
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from tidemark.domain.blocks import Block, BlockRange


class DiskState(StrEnum):
    """How a disk snapshot stands. Blocks are read of a completed one, and written to a pending one that was started."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume. `state` and `kind` are EC2's words; `instance_id` is what it is attached to."""

    id: str
    size_gib: int
    zone: str
    state: str
    kind: str
    created_at: datetime
    snapshot_id: str | None = None
    instance_id: str | None = None
    device: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that volumes are attached to. It starts from the one at `root_device`."""

    id: str
    root_device: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiskSnapshot:
    """A disk snapshot. `percent` is how far EC2 is with it, `reason` why it failed."""

    id: str
    volume_id: str | None
    size_gib: int
    state: DiskState
    percent: int
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A machine image of this account. `state` is EC2's word."""

    id: str
    name: str
    state: str
    snapshot_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockToken:
    """A block that a disk snapshot has, and the token that reads it; None: it has none there."""

    index: int
    token: str | None


class Disks(Protocol):
    """EC2 in one region. What is made bears `tags`; by them it is found again by whoever makes it a second time."""

    def volumes(self, tags: Mapping[str, str]) -> Iterator[Disk]:
        """The volumes that bear all of these tags."""
        ...

    def volume(self, volume_id: str) -> Disk:
        """One volume. Raises VolumeNotFound."""
        ...

    def zones(self) -> Collection[str]:
        """The zones in which this account can make volumes, by name and in order."""
        ...

    def instances(self, instance_ids: Collection[str]) -> Iterator[Instance]:
        """Those of the instances that there are."""
        ...

    def snapshots(self, tags: Mapping[str, str]) -> Iterator[DiskSnapshot]:
        """The disk snapshots of this account that bear all of these tags."""
        ...

    def snapshot(self, snapshot_id: str) -> DiskSnapshot:
        """One disk snapshot. Raises DiskSnapshotNotFound."""
        ...

    def create_snapshot(self, volume_id: str, *, description: str, tags: Mapping[str, str]) -> DiskSnapshot:
        """Begin a disk snapshot of the volume as it is at this moment; if there is one of the volume that bears all of
        the tags, it is that one, so repeating it makes no second. Raises VolumeNotFound, DisksRefused.
        """
        ...

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a disk snapshot, also one that is still being written. Repeating it changes nothing.

        Raises DiskSnapshotInUse when an image is made of it, which the message names if EC2 does.
        """
        ...

    def create_volume(self, snapshot_id: str, *, zone: str, kind: str, token: str, tags: Mapping[str, str]) -> Disk:
        """Make a volume of a completed disk snapshot. The same token makes no second one. Raises DiskSnapshotNotFound,
        DisksRefused.
        """
        ...

    def delete_volume(self, volume_id: str) -> bool:
        """Delete a volume that is attached to nothing; False where it is: then somebody uses it, and it stays.

        Repeating it changes nothing. Raises Throttled while EC2 is still making it.
        """
        ...

    def images(self, tags: Mapping[str, str]) -> Iterator[MachineImage]:
        """The machine images of this account that bear all of these tags."""
        ...

    def image_named(self, name: str) -> MachineImage | None:
        """The machine image of this account that has a name, if there is one."""
        ...

    def deregister_image(self, image_id: str) -> None:
        """Let a machine image be no more; its disk snapshot stays. Repeating it changes nothing."""
        ...

    def register_image(self, snapshot_id: str, *, name: str, description: str, tags: Mapping[str, str]) -> str:
        """The id of a machine image whose root disk is made of a completed disk snapshot. Repeating it gives the id of
        the same image. Raises DiskSnapshotNotFound, DisksRefused; the latter also where the name is another image's.
        """
        ...


class BlockAccess(Protocol):
    """The EBS direct APIs in one region."""

    def listed(self, snapshot_id: str, within: BlockRange) -> Iterator[BlockToken]:
        """The blocks that a completed disk snapshot has, by index.

        Raises DiskSnapshotNotFound, DiskSnapshotNotReady.
        """
        ...

    def changed(self, first_id: str, second_id: str, within: BlockRange) -> Iterator[BlockToken]:
        """The blocks in which the second disk snapshot differs from the first, by index, with the second's tokens.

        Raises DiskSnapshotNotFound, and DiskSnapshotsUnrelated where they are not of one volume.
        """
        ...

    def read(self, snapshot_id: str, block: BlockToken) -> Block:
        """A block, its checksum verified; one without a token is zeros. Raises DiskSnapshotNotFound, and BlockDamaged,
        naming the block, when it was read several times and never as its checksum says.
        """
        ...

    def start(self, size_gib: int, *, token: str, description: str, tags: Mapping[str, str]) -> str:
        """The id of a new disk snapshot that is to be written. The same token starts no second one.

        Raises DisksRefused.
        """
        ...

    def write(self, snapshot_id: str, block: Block) -> None:
        """Write a block that is not zeros; EBS checks its SHA-256. Writing it again changes nothing.

        Raises DiskSnapshotNotFound, DiskSnapshotNotReady, BlockDamaged.
        """
        ...

    def complete(self, snapshot_id: str, *, written: int, checksum: bytes) -> DiskState:
        """Say that so many blocks were written, and the SHA-256 of their SHA-256s in the order of their indexes; it is
        completed some time later. Raises DiskSnapshotNotFound, BlockDamaged when other blocks were written, and
        DiskSnapshotNotReady when this was said before: `Disks.snapshot` tells what became of it.
        """
        ...


class Region(NamedTuple):
    """Both, of one region."""

    disks: Disks
    blocks: BlockAccess


def matching(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether something with these tags bears all that are wanted."""
    return wanted.items() <= tags.items()


def in_order(blocks: Iterable[BlockToken], within: BlockRange) -> Iterator[BlockToken]:
    """The blocks of the range. Raises ValueError where their indexes do not grow, which all that use them rely on."""
    last = -1
    for block in blocks:
        if block.index <= last:
            raise ValueError(f"block {block.index} is listed after block {last}")
        last = block.index
        if block.index >= within.stop:
            return
        if block.index >= within.start:
            yield block
