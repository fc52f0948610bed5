"""Every way in which an object of an image can be wrong, byte by byte: noticed, said of the block or the object, and
never restored.

`test_block_corruption.py` has what is wrong though every object is what was stored.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import zstandard

from tests.fakes import MemoryPayloads, memory_ports
from tests.tally import TALLY
from tests.unit.blocks.imaging import AT, IMAGE, SIZE_GIB, Content, Imaging, nothing, small
from tests.unit.blocks.recording import OWNER, of_volume
from tests.unit.engine.test_corruption import OTHER_DAMAGE, Rotting, Target, flipped, otherwise, store
from tidemark.domain.blocks import BLOCK_BYTES
from tidemark.domain.environment import environment_id
from tidemark.domain.manifest import Manifest, PackRef
from tidemark.domain.snapshot import CaptureId
from tidemark.domain.volume import StoredImage, VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.engine.blocks import images
from tidemark.engine.blocks.capture import ShardCut, copy_shard
from tidemark.engine.blocks.images import Sealed
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.engine.blocks.packs import BlockEntry, read_blocks_of
from tidemark.engine.blocks.sources import DiskSnapshotBlocks
from tidemark.engine.copying import note_key
from tidemark.errors import Corrupt, ManifestCorrupt, PackCorrupt
from tidemark.ports.volumes import DiskState

OBJECTS = ["base pack", "table of base", "delta pack", "table of delta", "manifest"]
_COUNTED = "corruption matrix of images, damages noticed and named"
_FIRST = {index: small(index) for index in range(4)}
_SECOND = {0: small(0), 1: small("changed"), 3: small(3)}


class World(NamedTuple):
    """A volume with two snapshots. In the second, which has a delta, one block changed and one became zeros."""

    made: Imaging
    first: VolumeSnapshot
    second: VolumeSnapshot

    @property
    def objects(self) -> dict[str, bytes]:
        return self.made.payloads.objects


def world(payloads: MemoryPayloads) -> World:
    made = Imaging(ports=replace(memory_ports(), payloads=payloads), owner=OWNER)
    made.hold(_FIRST)
    first = of_volume(*taken(made))
    made.hold(_SECOND)
    return World(made, first, of_volume(*taken(made)))


def taken(made: Imaging) -> tuple[Manifest, Sealed]:
    sealed = made.take()
    return made.newest, sealed


def image_of(record: VolumeSnapshot) -> StoredImage:
    assert record.image is not None
    return record.image


def target(at: World, which: str) -> Target:
    base, delta = at.made.newest.packs
    manifest, other = image_of(at.second).manifest, image_of(at.first).manifest
    return {
        "base pack": Target(base.key, 0, base.toc_offset, delta.key),
        "table of base": Target(base.key, base.toc_offset, base.size_bytes, delta.key),
        "delta pack": Target(delta.key, 0, delta.toc_offset, base.key),
        "table of delta": Target(delta.key, delta.toc_offset, delta.size_bytes, base.key),
        "manifest": Target(manifest.key, 0, manifest.size_bytes, other.key),
    }[which]


class Damage(NamedTuple):
    """What an object is replaced with. `block` is the one that is another one by it; `read` says whether a restore can
    tell.
    """

    body: bytes | None
    block: int | None = None
    read: bool = True


def damages(at: World, which: str) -> Iterator[Damage]:
    """Each damage of the object in turn."""
    found = target(at, which)
    good = at.objects[found.key]
    pack = next((one for one in at.made.newest.packs if one.key == found.key), None)
    frames = frames_of(at, pack) if pack is not None else {}
    # What the delta has in its place, nobody reads in the base.
    superseded = {1, 2} if which == "base pack" else set()
    for offset in range(found.start, found.stop):
        bad = flipped(good, offset)
        frame = frames.get(offset)
        if frame is None:
            yield Damage(bad)
        elif unpacked(bad, frame) == unpacked(good, frame):
            # A bit that zstd leaves unused: the block is what it was, and its pack is not.
            yield Damage(bad, read=False)
        else:
            yield Damage(bad, frame.index, frame.index not in superseded)
    if which == "base pack":
        yield Damage(with_frames_swapped(at, found.key), block=0)
    for way in OTHER_DAMAGE:
        # Of a pack a restore reads what is named by the manifest: nothing behind its end.
        yield Damage(otherwise(at.objects, found, way), read=way != "extended" or pack is None)


def frames_of(at: World, pack: PackRef) -> dict[int, BlockEntry]:
    """The block of each offset in a pack."""
    entries = read_blocks_of(at.made.payloads, pack)
    return {offset: one for one in entries for offset in range(one.offset, one.offset + one.length)}


def with_frames_swapped(at: World, key: str) -> bytes:
    """The base, in which two blocks have each other's place: zstd's own checksums hold."""
    first, *_, last = read_blocks_of(at.made.payloads, at.made.newest.packs[0])
    good = at.objects[key]
    frames = [good[one.offset : one.offset + one.length] for one in (first, last)]
    assert first.length == last.length
    return frames[1] + good[first.length : last.offset] + frames[0] + good[last.offset + last.length :]


def unpacked(body: bytes, entry: BlockEntry) -> bytes | None:
    with suppress(zstandard.ZstdError):
        frame = body[entry.offset : entry.offset + entry.length]
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=BLOCK_BYTES)
    return None


def verify(at: World, record: VolumeSnapshot) -> None:
    manifest = check_manifest(at.made.payloads, record)
    for shard in manifest.shards:
        images.check_shard(at.made.ports, manifest, shard, nothing)


def restore(at: World, record: VolumeSnapshot, target_id: str) -> None:
    made, manifest = at.made, check_manifest(at.made.payloads, record)
    for shard in manifest.shards:
        images.write_range(made.ports, made.disks, target_id, shard, IMAGE.range_of(shard.shard), lambda _index: None)
    images.complete(made.ports, made.disks, target_id, manifest)


def assert_noticed_by_verify(at: World, key: str, damage: Damage) -> None:
    with pytest.raises(Corrupt, match=key) as noticed:
        verify(at, at.second)
    if damage.block is not None:
        assert noticed.value.message.startswith(f"block {damage.block} in pack {key} is damaged")
    TALLY[_COUNTED] += 1


def assert_not_restored(at: World, key: str, damage: Damage) -> None:
    """What was written until the damage was met is what the snapshot holds, and the disk snapshot stays uncompleted."""
    disks = at.made.disks
    target_id = disks.start(SIZE_GIB, token=f"t{len(disks.held)}", description="", tags={})
    if not damage.read:
        restore(at, at.second, target_id)
        assert written(at, target_id) == _SECOND
        return
    with pytest.raises(Corrupt, match=key) as noticed:
        restore(at, at.second, target_id)
    if damage.block is not None:
        assert noticed.value.message.startswith(f"block {damage.block} in pack {key} is damaged")
    assert disks.held[target_id].told.state is DiskState.PENDING
    assert written(at, target_id).items() <= _SECOND.items()
    TALLY[_COUNTED] += 1


def written(at: World, target_id: str) -> Content:
    return at.made.disks.held[target_id].content


@pytest.mark.parametrize("notice", [assert_noticed_by_verify, assert_not_restored], ids=["verify", "restore"])
@pytest.mark.parametrize("which", OBJECTS)
def test_damage_of_an_image_is_noticed_and_named(which: str, notice: Callable[[World, str, Damage], None]) -> None:
    at = world(Rotting())
    key = target(at, which).key
    good = at.objects[key]
    for damage in damages(at, which):
        store(at.objects, key, damage.body)
        notice(at, key, damage)
        at.objects[key] = good
    verify(at, at.second)


@pytest.mark.parametrize("which", ["table of base", "table of delta"])
def test_capture_never_builds_on_a_damaged_table(which: str) -> None:
    at = world(Rotting())
    key = target(at, which).key
    good = at.objects[key]
    for damage in damages(at, which):
        if damage.read:
            store(at.objects, key, damage.body)
            with pytest.raises(PackCorrupt, match=key):
                at.made.take()
            TALLY[_COUNTED] += 1
            at.objects[key] = good


@pytest.mark.parametrize("which", ["base pack", "delta pack"])
def test_capture_never_seals_an_image_whose_earlier_packs_are_others_now(which: str) -> None:
    """What the store tells of an object's length and checksum shows it, without that the pack is read."""
    at = world(MemoryPayloads())
    key = target(at, which).key
    good = at.objects[key]
    for damage in damages(at, which):
        store(at.objects, key, damage.body)
        with pytest.raises(PackCorrupt, match=key):
            at.made.take()
        TALLY[_COUNTED] += 1
        at.objects[key] = good


def test_compaction_never_copies_a_damaged_block() -> None:
    at = world(Rotting())
    # Half of the base is other blocks, so the next capture stores one anew, and copies the frames that stay.
    at.made.hold(_SECOND | {0: small("newer"), 1: small("newer")})
    at.made.take()
    base = at.made.newest.packs[0]
    good = at.objects[base.key]
    for offset, frame in frames_of(at, base).items():
        at.objects[base.key] = flipped(good, offset)
        if frame.index != 3 or unpacked(at.objects[base.key], frame) == unpacked(good, frame):
            continue
        with pytest.raises(PackCorrupt, match=f"block 3 in pack {base.key} is damaged"):
            at.made.store(next_moment(at.made))
        TALLY[_COUNTED] += 1
    at.objects[base.key] = good


def next_moment(made: Imaging) -> DiskSnapshotBlocks:
    """The volume with other blocks in two places."""
    made.hold(_SECOND | {0: small("newest"), 1: small("newest")})
    moment = made.disks.create_snapshot(made.volume_id, description="", tags={"capture": str(made.count)})
    return DiskSnapshotBlocks(made.disks, made.ports.parallel, moment.id)


def test_capture_never_adopts_a_pack_of_blocks_that_is_damaged() -> None:
    """The worker that stored it died before it noted what it had stored."""
    at = world(Rotting())
    made, before = at.made, at.made.newest
    source = next_moment(made)
    job = ShardCut(OWNER, CaptureId("c3"), 0, IMAGE.range_of(0), before.shards[0])
    copied = copy_shard(made.ports, job, source, nothing)
    del at.objects[note_key(OWNER, job.capture_id, 0)]
    key = copied.layers[-1].packs[0].key
    good = at.objects[key]
    for offset in range(len(good)):
        at.objects[key] = flipped(good, offset)
        with pytest.raises(PackCorrupt, match=key):
            copy_shard(made.ports, job, source, nothing)
        TALLY[_COUNTED] += 1
    at.objects[key] = good
    assert copy_shard(made.ports, job, source, nothing) == copied


def test_image_is_never_sealed_from_a_note_that_is_damaged() -> None:
    at = world(MemoryPayloads())
    manifest = at.made.newest
    key = note_key(OWNER, manifest.capture_id, 0)
    found = Target(key, 0, len(at.objects[key]), note_key(OWNER, manifest.capture_id, 1))
    good = at.objects[key]
    bad = [flipped(good, offset) for offset in range(found.stop)]
    for body in [*bad, *(otherwise(at.objects, found, way) for way in OTHER_DAMAGE)]:
        store(at.objects, key, body)
        with pytest.raises(ManifestCorrupt, match=key):
            images.seal(at.made.ports, OWNER, manifest.snapshot_id, manifest.capture_id, AT, IMAGE)
        TALLY[_COUNTED] += 1
        at.objects[key] = good


def _other_image(change: Callable[[StoredImage], StoredImage]) -> Callable[[World], VolumeSnapshot]:
    return lambda at: replace(at.second, image=change(image_of(at.second)))


def _other_manifest(**fields: Any) -> Callable[[World], VolumeSnapshot]:
    return _other_image(lambda image: replace(image, manifest=replace(image.manifest, **fields)))


RECORDS: dict[str, Callable[[World], VolumeSnapshot]] = {
    "id": lambda at: replace(at.second, id=VolumeSnapshotId("33a27b8d-5a27-42a5-aec4-37606e372bda")),
    "environment": lambda at: replace(at.second, environment=environment_id("compute-on", "other")),
    "size": lambda at: replace(at.second, size_bytes=at.second.size_bytes + 1),
    "image of another": lambda at: replace(at.second, image=at.first.image),
    "no image": lambda at: replace(at.second, state=VolumeSnapshotState.STORING, image=None),
    "digest": _other_image(lambda image: replace(image, digest="0" * 64)),
    "stored bytes": _other_image(lambda image: replace(image, stored_bytes=image.stored_bytes + 1)),
    "manifest's key": _other_manifest(key="volume-images/compute-on/test_area/manifests/none.json.zst"),
    "manifest's length": _other_manifest(size_bytes=1),
    "manifest's checksum": _other_manifest(sha256="0" * 64),
}


@pytest.mark.parametrize("which", RECORDS)
def test_record_that_says_something_else_than_its_manifest_is_noticed_and_nothing_restored(which: str) -> None:
    at = world(MemoryPayloads())
    verify(at, at.second)
    bad = RECORDS[which](at)
    target_id = at.made.disks.start(SIZE_GIB, token="t", description="", tags={})
    for use in (verify, lambda at, bad: restore(at, bad, target_id)):
        with pytest.raises(ManifestCorrupt, match=r"manifest|names no"):
            use(at, bad)
        TALLY[_COUNTED] += 1
    assert not written(at, target_id)
