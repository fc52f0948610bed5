"""The phases that write an image to a snapshot of EC2's: Begin, WriteShard, Complete, AwaitTarget.

Each can be repeated, run late, or twice at once: whoever writes a block writes the same one, and EBS itself counts and
checks the blocks when all are said to be there. The task's record, which each step asks, says when it is over.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from tidemark.domain.blocks import BlockRange, Image
from tidemark.domain.environment import image_owner
from tidemark.domain.manifest import Manifest
from tidemark.domain.task import Operation, Task
from tidemark.domain.tenant import Tenant
from tidemark.engine.blocks import images
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.errors import BudgetSpent, DiskSnapshotFailed, DiskSnapshotNotReady, DisksRefused
from tidemark.ports import Ports
from tidemark.ports.volumes import Disks, DiskState
from tidemark.usecases.records import amend_task
from tidemark.usecases.volume_phases.lifecycle import region_of
from tidemark.usecases.volume_phases.work_lists import store_work_list
from tidemark.usecases.volume_restore_phases.lifecycle import Looked, is_pending, not_ready, pending, target_tags_of

_GIB: Final = 1024**3
# Longer than an execution takes, by far.
_NOTES_KEPT: Final = timedelta(days=7)
# So many blocks, 128 MiB, are written again at most where a worker died.
_NOTED_BLOCKS: Final = 256


class Begun(NamedTuple):
    """The shards that hold anything, and the key of the list of them. `over`: there is nothing left to do."""

    operation: Operation
    shards: Sequence[int]
    over: bool
    work_key: str = ""


def begin(ports: Ports, environment_id: str, task_id: str) -> Begun:
    """Start a snapshot of EC2's that the image is to be written to. Raises WrongState, DisksRefused, Corrupt ones."""
    task = ports.volumes.task(task_id)
    if not is_pending(task):
        return Begun(task.operation, (), over=True)
    manifest, size_bytes = _image(ports, task)
    if task.target_id is None:
        region = region_of(ports, environment_id)
        _check_zone(region.disks, task)
        target_id = region.blocks.start(
            -(-size_bytes // _GIB),
            token=task.id,
            description=f"Tidemark {task.environment} {task.snapshot_id}",
            tags=target_tags_of(task),
        )
        task = amend_task(
            ports.volumes, task_id, lambda record: record.writing_to(target_id) if is_pending(record) else record
        )
        if not is_pending(task):
            # It was ended meanwhile: what was just started is nobody's.
            region.disks.delete_snapshot(target_id)
            return Begun(task.operation, (), over=True)
    shards = [shard.shard for shard in manifest.shards if shard.records]
    work_key = store_work_list(ports, f"volume-restores/{task.id}", [{"shard": shard} for shard in shards])
    return Begun(task.operation, shards, over=False, work_key=work_key)


def write_shard(ports: Ports, environment_id: str, task_id: str, *, shard: int, budget_s: float = 600.0) -> bool:
    """Write the blocks of one shard that are not zeros, each verified, from where an earlier run came to; False when
    `budget_s` was not enough: call again. Raises TaskEnded, Corrupt ones, naming the block.
    """
    task = pending(ports, environment_id, task_id)
    target_id = target_of(task)
    manifest, size_bytes = _image(ports, task)
    blocks = Image(size_bytes).range_of(shard)
    progress = _Progress(ports, task, f"write-{target_id}-{shard}", budget_s)
    start = max(blocks.start, progress.reached())
    if start >= blocks.stop:
        return True
    access, rest = region_of(ports, environment_id).blocks, BlockRange(start, blocks.stop)
    try:
        images.write_range(ports, access, target_id, manifest.shards[shard], rest, progress.proceed)
    except BudgetSpent:
        return False
    except DiskSnapshotNotReady:
        # Another run has completed it, so all of it was written, or EBS has given it up: who waits for it is told.
        return True
    progress.note(blocks.stop)
    return True


def complete(ports: Ports, environment_id: str, task_id: str) -> None:
    """Say that the whole image is written, which EBS holds against its blocks. Raises TaskEnded, BlockDamaged where
    others were written, Corrupt ones.
    """
    task = pending(ports, environment_id, task_id)
    manifest, _ = _image(ports, task)
    try:
        images.complete(ports, region_of(ports, environment_id).blocks, target_of(task), manifest)
    except DiskSnapshotNotReady:
        # It was said before. What became of it is told to who waits for it.
        return


def await_target(ports: Ports, environment_id: str, task_id: str) -> Looked:
    """Whether EC2's snapshot is completed by now. Raises TaskEnded, DiskSnapshotFailed, DiskSnapshotNotFound."""
    task = pending(ports, environment_id, task_id)
    told = region_of(ports, environment_id).disks.snapshot(target_of(task))
    if told.state is DiskState.FAILED:
        raise DiskSnapshotFailed(f"EC2 could not complete {told.id} of snapshot {task.snapshot_id}: {told.reason}")
    if told.state is DiskState.PENDING:
        return not_ready(ports, task, f"EC2 did not complete {told.id}")
    return Looked(ready=True)


def target_of(task: Task) -> str:
    """EC2's snapshot that a task writes to. Raises DiskSnapshotNotReady before there is one."""
    if task.target_id is None:
        raise DiskSnapshotNotReady(f"the task {task.id} has no snapshot of EC2's to write to; begin it first")
    return task.target_id


def _check_zone(disks: Disks, task: Task) -> None:
    """Raises DisksRefused where no volume can be made in the task's zone, which may have closed since it was asked for:
    EC2 would say so once all blocks are written.
    """
    if task.operation is not Operation.RESTORE or task.making is None or task.making.zone is None:
        return
    zones = disks.zones()
    if task.making.zone not in zones:
        raise DisksRefused(
            f"no volume can be made in the zone {task.making.zone} now; restore the snapshot {task.snapshot_id} again, "
            f"into one of the zones {', '.join(zones)}"
        )


class _Progress:
    """How far a shard is written, noted under a name that is that of EC2's snapshot too: what a later attempt finds
    there was written to the very one that it goes on with.
    """

    def __init__(self, ports: Ports, task: Task, name: str, budget_s: float) -> None:
        self._ports = ports
        self._task = task
        self._owner: Tenant = image_owner(task.environment)
        self._name = name
        self._until_s = ports.clock.monotonic_s() + budget_s
        self._begun: int | None = None
        self._noted = 0

    def reached(self) -> int:
        """The index that all blocks before are written of; 0 where nobody has noted any."""
        return self._ports.catalog.done(self._owner, self._name)

    def note(self, index: int) -> None:
        """All blocks before this one are written."""
        until = self._ports.clock.now() + _NOTES_KEPT
        self._ports.catalog.note_done(self._owner, self._name, 0, index, until=until)

    def proceed(self, index: int) -> None:
        """Called before blocks are written, with the first one's index. Raises TaskEnded, and BudgetSpent once the time
        is over, though not before anything was written.
        """
        pending(self._ports, self._task.environment, self._task.id)
        if self._begun is None:
            self._begun = self._noted = index
            return
        spent = self._ports.clock.monotonic_s() >= self._until_s
        if spent or index - self._noted >= _NOTED_BLOCKS:
            self.note(index)
            self._noted = index
        if spent:
            raise BudgetSpent(f"a shard of task {self._task.id} is written up to block {index}; go on from there")


def _image(ports: Ports, task: Task) -> tuple[Manifest, int]:
    """The manifest of the task's snapshot, checked, and the size of its image."""
    snapshot = ports.volumes.volume_snapshot(task.environment, task.snapshot_id)
    snapshot.check_stored()
    return check_manifest(ports.payloads, snapshot), snapshot.size_bytes
