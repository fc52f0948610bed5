"""Every way in which stored blocks can be wrong is noticed, and said of the block where one is to be blamed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.blocks.imaging import IMAGE, TENANT, Imaging, body
from tidemark.domain.blocks import BLOCK_BYTES, digest_of
from tidemark.domain.manifest import Manifest, PackRef
from tidemark.domain.snapshot import CaptureId
from tidemark.engine.blocks import images
from tidemark.engine.blocks.packs import read_blocks_of
from tidemark.engine.copying import note_key
from tidemark.errors import ManifestCorrupt, PackCorrupt
from tidemark.errors.volumes import BlockDamaged

_HALF_TEXT = bytes(range(256)) * (BLOCK_BYTES // 256)


def world() -> Imaging:
    """Two snapshots: a base of six blocks, and a delta in which one changed and one became zeros."""
    made = Imaging()
    content = {index: body(index) for index in range(5)} | {5: _HALF_TEXT}
    made.hold(content)
    made.take()
    content[1] = body("changed")
    del content[2]
    made.hold(content)
    made.take()
    return made


def packs_of(made: Imaging) -> tuple[PackRef, PackRef]:
    base, delta = made.newest.packs
    return base, delta


def fails_reading(made: Imaging, match: str) -> None:
    for reading in (made.read, made.check):
        with pytest.raises(PackCorrupt, match=match):
            reading()


@pytest.mark.parametrize("which", [0, 3, 4, 5])
@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.999])
def test_flipped_bit_is_noticed_and_named_by_its_block(which: int, place: float) -> None:
    made = world()
    base, _ = packs_of(made)
    entry = read_blocks_of(made.payloads, base)[which]
    stored = bytearray(made.payloads.objects[base.key])
    stored[entry.offset + int(entry.length * place)] ^= 1
    made.payloads.objects[base.key] = bytes(stored)
    with pytest.raises(PackCorrupt, match=f"block {which} in pack .* is damaged"):
        made.read()
    with pytest.raises(PackCorrupt, match="is damaged"):
        made.check()


def test_every_bit_that_verification_reads_counts() -> None:
    """The whole of a pack is under a checksum, also where no reader of blocks looks."""
    made = world()
    base, delta = packs_of(made)
    for pack in (base, delta):
        good = made.payloads.objects[pack.key]
        for offset in (*range(64), *range(pack.toc_offset, pack.size_bytes, 37), pack.size_bytes - 1):
            made.payloads.objects[pack.key] = good[:offset] + bytes([good[offset] ^ 4]) + good[offset + 1 :]
            with pytest.raises(PackCorrupt):
                made.check()
        made.payloads.objects[pack.key] = good
    made.check()


@pytest.mark.parametrize("end", [0, 1, BLOCK_BYTES, -1])
def test_truncated_pack_is_noticed(end: int) -> None:
    made = world()
    base, _ = packs_of(made)
    made.payloads.objects[base.key] = made.payloads.objects[base.key][:end]
    fails_reading(made, "truncated|bytes instead of")


def test_missing_pack_is_noticed_and_named() -> None:
    made = world()
    _, delta = packs_of(made)
    del made.payloads.objects[delta.key]
    fails_reading(made, f"{delta.key} is missing")


def test_swapped_packs_are_noticed() -> None:
    made = world()
    base, delta = packs_of(made)
    objects = made.payloads.objects
    objects[base.key], objects[delta.key] = objects[delta.key], objects[base.key]
    fails_reading(made, "damaged|truncated|bytes instead of")


def test_swapped_blocks_are_noticed_and_named() -> None:
    made = world()
    base, _ = packs_of(made)
    first, second = read_blocks_of(made.payloads, base)[3:5]
    stored = made.payloads.objects[base.key]
    assert first.length == second.length
    frames = [stored[one.offset : one.offset + one.length] for one in (first, second)]
    made.payloads.objects[base.key] = (
        stored[: first.offset] + frames[1] + frames[0] + stored[second.offset + second.length :]
    )
    with pytest.raises(PackCorrupt, match=r"block 3 in pack .* has the wrong checksum"):
        made.read()


def _without_delta(manifest: Manifest) -> Manifest:
    shard = manifest.shards[0]
    return replace(manifest, shards=(replace(shard, layers=shard.layers[:1]), *manifest.shards[1:]))


def _without_base(manifest: Manifest) -> Manifest:
    shard = manifest.shards[0]
    return replace(manifest, shards=(replace(shard, layers=shard.layers[1:]), *manifest.shards[1:]))


def _other_digest(manifest: Manifest) -> Manifest:
    shard = replace(manifest.shards[0], digest=digest_of([]).hex)
    return replace(manifest, shards=(shard, *manifest.shards[1:]))


def _twice(manifest: Manifest) -> Manifest:
    shard = manifest.shards[0]
    return replace(manifest, shards=(replace(shard, layers=(*shard.layers, shard.layers[1])), *manifest.shards[1:]))


@pytest.mark.parametrize("changed", [_without_delta, _without_base, _other_digest, _twice])
def test_manifest_that_says_something_else_than_its_packs_is_noticed(changed: Callable[[Manifest], Manifest]) -> None:
    made = world()
    made.last = changed(made.newest)
    with pytest.raises(ManifestCorrupt):
        made.read()
    with pytest.raises(ManifestCorrupt):
        made.check()


def test_manifest_that_lacks_a_shard_is_noticed() -> None:
    made = world()
    made.last = replace(made.newest, shards=made.newest.shards[:1])
    with pytest.raises(ManifestCorrupt, match="lacks shards"):
        made.read()


def test_manifest_of_entities_is_no_image() -> None:
    made = world()
    made.last = replace(made.newest, image=None)
    with pytest.raises(ManifestCorrupt, match="not that of an image"):
        made.check()


def test_damaged_base_ends_the_next_capture_rather_than_getting_into_it() -> None:
    made = world()
    base, _ = packs_of(made)
    stored = made.payloads.objects[base.key]
    made.payloads.objects[base.key] = stored[: base.toc_offset + 20] + b"?" + stored[base.toc_offset + 21 :]
    with pytest.raises(PackCorrupt, match="table of contents has the wrong checksum"):
        made.take()


def test_damaged_note_ends_the_capture() -> None:
    made = world()
    key = note_key(TENANT, CaptureId("c2"), 0)
    made.payloads.objects[key] = made.payloads.objects[key].replace(b"delta", b"Delta")
    with pytest.raises(ManifestCorrupt, match="wrong checksum"):
        images.seal(made.ports, TENANT, made.newest.snapshot_id, CaptureId("c2"), made.newest.created_at, IMAGE)


def test_pack_that_is_lost_before_the_seal_fails_it() -> None:
    made = Imaging()
    made.hold({0: body(0)})
    made.take()
    (pack,) = made.newest.packs
    del made.payloads.objects[pack.key]
    with pytest.raises(PackCorrupt, match="is missing"):
        images.seal(made.ports, TENANT, made.newest.snapshot_id, CaptureId("c1"), made.newest.created_at, IMAGE)


def test_block_of_the_volume_that_is_not_what_its_checksum_says_ends_the_capture_and_is_named() -> None:
    made = Imaging()
    made.hold({index: body(index) for index in range(4)})
    made.disks.damaged.add(3)
    with pytest.raises(BlockDamaged, match="block 3 of snap-"):
        made.take()
