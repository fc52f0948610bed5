"""Images of volumes: what is read back is what the volume held, and a snapshot stores what changed."""

from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.blocks.imaging import AT, IMAGE, TENANT, Content, Imaging, block, body
from tidemark.domain.blocks import BLOCK_BYTES, SHARD_BLOCKS, ZEROS, Block, BlockRange, Image, digest_of
from tidemark.domain.manifest import LayerKind
from tidemark.domain.snapshot import CaptureId, snapshot_id
from tidemark.engine import manifests
from tidemark.engine.blocks import images, packs
from tidemark.engine.blocks.capture import ShardCut, copy_shard
from tidemark.engine.blocks.sources import DiskSnapshotBlocks, RawImage, block_of
from tidemark.engine.collect import Named, Records, garbage, list_objects
from tidemark.engine.copying import MAX_DELTAS
from tidemark.errors import ObjectExists

# Blocks at both ends of both shards.
_INDEXES = st.sampled_from([0, 1, 2, 3, 5, SHARD_BLOCKS - 1, SHARD_BLOCKS, SHARD_BLOCKS + 1, IMAGE.blocks - 1])
_CONTENTS = st.dictionaries(_INDEXES, st.integers(0, 5), max_size=9)
_WITHOUT_DEADLINE = settings(max_examples=25, deadline=None)


def content_of(seeds: dict[int, int]) -> Content:
    """Blocks by their seeds; 0 is a block of zeros that the volume has all the same."""
    return {index: body(seed) if seed else ZEROS for index, seed in seeds.items()}


def held(content: Content) -> Content:
    return {index: one for index, one in sorted(content.items()) if one != ZEROS}


@_WITHOUT_DEADLINE
@given(versions=st.lists(_CONTENTS, min_size=1, max_size=4), ways=st.lists(st.booleans(), min_size=4, max_size=4))
def test_every_snapshot_reads_back_as_the_volume_was(versions: list[dict[int, int]], ways: list[bool]) -> None:
    made, taken = Imaging(), []
    with patch.object(packs, "PACK_BYTES", 2 * BLOCK_BYTES):
        for version, changed in zip(versions, ways, strict=False):
            made.hold(content_of(version))
            sealed = made.take(changed=changed and bool(made.count))
            taken.append((made.newest, content_of(version), sealed))
    for manifest, content, sealed in taken:
        assert made.read(manifest) == held(content)
        assert list(made.read(manifest)) == list(held(content))
        assert sealed.blocks == len(held(content))
        assert (
            sealed.digest
            == digest_of((index, block(index, one).sha256 or b"") for index, one in held(content).items()).hex
        )
        made.check(manifest)


@_WITHOUT_DEADLINE
@given(first=_CONTENTS, second=_CONTENTS, changed=st.booleans())
def test_second_snapshot_stores_no_more_than_the_blocks_that_changed(
    first: dict[int, int], second: dict[int, int], changed: bool
) -> None:
    made = Imaging()
    before, after = content_of(first), content_of(second)
    made.hold(before)
    made.take()
    made.hold(after)
    sealed = made.take(changed=changed)
    fresh = [index for index, one in held(after).items() if held(before).get(index) != one]
    gone = [index for index in held(before) if index not in held(after)]
    # Where nothing is to be stored but that blocks became zeros, a table of contents is all there is.
    assert sealed.new_bytes <= 1.01 * len(fresh) * BLOCK_BYTES + 1000 * bool(gone)


def test_one_percent_that_changed_adds_one_percent_and_a_table() -> None:
    made = Imaging()
    content = {index: body(index) for index in range(100)}
    made.hold(content)
    first = made.take()
    made.hold(content | {37: body("other")})
    second = made.take()
    assert first.new_bytes < 100 * BLOCK_BYTES * 1.01
    assert BLOCK_BYTES < second.new_bytes < BLOCK_BYTES * 1.01
    assert second.stored_bytes == first.stored_bytes + second.new_bytes


def test_zeros_and_blocks_as_they_were_store_nothing() -> None:
    made = Imaging()
    made.hold({1: ZEROS, 2: body(2)})
    made.take()
    stored = set(made.payloads.objects)
    sealed = made.take()
    assert sealed.new_bytes == 0
    added = set(made.payloads.objects) - stored
    assert {key.rpartition(".")[2] for key in added} == {"json", "zst"}
    assert not [key for key in added if key.endswith(".pack")]


def test_image_has_the_same_digest_however_it_is_packed_and_layered() -> None:
    content = {index: body(index) for index in range(8)}
    whole, grown = Imaging(), Imaging()
    whole.hold(content)
    with patch.object(packs, "PACK_BYTES", BLOCK_BYTES):
        for count in range(1, 9):
            grown.hold(dict(list(content.items())[:count]))
            last = grown.take()
    assert last.digest == whole.take().digest
    whole.hold({**content, 3: body("other")})
    assert whole.take().digest != last.digest


def test_pack_unpacks_with_the_tools_of_everybody_to_its_blocks() -> None:
    made = Imaging()
    made.hold({4: body(4), 9: b"text".ljust(BLOCK_BYTES, b".")})
    made.take()
    (pack,) = made.newest.packs
    with zstandard.ZstdDecompressor().stream_reader(made.payloads.objects[pack.key], read_across_frames=True) as reader:
        assert reader.read() == body(4) + b"text".ljust(BLOCK_BYTES, b".")


def test_many_snapshots_stay_in_few_layers_and_hold_what_they_did() -> None:
    made = Imaging()
    content = {index: body(index) for index in range(40)}
    made.hold(content)
    made.take()
    for step in range(30):
        content[step % 40] = body(("step", step))
        content.pop(39 - step % 10, None)
        made.hold(content)
        made.take(changed=step % 2 == 0)
        layers = made.newest.shards[0].layers
        # The layer on top is never merged by the capture that stores it.
        assert len(layers) <= 1 + MAX_DELTAS + 1
        assert [one.kind for one in layers[:1]] == [LayerKind.BASE]
        assert made.read() == content
    made.check()
    assert len({layer.capture_id for layer in made.newest.shards[0].layers}) > 1


def test_shard_that_changed_by_half_gets_a_new_base_with_the_next_snapshot() -> None:
    made = Imaging()
    made.hold({index: body(index) for index in range(4)})
    made.take()
    made.hold({index: body(("new", index)) for index in range(3)})
    sealed = made.take()
    assert sealed.new_bytes <= 3 * BLOCK_BYTES * 1.01
    made.hold({0: body("newest"), 1: body(("new", 1)), 2: body(("new", 2))})
    made.take()
    assert [(one.kind, one.capture_id) for one in made.newest.shards[0].layers] == [
        (LayerKind.BASE, "c3"),
        (LayerKind.DELTA, "c3"),
    ]
    assert made.read() == {0: body("newest"), 1: body(("new", 1)), 2: body(("new", 2))}


def test_collector_keeps_what_a_manifest_of_blocks_names_and_what_is_being_captured() -> None:
    made = Imaging()
    made.hold({0: body(0)})
    made.take()
    first = made.newest
    made.hold({0: body(1)})
    made.take()
    listed = list_objects(made.ports, TENANT)
    named = Named(frozenset({manifests.manifest_key(TENANT, first.snapshot_id), *(one.key for one in first.packs)}), ())
    going = {one.key for one in garbage(listed, Records(None, (), ()), named)}
    assert going.isdisjoint(named.keys)
    assert {pack.key for pack in made.newest.packs} - named.keys <= going
    assert made.payloads.objects.keys() == going | named.keys


def test_manifest_says_how_large_the_image_is_and_those_of_entities_say_nothing() -> None:
    made = Imaging()
    made.hold({0: body(0)})
    made.take()
    assert made.newest.image == IMAGE
    _, stored = manifests.encode(made.newest)
    header = zstandard.ZstdDecompressor().decompress(stored).splitlines()[0]
    assert b'"image":{"blockBytes":524288,"sizeBytes":3221225472}' in header


# --- again, late, and side by side


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("packs_before", range(5))
def test_capture_that_stopped_goes_on_after_its_packs_and_stores_the_same(packs_before: int) -> None:
    content = {index: body(index) for index in range(4)}
    straight, resumed = Imaging(), Imaging()
    asked = 0

    def proceed() -> None:
        nonlocal asked
        if asked == packs_before:
            raise _Stopped
        asked += 1

    with patch.object(packs, "PACK_BYTES", BLOCK_BYTES):
        for made in (straight, resumed):
            made.hold(content)
        snapshot = resumed.disks.create_snapshot(resumed.volume_id, description="", tags={"capture": "0"})
        source = DiskSnapshotBlocks(resumed.disks, resumed.ports.parallel, snapshot.id)
        job = ShardCut(TENANT, CaptureId("c1"), 0, IMAGE.range_of(0))
        with pytest.raises(_Stopped):
            copy_shard(resumed.ports, job, source, proceed)
        read = len(resumed.disks.reads)
        straight.take()
        resumed.take()
    assert resumed.payloads.objects == straight.payloads.objects
    # It has read nothing twice but what was not stored, and the block that tells where to go on.
    assert len(resumed.disks.reads) - read <= 4 - packs_before + 1


def test_capture_that_runs_twice_changes_nothing() -> None:
    made = Imaging()
    made.hold({0: body(0), 5000: body(1)})
    first = made.take()
    stored = dict(made.payloads.objects)
    made.count, made.last = 0, None
    made.hold({0: body("written meanwhile")})
    assert made.take() == first
    assert made.payloads.objects == stored


def test_pack_that_another_worker_stored_at_the_same_moment_is_adopted() -> None:
    made, other = Imaging(), Imaging()
    for one in (made, other):
        one.hold({0: body(0), 1: body(1)})
    other.take()
    put = made.payloads.put

    def race(key: str, stored: bytes) -> None:
        if key.endswith(".pack") and key not in made.payloads.objects:
            made.payloads.objects[key] = other.payloads.objects[key]
            raise ObjectExists(key)
        put(key, stored)

    with patch.object(made.payloads, "put", race):
        made.take()
    assert made.payloads.objects == other.payloads.objects


# --- sources


def test_raw_bytes_are_an_image_and_end_where_they_end() -> None:
    raw = body(0) + ZEROS + body(2)[:1000]
    image = Image(len(raw))
    made = Imaging()
    made.store(RawImage(lambda offset, length: raw[offset : offset + length], image), image)
    assert made.read() == {0: body(0), 2: body(2)[:1000].ljust(BLOCK_BYTES, b"\0")}
    assert made.newest.image == Image(2 * BLOCK_BYTES + 1000)


def test_raw_bytes_that_end_too_early_are_refused() -> None:
    raw = body(0)
    with pytest.raises(ValueError, match="ends in its block 1: 0 of 524288"):
        Imaging().store(
            RawImage(lambda offset, length: raw[offset : offset + length], Image(2 * BLOCK_BYTES)),
            Image(2 * BLOCK_BYTES),
        )


def _part(raw: bytes, offset: int, length: int) -> bytes:
    return raw[offset : offset + length]


def test_image_of_fewer_blocks_than_the_last_one_holds_no_more_than_its_own() -> None:
    made = Imaging()
    for raw in (body(0) + body(1) + body(2), body(0)):
        image = Image(len(raw))
        made.store(RawImage(partial(_part, raw), image), image)
    assert made.read() == {0: body(0)}
    made.check()


def test_source_of_changes_needs_a_base() -> None:
    made = Imaging()
    made.hold({0: body(0)})
    with pytest.raises(ValueError, match="has no base"):
        made.take(changed=True)


def test_changes_read_only_what_changed() -> None:
    made = Imaging()
    content = {index: body(index) for index in range(20)}
    made.hold(content)
    made.take()
    made.disks.reads.clear()
    made.hold(content | {7: body("new")})
    made.take(changed=True)
    assert made.disks.reads == [7]


def test_range_reads_only_its_blocks() -> None:
    made = Imaging()
    made.hold({index: body(index) for index in range(10)})
    made.take()
    found = list(images.read_range(made.ports, made.newest.shards[0], BlockRange(3, 5)))
    assert found == [block(3, body(3)), block(4, body(4))]


def test_memory_of_a_capture_is_bounded_by_a_pack_whatever_the_volume_holds() -> None:
    """A source is never asked for more than fits into the pack that is being built."""
    given: list[int] = []

    class Endless:
        whole = True

        def read(self, within: BlockRange) -> Iterator[Block]:
            for index in range(within.start, within.stop):
                given.append(index)
                yield block_of(index, body(index % 3))

    sizes: list[int] = []
    made = Imaging()
    put = made.payloads.put

    def noted(key: str, stored: bytes) -> None:
        sizes.append(len(stored))
        assert len(given) <= len([one for one in sizes if one > BLOCK_BYTES]) * 4
        put(key, stored)

    image = Image(20 * BLOCK_BYTES)
    with patch.object(packs, "PACK_BYTES", 4 * BLOCK_BYTES), patch.object(made.payloads, "put", noted):
        made.store(Endless(), image)
    assert given == list(range(20))


def test_seal_can_be_repeated_and_gives_the_same() -> None:
    made = Imaging()
    made.hold({0: body(0)})
    sealed = made.take()
    assert images.seal(made.ports, TENANT, snapshot_id(AT), CaptureId("c1"), AT, IMAGE) == sealed
