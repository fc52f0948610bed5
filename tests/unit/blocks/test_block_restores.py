"""Images written to disk snapshots: block by block, again and late, with the checksum that EBS holds them against."""

import hashlib

import pytest

from tests.unit.blocks.imaging import IMAGE, SIZE_GIB, Imaging, body
from tidemark.domain.blocks import SHARD_BLOCKS, BlockRange
from tidemark.engine.blocks import images
from tidemark.errors import PackCorrupt
from tidemark.errors.volumes import BlockDamaged, DiskSnapshotNotReady
from tidemark.ports.volumes import DiskState

_CONTENT = {0: body(0), 1: body(1), 40: body(40), SHARD_BLOCKS: body("second shard"), IMAGE.blocks - 1: body("last")}


def taken() -> Imaging:
    made = Imaging()
    made.hold({**_CONTENT, 1: body("earlier"), 3: body("gone")})
    made.take()
    made.hold(_CONTENT)
    made.take()
    return made


def nothing(_index: int) -> None:
    """Go on."""


def start(made: Imaging, token: str = "restore-1") -> str:
    return made.disks.start(SIZE_GIB, token=token, description="", tags={"restore": token})


def write_all(made: Imaging, target_id: str) -> int:
    return sum(
        images.write_range(made.ports, made.disks, target_id, shard, IMAGE.range_of(shard.shard), nothing)
        for shard in made.newest.shards
    )


def test_restored_volume_holds_what_the_snapshot_does() -> None:
    made = taken()
    target_id = start(made)
    assert write_all(made, target_id) == len(_CONTENT)
    assert images.complete(made.ports, made.disks, target_id, made.newest) is DiskState.COMPLETED
    disk = made.disks.create_volume(target_id, zone="eu-west-1b", kind="gp3", token="t", tags={"a": "b"})
    assert made.disks.content[disk.id] == _CONTENT


def test_checksum_is_linear_over_the_digests_of_all_blocks_in_order() -> None:
    made = taken()
    digests = b"".join(hashlib.sha256(one).digest() for _, one in sorted(_CONTENT.items()))
    assert images.written(made.ports, made.newest.shards) == (5, hashlib.sha256(digests).digest())


def test_ranges_written_twice_and_in_any_order_are_the_same() -> None:
    made = taken()
    target_id = start(made)
    assert start(made) == target_id
    ranges = [(1, BlockRange(SHARD_BLOCKS, IMAGE.blocks)), (0, BlockRange(1, SHARD_BLOCKS)), (0, BlockRange(0, 1))]
    for shard, blocks in [*ranges, ranges[1]]:
        images.write_range(made.ports, made.disks, target_id, made.newest.shards[shard], blocks, nothing)
    images.complete(made.ports, made.disks, target_id, made.newest)
    with pytest.raises(DiskSnapshotNotReady):
        images.complete(made.ports, made.disks, target_id, made.newest)


def test_range_that_was_not_written_is_noticed_when_it_is_completed() -> None:
    made = taken()
    target_id = start(made)
    shard = made.newest.shards[0]
    images.write_range(made.ports, made.disks, target_id, shard, IMAGE.range_of(0), nothing)
    with pytest.raises(BlockDamaged, match="has other blocks"):
        images.complete(made.ports, made.disks, target_id, made.newest)
    assert made.disks.snapshot(target_id).state is DiskState.PENDING


def test_late_worker_can_write_nothing_once_it_is_completed() -> None:
    made = taken()
    target_id = start(made)
    write_all(made, target_id)
    images.complete(made.ports, made.disks, target_id, made.newest)
    with pytest.raises(DiskSnapshotNotReady):
        write_all(made, target_id)


def test_damaged_block_is_never_written() -> None:
    made = taken()
    pack = made.newest.packs[0]
    stored = bytearray(made.payloads.objects[pack.key])
    stored[1000] ^= 1
    made.payloads.objects[pack.key] = bytes(stored)
    target_id = start(made)
    with pytest.raises(PackCorrupt, match="block 0 in pack"):
        write_all(made, target_id)
    assert 0 not in made.disks.held[target_id].content


def test_cancelled_restore_stops_before_its_next_blocks() -> None:
    made = taken()
    target_id = start(made)

    def stop(_index: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        images.write_range(made.ports, made.disks, target_id, made.newest.shards[0], IMAGE.range_of(0), stop)
    assert made.disks.held[target_id].content == {}
    made.disks.delete_snapshot(target_id)
    assert not list(made.disks.snapshots({"restore": "restore-1"}))
