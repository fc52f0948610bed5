"""The backup of a volume is killed at any of its calls, runs twice, or runs on after it is over: its snapshot is of one
moment, or failed, and nothing is left at EC2.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests.fakes import MemoryWorkflows
from tests.fakes.copying import copied
from tests.unit.engine.disturbed import Counter, Death, Numbered
from tests.unit.volumes.backing import OTHER_SHARD, REGION, World, body, run
from tests.unit.volumes.examples import FAILURE, TEST_AREA
from tidemark.domain.environment import image_owner
from tidemark.domain.volume import VolumeSnapshot
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import TidemarkError
from tidemark.ports.volumes import Disks
from tidemark.usecases.close_volume_backups import close_volume_backups
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.volume_phases import backup
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, SNAPSHOT_TAG

keeping = pytest.mark.parametrize("keeps", [False, True], ids=["removed", "kept"])
dying = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


class Interrupted(Counter):
    """Lets something else happen before one of the calls, or after it."""

    def __init__(self, at: int, happens: Callable[[], object], *, late: bool) -> None:
        super().__init__()
        self._at, self._happens, self._late = at, happens, late

    def before(self) -> None:
        super().before()
        if self.calls == self._at and not self._late:
            self._happens()

    def after(self) -> None:
        if self.calls == self._at and self._late:
            self._happens()


class Asking(Numbered):
    """Disks that let something else happen before they are asked for a snapshot."""

    def __init__(self, disks: Disks, happens: Callable[[], object]) -> None:
        super().__init__(disks, Counter())
        self._happens = happens

    def create_snapshot(self, *args: Any, **named: Any) -> Any:
        self._happens()
        return self._port.create_snapshot(*args, **named)


def prepared(*, keeps: bool) -> tuple[World, str, str | None]:
    """A volume with one snapshot that is stored and one that was asked for; and what the first one keeps at EC2."""
    return copied(made(keeps=keeps))


@cache
def made(*, keeps: bool) -> tuple[World, str, str | None]:
    world = World()
    first = world.take(keeps_source=keeps)
    world.change(b7=body("7 later"), b9=body(9), b0=None)
    return world, world.ask(keeps_source=keeps), first.source_id


def calls_of(*, keeps: bool) -> int:
    world, snapshot_id, _ = prepared(keeps=keeps)
    counter = Counter()
    run(world.numbered(counter), snapshot_id)
    return counter.calls


@keeping
@dying
def test_backup_is_of_one_moment_when_it_died_at_any_call_and_is_run_again(after: bool, keeps: bool) -> None:
    for fatal in range(1, calls_of(keeps=keeps) + 1):
        world, snapshot_id, kept = prepared(keeps=keeps)
        moments = [dict(world.held)]
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), snapshot_id)
        world.change(b9=body("9 later"), **{f"b{OTHER_SHARD}": body("other")})
        moments.append(dict(world.held))
        snapshot = run(world.ports, snapshot_id)
        assert snapshot.state is State.STORED, (fatal, snapshot.failure)
        assert world.content(snapshot) in moments, fatal
        world.nothing_is_left(*({kept, snapshot.source_id} - {None}))
        assert (snapshot.source_id is not None) == keeps
        again = world.take()
        assert world.content(again) == moments[1]


@keeping
@dying
def test_backup_that_hands_over_after_each_block_is_of_one_moment_when_it_died_at_any_call(
    after: bool, keeps: bool
) -> None:
    world, snapshot_id, _ = prepared(keeps=keeps)
    counter = Counter()
    run(world.numbered(counter), snapshot_id, budget_s=0)
    for fatal in range(1, counter.calls + 1, 3):
        world, snapshot_id, kept = prepared(keeps=keeps)
        moment = dict(world.held)
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), snapshot_id, budget_s=0)
        if world.record(snapshot_id).source_id is not None:
            world.change(b9=body("9 later"), **{f"b{OTHER_SHARD}": body("other")})
        snapshot = run(world.ports, snapshot_id, budget_s=0)
        assert snapshot.state is State.STORED, (fatal, snapshot.failure)
        assert world.content(snapshot) == moment, fatal
        world.nothing_is_left(*({kept, snapshot.source_id} - {None}))


@keeping
@dying
def test_nothing_is_left_at_ec2_when_a_backup_died_at_any_call_and_is_given_up(after: bool, keeps: bool) -> None:
    for fatal in range(1, calls_of(keeps=keeps) + 1):
        world, snapshot_id, kept = prepared(keeps=keeps)
        moment = dict(world.held)
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), snapshot_id)
        snapshot = backup.abort(world.ports, TEST_AREA, snapshot_id, FAILURE)
        assert snapshot.state in {State.STORED, State.FAILED}
        if snapshot.state is State.STORED:
            assert world.content(snapshot) == moment
        world.nothing_is_left(*({kept, snapshot.source_id} - {None}))
        again = world.take()
        assert world.content(again) == moment, fatal


@keeping
@dying
def test_giving_up_is_made_up_for_when_it_died_at_any_call(after: bool, keeps: bool) -> None:
    for fatal in range(1, 12):
        world, snapshot_id, kept = prepared(keeps=keeps)
        backup.begin(world.ports, TEST_AREA, snapshot_id)
        backup.await_source(world.ports, TEST_AREA, snapshot_id)
        counter = Counter(fatal, after=after)
        try:
            backup.abort(world.numbered(counter), TEST_AREA, snapshot_id, FAILURE)
        except Death:
            assert backup.abort(world.ports, TEST_AREA, snapshot_id, FAILURE).state is State.FAILED
        else:
            assert fatal > counter.calls
        world.nothing_is_left(*({kept} - {None}))


@keeping
@pytest.mark.parametrize("given_up", [False, True], ids=["finished", "given up"])
def test_late_run_changes_nothing_when_another_one_ended_the_backup_at_any_of_its_calls(
    given_up: bool, keeps: bool
) -> None:
    for late in (False, True):
        for at in range(1, calls_of(keeps=keeps) + 1):
            world, snapshot_id, kept = prepared(keeps=keeps)
            moment = dict(world.held)

            def happens(world: World = world, snapshot_id: str = snapshot_id) -> None:
                if given_up:
                    backup.abort(world.ports, TEST_AREA, snapshot_id, FAILURE)
                else:
                    run(world.ports, snapshot_id)
                # What is read from now on would be of another moment.
                world.change(b9=body("9 later"))

            run(world.numbered(Interrupted(at, happens, late=late)), snapshot_id)
            snapshot = world.record(snapshot_id)
            if snapshot.state is State.STORED:
                assert world.content(snapshot) == moment, at
            else:
                assert given_up
                assert snapshot.state is State.FAILED
            world.nothing_is_left(*({kept, snapshot.source_id} - {None}))
            assert world.content(world.take()) == world.held, at


@keeping
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_step_that_finds_the_backup_given_up_at_any_of_its_calls_takes_back_what_it_did(
    late: bool, keeps: bool
) -> None:
    for step in (backup.begin, backup.await_source):
        at, calls = 0, 1
        while at < calls:
            at += 1
            world, snapshot_id, kept = prepared(keeps=keeps)
            if step is backup.await_source:
                backup.begin(world.ports, TEST_AREA, snapshot_id)

            def happens(world: World = world, snapshot_id: str = snapshot_id) -> None:
                backup.abort(world.ports, TEST_AREA, snapshot_id, FAILURE)

            counter = Interrupted(at, happens, late=late)
            with suppress(TidemarkError):
                step(world.numbered(counter), TEST_AREA, snapshot_id)
            calls = max(calls, counter.calls)
            if counter.calls < at:
                # Runs that were disturbed earlier made more calls: here there was none left to disturb.
                continue
            world.nothing_is_left(*({kept} - {None}))


def test_second_snapshot_of_ec2s_is_removed_when_two_runs_do_not_see_each_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, snapshot_id, _ = prepared(keeps=False)
    monkeypatch.setattr(world.disks, "snapshots", lambda _tags: iter(()))

    def happens() -> None:
        backup.begin(world.ports, TEST_AREA, snapshot_id)
        world.change(b9=body("9 later"))

    moment = dict(world.held)
    region = world.ports.region(REGION)
    slow = Asking(region.disks, happens)
    backup.begin(replace(world.ports, region=lambda _name: region._replace(disks=slow)), TEST_AREA, snapshot_id)
    assert set(world.disks.held) == {world.record(snapshot_id).source_id}
    monkeypatch.undo()
    assert world.content(run(world.ports, snapshot_id)) == moment


@dying
def test_snapshot_is_there_or_can_be_deleted_again_when_its_deletion_died_at_any_call(after: bool) -> None:
    counter, world = Counter(), World()
    snapshot = world.take(keeps_source=True)
    delete_volume_snapshot(world.numbered(counter), TEST_AREA, snapshot.id)
    for fatal in range(1, counter.calls + 1):
        world = World()
        snapshot = world.take(keeps_source=True)
        with pytest.raises(Death):
            delete_volume_snapshot(world.numbered(Counter(fatal, after=after)), TEST_AREA, snapshot.id)
        if world.record(snapshot.id).state is not State.DELETED:
            delete_volume_snapshot(world.ports, TEST_AREA, snapshot.id)
        assert world.record(snapshot.id).state is State.DELETED
        world.nothing_is_left()


@dying
def test_deletion_that_an_image_is_in_the_way_of_ends_by_itself_when_it_died_at_any_call(after: bool) -> None:
    def imaged() -> tuple[World, VolumeSnapshot, str]:
        world = World()
        snapshot = world.take(keeps_source=True)
        image_id = world.disks.register_image(snapshot.source_id or "", name="theirs", description="", tags={})
        return world, snapshot, image_id

    world, snapshot, _ = imaged()
    counter = Counter()
    delete_volume_snapshot(world.numbered(counter), TEST_AREA, snapshot.id)
    for fatal in range(1, counter.calls + 1):
        world, snapshot, image_id = imaged()
        with pytest.raises(Death):
            delete_volume_snapshot(world.numbered(Counter(fatal, after=after)), TEST_AREA, snapshot.id)
        begun = world.record(snapshot.id).state is State.DELETING
        assert set(world.disks.held) == {snapshot.source_id}
        world.disks.deregister_image(image_id)
        close_volume_backups(world.ports, TEST_AREA)
        assert world.record(snapshot.id).state is (State.DELETED if begun else State.STORED), fatal
        world.nothing_is_left(*([] if begun else [snapshot.source_id]))


def test_what_dead_processes_left_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    kept = world.take(keeps_source=True)
    over = world.take()
    half_deleted = world.take(keeps_source=True)
    volume = world.source_id
    for owner, snapshot_id in ((TEST_AREA, over.id), (TEST_AREA, "nobody's"), ("a/b", over.id)):
        tags = {ENVIRONMENT_TAG: owner, SNAPSHOT_TAG: snapshot_id}
        world.disks.create_snapshot(volume, description="", tags=tags)
    foreign = {one.id for one in world.disks.snapshots({SNAPSHOT_TAG: "nobody's"})}
    foreign |= {one.id for one in world.disks.snapshots({ENVIRONMENT_TAG: "a/b"})}
    with monkeypatch.context() as patch:
        patch.setattr(world.disks, "delete_snapshot", refuse)
        with pytest.raises(Death):
            delete_volume_snapshot(world.ports, TEST_AREA, half_deleted.id)
    running = world.ask()
    workflows = world.ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    workflows.end(image_owner(TEST_AREA), running)
    assert close_volume_backups(world.ports, TEST_AREA) == (2, 1, 1, ())
    assert set(world.disks.held) == {kept.source_id, *foreign}
    assert world.record(half_deleted.id).state is State.DELETED
    assert (workflows.started[-1].subject, workflows.started[-1].attempt) == (running, 2)
    assert close_volume_backups(world.ports, TEST_AREA) == (0, 0, 1, ())
    assert run(world.ports, running).state is State.STORED


def refuse(_snapshot_id: str) -> None:
    raise Death
