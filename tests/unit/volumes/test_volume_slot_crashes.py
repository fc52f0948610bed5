"""Executions of the backups of volumes die, or AWS fails them, at any of their calls: each slot still has one good
snapshot at most, what is not kept goes after good ones only, and nothing holds up the next slot.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.engine.disturbed import Counter, Death, Numbered
from tests.unit.volumes.backing import World
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.slots import HOUR, OWNER, advance, deliver, last, machines_run, made, scheduled
from tidemark.domain.schedule import RunStatus, Schedule
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import AwsFailure, Throttled
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotState
from tidemark.usecases.close_volume_backups import close_volume_backups
from tidemark.usecases.watch_backups import GRACE, watch_backups

dying = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def prepared() -> tuple[World, Schedule]:
    """A schedule that has run once, just when it is due again."""
    world = World()
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "first")
    advance(world, schedule.starts_at + HOUR)
    return world, schedule


def second(world: World, schedule: Schedule, ports: Ports | None = None, *, tries: int = 1) -> SlotState:
    return deliver(world, schedule, schedule.starts_at + HOUR, "second", ports=ports, tries=tries)


def good(world: World, schedule: Schedule, slot: int) -> list[str]:
    return [
        one.id
        for one in made(world, schedule)
        if one.slot_at == schedule.starts_at + slot * HOUR and one.state is State.STORED
    ]


def calls_of() -> int:
    world, schedule = prepared()
    counter = Counter()
    second(world, schedule, world.numbered(counter))
    return counter.calls


CALLS = calls_of()


@dying
def test_slot_has_one_snapshot_when_a_step_dies_at_any_call_and_is_repeated(after: bool) -> None:
    assert CALLS >= 30
    for fatal in range(1, CALLS + 1):
        world, schedule = prepared()
        with pytest.raises(Death):
            second(world, schedule, world.numbered(Counter(fatal, after=after)))
        machines_run(world)
        second(world, schedule)
        # What the deletion of the first one left undone, the collector finishes.
        close_volume_backups(world.ports, TEST_AREA)
        [snapshot] = made(world, schedule)
        assert (snapshot.state, snapshot.slot_at) == (State.STORED, schedule.starts_at + HOUR), fatal
        ended = last(world, schedule)
        assert (ended.status, str(ended.snapshot_id)) == (RunStatus.COMPLETED, snapshot.id), fatal
        assert deliver(world, schedule, schedule.starts_at + HOUR, "twice") is SlotState.OVER
        world.nothing_is_left()


@dying
def test_next_slot_is_made_when_an_execution_died_at_any_call_and_wakes_up_later(after: bool) -> None:
    for fatal in range(1, CALLS + 1):
        world, schedule = prepared()
        with pytest.raises(Death):
            second(world, schedule, world.numbered(Counter(fatal, after=after)))
        machines_run(world)
        advance(world, world.ports.clock.now() + HOUR + GRACE)
        list(watch_backups(world.ports, None))
        deliver(world, schedule, schedule.starts_at + 2 * HOUR, "third")
        assert len(good(world, schedule, 2)) == 1, fatal
        before = world.ports.catalog.schedule(OWNER, schedule.id)
        assert second(world, schedule) is SlotState.OVER, fatal
        assert world.ports.catalog.schedule(OWNER, schedule.id) == before
        assert len(good(world, schedule, 1)) <= 1, fatal
        close_volume_backups(world.ports, TEST_AREA)
        world.nothing_is_left()


def test_slot_is_backed_up_when_aws_fails_once_at_any_call() -> None:
    for first in range(1, CALLS + 1):
        for counter in (
            Counter(first, error=lambda: Throttled("AWS is throttling requests")),
            Counter(first, after=True, error=lambda: AwsFailure("no answer from AWS")),
        ):
            world, schedule = prepared()
            second(world, schedule, world.numbered(counter), tries=3)
            machines_run(world)
            close_volume_backups(world.ports, TEST_AREA)
            assert last(world, schedule).status is RunStatus.COMPLETED, first
            [snapshot] = good(world, schedule, 1)
            assert last(world, schedule).snapshot_id == snapshot, first
            assert good(world, schedule, 0) == [], first
            world.nothing_is_left()


def test_two_executions_of_one_slot_at_once_make_one_snapshot_whenever_the_other_comes() -> None:
    class Beside(Counter):
        def __init__(self, at: int, world: World, schedule: Schedule) -> None:
            super().__init__()
            self._at, self._world, self._schedule = at, world, schedule

        def before(self) -> None:
            super().before()
            if self.calls == self._at:
                now = self._world.ports.clock.now()
                deliver(self._world, self._schedule, self._schedule.starts_at + HOUR, "beside")
                assert self._world.ports.clock.now() >= now

    for at in range(1, CALLS + 1):
        world, schedule = prepared()
        second(world, schedule, world.numbered(Beside(at, world, schedule)))
        machines_run(world)
        assert len(good(world, schedule, 1)) == 1, at
        assert last(world, schedule).status is RunStatus.COMPLETED, at
        assert last(world, schedule).snapshot_id == good(world, schedule, 1)[0]


@dying
def test_schedule_is_one_when_its_maker_dies_at_any_call_and_asks_again(after: bool) -> None:
    counter = Counter()
    scheduled(replace_ports(World(), counter))
    for fatal in range(1, counter.calls + 1):
        world = World()
        with pytest.raises(Death):
            scheduled(replace_ports(world, Counter(fatal, after=after)))
        schedule = scheduled(world)
        assert list(world.ports.catalog.found_schedules(OWNER)) == [schedule], fatal
        held = world.ports.schedules.held  # type: ignore[attr-defined] # what EventBridge Scheduler has
        assert list(held) == [schedule.id], fatal
        advance(world, schedule.starts_at + timedelta(minutes=1))
        assert deliver(world, schedule, schedule.starts_at, "one") is SlotState.MADE


def replace_ports(world: World, counter: Counter) -> World:
    """The same world, whose calls are numbered and disturbed."""
    disturbed = World.__new__(World)
    disturbed.disks, disturbed.source_id = world.disks, world.source_id
    disturbed.ports = replace(world.numbered(counter), schedules=Numbered(world.ports.schedules, counter))
    return disturbed
