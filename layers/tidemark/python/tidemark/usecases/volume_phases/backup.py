"""The phases of a volume's backup: Begin, Await, CopyRanges, Seal, ReadBack, Finish, Abort.

Each can be repeated, run late, or twice at once. There is one moment, which EC2's snapshot keeps, so workers that run
twice store the same; the record, which each step compares and swaps, says when it is over.
"""

from collections.abc import Sequence
from datetime import timedelta
from math import inf
from typing import Final, NamedTuple

from tidemark.domain.blocks import Image
from tidemark.domain.environment import image_owner
from tidemark.domain.snapshot import CaptureId, Failure, ManifestRef, SnapshotId
from tidemark.domain.volume import StoredImage, VolumeSnapshot, VolumeSnapshotState
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.engine.blocks.capture import BlockSource, ShardCut, Stint, Unfinished, copy_in_time
from tidemark.engine.blocks.sources import ChangedBlocks, DiskSnapshotBlocks
from tidemark.errors import (
    BackupEnded,
    DiskSnapshotFailed,
    DiskSnapshotNotFound,
    DiskSnapshotNotReady,
    DiskSnapshotsUnrelated,
    DisksRefused,
    ImportIncomplete,
    StageIncomplete,
    Throttled,
    VolumeSnapshotNotFound,
)
from tidemark.ports import Ports
from tidemark.ports.volumes import DiskSnapshot, DiskState
from tidemark.usecases.read_volumes import get_volume
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases import uploads
from tidemark.usecases.volume_phases.lifecycle import ask_ec2_again_in_s, end, give_up, region_of, tags_of
from tidemark.usecases.volume_phases.parents import below, check_parent, store_upon_newest
from tidemark.usecases.volume_phases.work_lists import store_work_list

_S = VolumeSnapshotState
_GIB: Final = 1024**3
# Longer than an execution takes, by far.
_NOTES_KEPT: Final = timedelta(days=7)
# EC2 takes minutes for most volumes, and up to a day for the first snapshot of a large one.
GIVEN_UP_AFTER: Final = timedelta(days=3)


class Awaited(NamedTuple):
    """Whether EC2's snapshot can be read by now: then the shards, and the key of the list of them; otherwise after how
    many seconds to ask again. `over`: there is nothing left to store.
    """

    ready: bool
    shards: Sequence[int]
    over: bool
    work_key: str = ""
    wait_s: int = 0


class Copied(NamedTuple):
    """How far a range is stored: all of it (`done`), of which `records` blocks are not zeros; or what differs before
    the block `place`, from where on to call again.
    """

    done: bool
    place: int
    records: int


def begin(ports: Ports, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
    """Let EC2 take its snapshot of the volume as it is at this moment. Raises VolumeNotFound, WrongState; of an import
    ImportIncomplete, ImportRefused.
    """
    snapshot = amend_volume_snapshot(
        ports.volumes,
        environment_id,
        snapshot_id,
        lambda record: record.creating() if record.state is _S.ALLOCATED else record,
    )
    if snapshot.state is not _S.CREATING:
        return snapshot
    if snapshot.uploaded is not None:
        return uploads.begin(ports, snapshot, snapshot.uploaded)
    volume = get_volume(ports, environment_id, snapshot.volume_id)
    volume.check_ready()
    disks = region_of(ports, environment_id).disks
    description = f"Tidemark {environment_id} {snapshot.id}"
    made = disks.create_snapshot(volume.source_id, description=description, tags=tags_of(snapshot))
    try:
        snapshot = amend_volume_snapshot(
            ports.volumes,
            environment_id,
            snapshot_id,
            lambda record: record.cut(made.id) if record.state is _S.CREATING else record,
        )
    except VolumeSnapshotNotFound:
        # It was ended, deleted and forgotten meanwhile, so nobody else would find this one.
        disks.delete_snapshot(made.id)
        raise
    if snapshot.source_id != made.id:
        # Another run was faster, or ended it: this one is of another moment, and nobody's.
        disks.delete_snapshot(made.id)
    return snapshot


def await_source(ports: Ports, environment_id: str, snapshot_id: str) -> Awaited:
    """Look whether EC2's snapshot is completed; once it is, choose what to build upon, and list the work. Raises
    DiskSnapshotFailed, also where it is not completed for `GIVEN_UP_AFTER`; Throttled where EC2 does not know it yet,
    which it may not for some time after it was made; BackupEnded where its moment is not taken yet.
    """
    snapshot = ports.volumes.volume_snapshot(environment_id, snapshot_id)
    if not snapshot.running:
        return Awaited(ready=True, shards=(), over=True)
    if snapshot.state is _S.CUT and snapshot.uploaded is not None:
        snapshot = store_upon_newest(ports, snapshot, snapshot.size_bytes)
    elif snapshot.state is not _S.STORING:
        source_id = _source_of(snapshot)
        try:
            told = region_of(ports, environment_id).disks.snapshot(source_id)
        except DiskSnapshotNotFound:
            raise Throttled(f"EC2 does not know {source_id} yet, or no more; try again") from None
        if told.state is DiskState.FAILED:
            raise DiskSnapshotFailed(f"EC2 could not make {source_id} of volume {snapshot.volume_id}: {told.reason}")
        if told.state is DiskState.PENDING:
            return _pending(ports, snapshot, told)
        # The volume may have grown since it was asked for.
        snapshot = store_upon_newest(ports, snapshot, told.size_gib * _GIB)
    if not snapshot.running:
        return Awaited(ready=True, shards=(), over=True)
    image = Image(snapshot.size_bytes)
    ranges = [{"shard": shard, "place": image.range_of(shard).start} for shard in range(image.shards)]
    work_key = store_work_list(ports, f"volume-backups/{snapshot.id}", ranges)
    return Awaited(ready=True, shards=range(image.shards), over=False, work_key=work_key)


def copy_range(
    ports: Ports,
    environment_id: str,
    snapshot_id: str,
    *,
    shard: int,
    place: int | None = None,
    budget_s: float = inf,
) -> Copied:
    """Store one shard of the image, from `place` on, for as long as `budget_s`: then call again with the place that is
    returned. Goes on after the last pack of an earlier run.

    Raises BackupEnded, BlockDamaged, Corrupt ones; of an import ImportIncomplete, ImportRefused.
    """
    until_s = ports.clock.monotonic_s() + budget_s

    def proceed() -> None:
        _storing(ports, environment_id, snapshot_id)

    snapshot = _storing(ports, environment_id, snapshot_id)
    lower = below(ports, snapshot, shard)
    blocks = Image(snapshot.size_bytes).range_of(shard)
    job = ShardCut(
        image_owner(snapshot.environment),
        CaptureId(snapshot.id),
        shard,
        blocks,
        None if lower is None else lower.shard,
    )
    # A full copy instead of what differs from the parent has packs of its own, in which what was looked at before is
    # not: where the parent can't be read at this moment, each call begins at the beginning, behind these packs.
    alone = lower is None and snapshot.parent_id is not None
    begins = blocks.start if place is None or alone else place
    stint = Stint(begins, lambda: ports.clock.monotonic_s() >= until_s)

    def store(source: BlockSource) -> Copied:
        copied = copy_in_time(ports, job, source, proceed, stint)
        if isinstance(copied, Unfinished):
            return Copied(done=False, place=blocks.start if alone else copied.place, records=0)
        return Copied(done=True, place=blocks.stop, records=copied.records)

    if snapshot.uploaded is not None:
        parts = uploads.blocks_of(ports, snapshot, snapshot.uploaded)
        try:
            return store(parts)
        except ImportIncomplete:
            # Another run may have stored the range and removed its parts meanwhile: then it is noted, or all is over.
            return store(parts)
    source_id = _source_of(snapshot)
    access = region_of(ports, environment_id).blocks
    whole = DiskSnapshotBlocks(access, ports.parallel, source_id)
    if lower is not None and lower.source_id is not None:
        try:
            return store(ChangedBlocks(access, ports.parallel, lower.source_id, source_id))
        except (DiskSnapshotNotFound, DiskSnapshotNotReady, DiskSnapshotsUnrelated, DisksRefused):
            # Somebody removed the earlier one, archived it, or took its tags, on which the right to read it hangs. All
            # blocks, compared, give the same packs as those stored so far.
            return store(whole)
    return store(whole)


def seal(ports: Ports, environment_id: str, snapshot_id: str) -> Sequence[int]:
    """Store the manifest of the image, all of whose shards are stored, and read it back; the shards. Raises
    BackupEnded, Corrupt ones.
    """
    snapshot = _storing(ports, environment_id, snapshot_id)
    image = Image(snapshot.size_bytes)
    owner, identity = image_owner(snapshot.environment), SnapshotId(snapshot.id)
    sealed = images.seal(ports, owner, identity, CaptureId(snapshot.id), snapshot.created_at, image)
    if snapshot.uploaded is not None:
        uploads.check_digest(snapshot.uploaded, sealed.digest)
    amend_volume_snapshot(
        ports.volumes, environment_id, snapshot_id, lambda record: _still(record).sealed_as(sealed.manifest)
    )
    return range(image.shards)


def read_back(ports: Ports, environment_id: str, snapshot_id: str, *, shard: int) -> int:
    """Read every byte that this snapshot stored of a shard, hold it against the manifest, and the shard as a whole
    against its digest; how many bytes. Raises BackupEnded, StageIncomplete, Corrupt ones.
    """
    snapshot = _storing(ports, environment_id, snapshot_id)
    manifest = manifests.read(ports.payloads, _sealed(snapshot))
    own = CaptureId(snapshot.id)
    checked = images.check_shard(
        ports,
        manifest,
        manifest.shards[shard],
        lambda: None,
        capture_id=own,
    )
    until = ports.clock.now() + _NOTES_KEPT
    ports.catalog.note_done(image_owner(snapshot.environment), _notes_of(snapshot), shard, 1, until=until)
    if snapshot.uploaded is not None:
        uploads.let_go(ports, snapshot, snapshot.uploaded, shard)
    return checked.size_bytes


def finish(ports: Ports, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
    """The snapshot, stored, now that all of it was read back; then remove EC2's unless it is to be kept.

    Raises StageIncomplete where a shard was not read back, BackupEnded, Corrupt ones.
    """
    snapshot = ports.volumes.volume_snapshot(environment_id, snapshot_id)
    if snapshot.running:
        check_parent(ports, snapshot)
        image = _stored_image(ports, snapshot)
        snapshot = amend_volume_snapshot(
            ports.volumes,
            environment_id,
            snapshot_id,
            lambda record: record.stored(image) if record.state is _S.STORING else record,
        )
    return end(ports, snapshot)


def abort(ports: Ports, environment_id: str, snapshot_id: str, failure: Failure) -> VolumeSnapshot:
    """Record why the snapshot can't be made, unless it is over, and leave no snapshot of EC2's behind. What is stored
    by now is left to the collector.
    """
    return give_up(ports, environment_id, snapshot_id, failure)


def _pending(ports: Ports, snapshot: VolumeSnapshot, told: DiskSnapshot) -> Awaited:
    waited = ports.clock.now() - snapshot.created_at
    if waited >= GIVEN_UP_AFTER:
        raise DiskSnapshotFailed(
            f"EC2 has not completed {told.id} of volume {snapshot.volume_id} within {GIVEN_UP_AFTER.days} days; it is "
            f"at {told.percent} %"
        )
    return Awaited(ready=False, shards=(), over=False, wait_s=ask_ec2_again_in_s(waited))


def _stored_image(ports: Ports, snapshot: VolumeSnapshot) -> StoredImage:
    reference = _sealed(_still(snapshot))
    manifest = manifests.read(ports.payloads, reference)
    done = ports.catalog.done(image_owner(snapshot.environment), _notes_of(snapshot))
    if done != len(manifest.shards):
        raise StageIncomplete(f"of snapshot {snapshot.id}, {done} of {len(manifest.shards)} shards were read back")
    return StoredImage(
        manifest=reference,
        digest=manifest.digest or "",
        stored_bytes=manifest.stored_bytes,
        new_bytes=manifest.new_bytes,
        verified_at=ports.clock.now(),
    )


def _storing(ports: Ports, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
    return _still(ports.volumes.volume_snapshot(environment_id, snapshot_id))


def _still(snapshot: VolumeSnapshot) -> VolumeSnapshot:
    """The snapshot, if its blocks are being stored. Raises BackupEnded."""
    if snapshot.state is not _S.STORING:
        raise BackupEnded(f"the snapshot {snapshot.id} is not being stored: it is {snapshot.state}")
    return snapshot


def _sealed(snapshot: VolumeSnapshot) -> ManifestRef:
    if snapshot.sealed is None:
        raise StageIncomplete(f"the snapshot {snapshot.id} has no manifest yet; seal it first")
    return snapshot.sealed


def _source_of(snapshot: VolumeSnapshot) -> str:
    if snapshot.source_id is None:
        raise BackupEnded(f"the snapshot {snapshot.id} has no snapshot of EC2's to be read")
    return snapshot.source_id


def _notes_of(snapshot: VolumeSnapshot) -> str:
    return f"read-back-{snapshot.id}"
