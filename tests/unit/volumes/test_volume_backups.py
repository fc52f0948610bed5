"""What the phases of a volume's backup promise its state machine: when to wait, what to do, where to go on."""

import json
from collections.abc import Iterator

import pytest

from tests.fakes import ManualClock
from tests.unit.volumes.backing import FIRST, OTHER_SHARD, World, body, copy_whole, run
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.blocks import ZEROS
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import DisksRefused
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


def test_zeros_that_ebs_lists_are_handed_over_too(world: World) -> None:
    world.change(b0=ZEROS, b7=ZEROS, b9=ZEROS)
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    backup.await_source(world.ports, TEST_AREA, snapshot_id)
    assert copy_whole(world.ports, snapshot_id, 0, budget_s=0) == [0, 1, 8, 10]
    copy_whole(world.ports, snapshot_id, 1)
    assert set(world.content(run(world.ports, snapshot_id))) == {OTHER_SHARD}


def test_blocks_are_compared_when_the_earlier_snapshot_of_ec2s_may_not_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.take(keeps_source=True)
    world.change(b7=body("7 later"))

    def refuse(*_: object) -> Iterator[BlockToken]:
        raise DisksRefused("its tags are gone")

    monkeypatch.setattr(world.disks, "changed", refuse)
    assert world.content(world.take()) == world.held
