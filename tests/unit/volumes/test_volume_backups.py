"""What the phases of a volume's backup promise its state machine: when to wait, what to do, where to go on."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fakes import ManualClock
from tests.unit.volumes.backing import FIRST, OTHER_SHARD, World, body, copy_whole, run
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.blocks import ZEROS
from tidemark.domain.manifest import Manifest
from tidemark.domain.volume import VolumeSnapshot
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.engine import manifests
from tidemark.errors import DiskSnapshotNotReady, DisksRefused, ManifestCorrupt, Throttled, TidemarkError
from tidemark.ports.volumes import BlockToken
from tidemark.usecases.volume_phases import backup


@pytest.fixture
def world() -> World:
    return World()


def test_source_that_is_slow_is_looked_at_less_and_less_often_and_given_up_after_three_days(world: World) -> None:
    world.disks.pending = True
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    assert isinstance(world.ports.clock, ManualClock)
    waits, since_s = [], 0
    for at_s in (0, 60, 1000, 24 * 3600, 72 * 3600 - 1):
        world.ports.clock.advance(at_s - since_s)
        since_s = at_s
        awaited = backup.await_source(world.ports, TEST_AREA, snapshot_id)
        waits.append(awaited.wait_s)
        assert (awaited.ready, awaited.over, list(awaited.shards), awaited.work_key) == (False, False, [], "")
    assert waits == [2, 6, 100, 300, 300]
    world.ports.clock.advance(1)
    failed = run(world.ports, snapshot_id)
    assert failed.failure is not None
    assert failed.failure.code == "DiskSnapshotFailed"
    assert "within 3 days; it is at 0 %" in failed.failure.message
    world.nothing_is_left()


def test_list_of_work_names_every_range_and_the_block_that_it_begins_with(world: World) -> None:
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    keys = {backup.await_source(world.ports, TEST_AREA, snapshot_id).work_key for _ in range(2)}
    [key] = keys
    assert json.loads(world.ports.payloads.get(key)) == [{"shard": 0, "place": 0}, {"shard": 1, "place": 4096}]


def test_call_that_has_no_time_left_copies_one_block_and_says_where_to_go_on(world: World) -> None:
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    backup.await_source(world.ports, TEST_AREA, snapshot_id)
    # Blocks 0 and 7; the last call finds that nothing follows.
    assert copy_whole(world.ports, snapshot_id, 0, budget_s=0) == [0, 1, 8, 4096]
    copy_whole(world.ports, snapshot_id, 1)
    assert run(world.ports, snapshot_id).state is State.STORED
    assert world.content(world.record(snapshot_id)) == FIRST


@pytest.mark.parametrize("readable_again", [False, True])
def test_range_loses_nothing_when_its_parent_can_not_be_read_any_more_where_a_call_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, *, readable_again: bool
) -> None:
    world.take()
    world.change(b3=body(3), b7=body("7 later"))
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    backup.await_source(world.ports, TEST_AREA, snapshot_id)
    place = 0
    for _ in range(2):
        place = copy_once(world, snapshot_id, place)
    assert place == 4
    with monkeypatch.context() as damaged:
        damaged.setattr(manifests, "read", refuse_manifest)
        place = copy_once(world, snapshot_id, place)
        if not readable_again:
            backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=0, place=place)
    assert world.content(run_from(world, snapshot_id, place)) == world.held


def copy_once(world: World, snapshot_id: str, place: int, shard: int = 0) -> int:
    """Where a call is to go on that begins at a place and has no time left."""
    copied = backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard, place=place, budget_s=0)
    assert not copied.done
    return copied.place


def run_from(world: World, snapshot_id: str, place: int) -> VolumeSnapshot:
    """The snapshot, whose first range was copied up to a place."""
    backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=0, place=place)
    return run(world.ports, snapshot_id)


def refuse_manifest(*_: object) -> Manifest:
    raise ManifestCorrupt("it is damaged")


def test_zeros_that_ebs_lists_are_handed_over_too(world: World) -> None:
    world.change(b0=ZEROS, b7=ZEROS, b9=ZEROS)
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    backup.await_source(world.ports, TEST_AREA, snapshot_id)
    assert copy_whole(world.ports, snapshot_id, 0, budget_s=0) == [0, 1, 8, 10]
    copy_whole(world.ports, snapshot_id, 1)
    assert set(world.content(run(world.ports, snapshot_id))) == {OTHER_SHARD}


def test_zeros_are_looked_at_once_where_a_volume_has_grown(world: World) -> None:
    world.take(keeps_source=True)
    world.disks.disks[world.source_id] = replace(world.disks.disks[world.source_id], size_gib=5)
    world.change(b8192=ZEROS, b8193=ZEROS, b8200=body("new"))
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    backup.await_source(world.ports, TEST_AREA, snapshot_id)
    assert copy_once(world, snapshot_id, 8192, shard=2) == 8193
    assert copy_once(world, snapshot_id, 8193, shard=2) == 8194
    copy_whole(world.ports, snapshot_id, 2)
    assert set(world.content(run(world.ports, snapshot_id))) == {*FIRST, 8200}


def test_source_that_ec2_does_not_know_yet_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot_id = world.ask()
    source_id = backup.begin(world.ports, TEST_AREA, snapshot_id).source_id
    assert source_id is not None
    with monkeypatch.context() as unknown:
        unknown.delitem(world.disks.held, source_id)
        with pytest.raises(Throttled, match=f"EC2 does not know {source_id} yet"):
            backup.await_source(world.ports, TEST_AREA, snapshot_id)
    assert run(world.ports, snapshot_id).state is State.STORED


@pytest.mark.parametrize("error", [DisksRefused("its tags are gone"), DiskSnapshotNotReady("it is archived")])
def test_blocks_are_compared_when_the_earlier_snapshot_of_ec2s_can_not_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch, error: TidemarkError
) -> None:
    world.take(keeps_source=True)
    world.change(b7=body("7 later"))

    def refuse(*_: object) -> Iterator[BlockToken]:
        raise error

    monkeypatch.setattr(world.disks, "changed", refuse)
    assert world.content(world.take()) == world.held
