"""EC2's disks and the EBS direct APIs of one region, in memory."""

import hashlib
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tidemark.domain.blocks import BLOCK_BYTES, ZEROS, Block, BlockRange
from tidemark.errors import Throttled, WriteConflict
from tidemark.errors.volumes import (
    BlockDamaged,
    DiskSnapshotInUse,
    DiskSnapshotNotFound,
    DiskSnapshotNotReady,
    DiskSnapshotsUnrelated,
    DisksRefused,
    VolumeNotFound,
)
from tidemark.ports.volumes import (
    BlockToken,
    Disk,
    DiskSnapshot,
    DiskState,
    Instance,
    MachineImage,
    Region,
    in_order,
    matching,
)

BLOCKS_A_GIB = 2 * 1024
MADE_AT = datetime(2026, 1, 15, 9, tzinfo=UTC)
type Content = dict[int, bytes]


@dataclass
class _Held:
    told: DiskSnapshot
    content: Content
    lineage: str
    started: bool = False


@dataclass
class MemoryDisks:
    """`content` is what each volume holds, for tests to write to; `damaged` are blocks that are read with a wrong bit.

    Disk snapshots are completed when they are made, unless `pending` is set, or `failing` says why they fail; volumes
    and images are there at once, unless `making` is set.
    """

    content: dict[str, Content] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)
    pending: bool = False
    making: bool = False
    failing: str = ""
    zones_there: tuple[str, ...] = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
    held: dict[str, _Held] = field(default_factory=dict)
    disks: dict[str, Disk] = field(default_factory=dict)
    known: dict[str, Instance] = field(default_factory=dict)
    registered: dict[str, MachineImage] = field(default_factory=dict)
    tokens: dict[str, tuple[str, object]] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _last_id: int = 0

    @property
    def region(self) -> Region:
        """Both ports."""
        return Region(self, self)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def add_volume(self, size_gib: int, content: Content, tags: Mapping[str, str] | None = None) -> str:
        """A volume that holds these blocks; its id."""
        volume_id = f"vol-{self._next_id():017x}"
        self.disks[volume_id] = Disk(
            volume_id, size_gib, "eu-west-1a", "available", "gp3", MADE_AT, tags=dict(tags or {})
        )
        self.content[volume_id] = dict(content)
        return volume_id

    def attach(self, volume_id: str, instance_id: str, device: str, *, name: str, root_device: str) -> None:
        """Let a volume be attached to an instance."""
        self.known[instance_id] = Instance(instance_id, root_device, {"Name": name})
        attached = replace(self.disks[volume_id], state="in-use", instance_id=instance_id, device=device)
        self.disks[volume_id] = attached

    # --- EC2

    def volumes(self, tags: Mapping[str, str]) -> Iterator[Disk]:
        with self._lock:
            found = [one for one in self.disks.values() if matching(one.tags, tags)]
        yield from found

    def volume(self, volume_id: str) -> Disk:
        with self._lock:
            if volume_id not in self.disks:
                raise VolumeNotFound(f"there is no volume {volume_id}")
            return self.disks[volume_id]

    def zones(self) -> Collection[str]:
        return self.zones_there

    def instances(self, instance_ids: Collection[str]) -> Iterator[Instance]:
        with self._lock:
            found = [one for one in self.known.values() if one.id in instance_ids]
        yield from found

    def snapshots(self, tags: Mapping[str, str]) -> Iterator[DiskSnapshot]:
        with self._lock:
            found = [one.told for one in self.held.values() if matching(one.told.tags, tags)]
        yield from found

    def snapshot(self, snapshot_id: str) -> DiskSnapshot:
        with self._lock:
            return self._found(snapshot_id).told

    def create_snapshot(self, volume_id: str, *, description: str, tags: Mapping[str, str]) -> DiskSnapshot:
        del description
        with self._lock:
            for found in self.snapshots(tags):
                if found.volume_id == volume_id:
                    return found
            disk = self.volume(volume_id)
            state = DiskState.FAILED if self.failing else DiskState.PENDING if self.pending else DiskState.COMPLETED
            percent = 100 if state is DiskState.COMPLETED else 0
            told = DiskSnapshot(self._new_id(), volume_id, disk.size_gib, state, percent, self.failing, dict(tags))
            self.held[told.id] = _Held(told, dict(self.content[volume_id]), volume_id)
            return told

    def settle(self, snapshot_id: str) -> None:
        """Let a pending disk snapshot be completed."""
        with self._lock:
            held = self._found(snapshot_id)
            held.told = replace(held.told, state=DiskState.COMPLETED, percent=100)

    def delete_snapshot(self, snapshot_id: str) -> None:
        with self._lock:
            for image in self.registered.values():
                if snapshot_id in image.snapshot_ids:
                    raise DiskSnapshotInUse(f"the image {image.id} is made of {snapshot_id}; deregister that first")
            self.held.pop(snapshot_id, None)

    def create_volume(self, snapshot_id: str, *, zone: str, kind: str, token: str, tags: Mapping[str, str]) -> Disk:
        with self._lock:
            known, _ = self.tokens.get(f"volume {token}", ("", None))
            if known in self.disks:
                return self.disks[known]
            held = self._readable(snapshot_id)
            volume_id = self.add_volume(held.told.size_gib, held.content, tags)
            state = "creating" if self.making else "available"
            made = replace(self.disks[volume_id], zone=zone, kind=kind, snapshot_id=snapshot_id, state=state)
            self.disks[volume_id] = made
            self.tokens[f"volume {token}"] = (volume_id, None)
            return self.disks[volume_id]

    def delete_volume(self, volume_id: str) -> bool:
        with self._lock:
            found = self.disks.get(volume_id)
            if found is not None and found.instance_id is not None:
                return False
            if found is not None and found.state == "creating":
                raise Throttled(f"volume {volume_id} is still being made")
            self.disks.pop(volume_id, None)
            self.content.pop(volume_id, None)
            return True

    def images(self, tags: Mapping[str, str]) -> Iterator[MachineImage]:
        with self._lock:
            found = [one for one in self.registered.values() if matching(one.tags, tags)]
        yield from found

    def image_named(self, name: str) -> MachineImage | None:
        with self._lock:
            return next((one for one in self.registered.values() if one.name == name), None)

    def deregister_image(self, image_id: str) -> None:
        with self._lock:
            self.registered.pop(image_id, None)

    def register_image(self, snapshot_id: str, *, name: str, description: str, tags: Mapping[str, str]) -> str:
        del description
        with self._lock:
            self._readable(snapshot_id)
            found = self.image_named(name)
            if found is None:
                state = "pending" if self.making else "available"
                found = MachineImage(f"ami-{self._next_id():017x}", name, state, (snapshot_id,), dict(tags))
                self.registered[found.id] = found
            if snapshot_id not in found.snapshot_ids:
                raise DisksRefused(f"another image has the name {name!r}; choose another one")
            return found.id

    # --- EBS direct

    def listed(self, snapshot_id: str, within: BlockRange) -> Iterator[BlockToken]:
        with self._lock:
            content = dict(self._readable(snapshot_id).content)
        return in_order((BlockToken(index, f"{snapshot_id}/{index}") for index in sorted(content)), within)

    def changed(self, first_id: str, second_id: str, within: BlockRange) -> Iterator[BlockToken]:
        with self._lock:
            first, second = self._readable(first_id), self._readable(second_id)
        if first.lineage != second.lineage:
            raise DiskSnapshotsUnrelated(f"{first_id} and {second_id} are not snapshots of one volume")
        indexes = sorted(first.content.keys() | second.content.keys())
        differing = [index for index in indexes if first.content.get(index) != second.content.get(index)]
        tokens = (BlockToken(index, f"{second_id}/{index}" if index in second.content else None) for index in differing)
        return in_order(tokens, within)

    def read(self, snapshot_id: str, block: BlockToken) -> Block:
        if block.token is None:
            return Block(block.index)
        if block.index in self.damaged:
            raise BlockDamaged(f"block {block.index} of {snapshot_id} was read and is not what its checksum says")
        with self._lock:
            self.reads.append(block.index)
            body = self._readable(snapshot_id).content[block.index]
        return Block(block.index) if body == ZEROS else Block(block.index, body, hashlib.sha256(body).digest())

    def start(self, size_gib: int, *, token: str, description: str, tags: Mapping[str, str]) -> str:
        asked = (size_gib, description, tuple(sorted(tags.items())))
        with self._lock:
            if token not in self.tokens:
                told = DiskSnapshot(self._new_id(), None, size_gib, DiskState.PENDING, 0, tags=dict(tags))
                self.held[told.id] = _Held(told, {}, told.id, started=True)
                self.tokens[token] = (told.id, asked)
            snapshot_id, before = self.tokens[token]
            if before != asked:
                raise WriteConflict(f"{token} was used to start something else")
            return snapshot_id

    def write(self, snapshot_id: str, block: Block) -> None:
        if block.body is None or block.sha256 is None:
            raise ValueError(f"block {block.index} is zeros")
        with self._lock:
            held = self._writable(snapshot_id)
            fits = len(block.body) == BLOCK_BYTES and block.index < held.told.size_gib * BLOCKS_A_GIB
            if not fits or hashlib.sha256(block.body).digest() != block.sha256:
                raise BlockDamaged(f"block {block.index} of {snapshot_id} was refused as it was sent")
            held.content[block.index] = block.body

    def complete(self, snapshot_id: str, *, written: int, checksum: bytes) -> DiskState:
        with self._lock:
            held = self._writable(snapshot_id)
            digests = [hashlib.sha256(body).digest() for _, body in sorted(held.content.items())]
            if (len(digests), hashlib.sha256(b"".join(digests)).digest()) != (written, checksum):
                raise BlockDamaged(f"{snapshot_id} has other blocks than were to be written to it")
            held.started = False
            if not self.pending:
                self.settle(snapshot_id)
            return held.told.state

    def _new_id(self) -> str:
        return f"snap-{self._next_id():017x}"

    def _found(self, snapshot_id: str) -> _Held:
        if snapshot_id not in self.held:
            raise DiskSnapshotNotFound(f"there is no disk snapshot {snapshot_id}")
        return self.held[snapshot_id]

    def _readable(self, snapshot_id: str) -> _Held:
        held = self._found(snapshot_id)
        if held.told.state is not DiskState.COMPLETED:
            raise DiskSnapshotNotReady(f"disk snapshot {snapshot_id} is not completed")
        return held

    def _writable(self, snapshot_id: str) -> _Held:
        held = self._found(snapshot_id)
        if not held.started:
            raise DiskSnapshotNotReady(f"disk snapshot {snapshot_id} is not being written")
        return held
