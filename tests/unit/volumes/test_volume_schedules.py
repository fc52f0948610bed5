"""A volume has one schedule of each interval type, whoever asks for it, how often and when."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes import ManualClock, MemorySchedules
from tests.unit.volumes.backing import REGION, World
from tests.unit.volumes.examples import TEST_AREA, VOLUME_ID, environment
from tests.unit.volumes.slots import HOUR, HOURLY, OWNER, advance, deliver, made, scheduled
from tidemark.domain.environment import EnvironmentId, environment_of, image_owner
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import Schedule, ScheduleId, ScheduleStatus
from tidemark.domain.schedule_expression import parse
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import volume_id
from tidemark.domain.volume_schedule import Timing, timing_of
from tidemark.errors import (
    EnvironmentNotFound,
    InvalidRequest,
    ScheduleNotFound,
    ScheduleQuotaReached,
    SchedulingRefused,
    VolumeNotFound,
    WriteConflict,
)
from tidemark.usecases.backup_phases import SlotState
from tidemark.usecases.set_volume_schedule import VolumeScheduleWanted, set_volume_schedule
from tidemark.usecases.volume_schedules import delete_volume_schedule, get_volume_schedule, list_volume_schedules
from tidemark.usecases.watch_backups import watch_backups

DAILY = Timing(IntervalType.DAILY, minute=30, hour=2)
WEEKLY = Timing(IntervalType.WEEKLY, minute=5, hour=23, day=1)
MONTHLY = Timing(IntervalType.MONTHLY, minute=0, hour=0, day=28)
THURSDAY = datetime(2026, 1, 15, 10, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World()


def _held(world: World) -> dict[ScheduleId, Schedule]:
    assert isinstance(world.ports.schedules, MemorySchedules)
    return dict(world.ports.schedules.held)


def _stored(world: World) -> list[Any]:
    return list(world.ports.catalog.found_schedules(OWNER))


def _wanted(world: World, timing: Timing = HOURLY, keep: int = 2, timezone: str = "UTC") -> VolumeScheduleWanted:
    return VolumeScheduleWanted(volume_id(REGION, world.source_id), timing, keep, timezone)


# --- when


@pytest.mark.parametrize(
    ("timing", "expression", "due"),
    [
        (HOURLY._replace(minute=15), "cron(15 * * * ? *)", datetime(2026, 1, 15, 10, 15, tzinfo=UTC)),
        (DAILY, "cron(30 2 * * ? *)", datetime(2026, 1, 16, 2, 30, tzinfo=UTC)),
        (WEEKLY, "cron(5 23 ? * 1 *)", datetime(2026, 1, 18, 23, 5, tzinfo=UTC)),
        (WEEKLY._replace(day=7), "cron(5 23 ? * 7 *)", datetime(2026, 1, 17, 23, 5, tzinfo=UTC)),
        (MONTHLY, "cron(0 0 28 * ? *)", datetime(2026, 1, 28, tzinfo=UTC)),
    ],
)
def test_timing_is_due_when_it_says_and_is_read_back(timing: Timing, expression: str, due: datetime) -> None:
    assert timing.expression() == expression
    assert parse(expression, "UTC", THURSDAY).next_slot(THURSDAY) == due
    assert timing_of(expression, timing.interval) == timing


@pytest.mark.parametrize(
    "expression", ["rate(1 hour)", "cron(0 2 L * ? *)", "cron(0 2 * * MON-FRI *)", "cron(0/5 * * * ? *)"]
)
def test_expression_of_another_kind_of_schedule_is_no_timing(expression: str) -> None:
    assert timing_of(expression, IntervalType.DAILY) is None


@pytest.mark.parametrize(
    "timing",
    [
        Timing(IntervalType.MANUAL, 0),
        Timing(IntervalType.HOURLY, 60),
        Timing(IntervalType.HOURLY, -1),
        Timing(IntervalType.HOURLY, 0, 1),
        Timing(IntervalType.HOURLY, 0, None, 1),
        Timing(IntervalType.DAILY, 0),
        Timing(IntervalType.DAILY, 0, 24),
        Timing(IntervalType.DAILY, 0, 0, 1),
        Timing(IntervalType.WEEKLY, 0, 0),
        Timing(IntervalType.WEEKLY, 0, 0, 8),
        Timing(IntervalType.WEEKLY, 0, 0, 0),
        Timing(IntervalType.MONTHLY, 0, 0, 29),
    ],
)
def test_timing_that_there_is_not_is_refused(world: World, timing: Timing) -> None:
    with pytest.raises(InvalidRequest):
        set_volume_schedule(world.ports, TEST_AREA, _wanted(world, timing))
    assert _stored(world) == []


# --- one of each type


def test_schedule_is_delivered_as_the_record_says(world: World) -> None:
    schedule = set_volume_schedule(world.ports, TEST_AREA, _wanted(world, WEEKLY, 5, "Europe/Paris"))
    assert (schedule.tenant, schedule.volume_id) == (OWNER, volume_id(REGION, world.source_id))
    assert (schedule.interval(), schedule.retention) == (IntervalType.WEEKLY, RetentionPolicy(last=5))
    assert (schedule.timezone, schedule.status) == ("Europe/Paris", ScheduleStatus.ACTIVE)
    assert _stored(world) == [schedule]
    assert list(_held(world)) == [schedule.id]


def test_volume_has_one_schedule_of_each_interval_type(world: World) -> None:
    for timing in (HOURLY, DAILY, WEEKLY, MONTHLY):
        scheduled(world, timing=timing)
    assert len(_stored(world)) == len(_held(world)) == 4


def test_asking_again_changes_the_schedule_and_keeps_its_id_and_history(world: World) -> None:
    schedule = scheduled(world, keep=3)
    deliver(world, schedule, schedule.starts_at, "one")
    changed = set_volume_schedule(world.ports, TEST_AREA, _wanted(world, HOURLY._replace(minute=30), 1, "Asia/Tokyo"))
    assert (changed.id, changed.created_at) == (schedule.id, schedule.created_at)
    assert (changed.expression, changed.timezone) == ("cron(30 * * * ? *)", "Asia/Tokyo")
    assert changed.retention == RetentionPolicy(last=1)
    assert changed.last_run is not None
    assert _held(world)[schedule.id].expression == changed.expression
    assert _stored(world) == [changed]
    assert set_volume_schedule(world.ports, TEST_AREA, _wanted(world, HOURLY._replace(minute=30), 1, "Asia/Tokyo")) == (
        changed
    )


def test_schedules_of_two_volumes_are_two(world: World) -> None:
    first = scheduled(world)
    world.source_id = world.disks.add_volume(1, {}, {"Environment": "test_area"})
    second = scheduled(world)
    found = list_volume_schedules(world.ports, TEST_AREA)
    assert ({one.id for one in found.schedules}, found.damage) == ({first.id, second.id}, [])
    only = list_volume_schedules(world.ports, TEST_AREA, volume_id=volume_id(REGION, world.source_id))
    assert only.schedules == [second]


def test_unknown_volume_and_environment_are_refused_and_nothing_is_registered(world: World) -> None:
    with pytest.raises(VolumeNotFound):
        set_volume_schedule(world.ports, TEST_AREA, VolumeScheduleWanted(VOLUME_ID, HOURLY, 1))
    foreign = world.disks.add_volume(1, {}, {"Environment": "production"})
    with pytest.raises(VolumeNotFound):
        set_volume_schedule(world.ports, TEST_AREA, VolumeScheduleWanted(volume_id(REGION, foreign), HOURLY, 1))
    nowhere = EnvironmentId("compute-on/nowhere")
    for refused in (
        lambda: set_volume_schedule(world.ports, nowhere, _wanted(world)),
        lambda: list_volume_schedules(world.ports, nowhere),
        lambda: get_volume_schedule(world.ports, nowhere, "schedule_0123456789abcdef"),
        lambda: delete_volume_schedule(world.ports, nowhere, "schedule_0123456789abcdef"),
    ):
        with pytest.raises(EnvironmentNotFound):
            refused()
    assert _stored(world) == []


@pytest.mark.parametrize(("keep", "timezone"), [(0, "UTC"), (-1, "UTC"), (100_001, "UTC"), (1, "Mars/Olympus")])
def test_nothing_to_keep_and_unknown_timezones_are_refused(world: World, keep: int, timezone: str) -> None:
    with pytest.raises(InvalidRequest):
        set_volume_schedule(world.ports, TEST_AREA, _wanted(world, keep=keep, timezone=timezone))
    assert _stored(world) == []


def test_environment_has_no_more_schedules_than_it_may(world: World) -> None:
    for timing in (HOURLY, DAILY):
        set_volume_schedule(world.ports, TEST_AREA, _wanted(world, timing), quota=2)
    with pytest.raises(ScheduleQuotaReached, match="environment compute-on/test_area has 2 schedules"):
        set_volume_schedule(world.ports, TEST_AREA, _wanted(world, WEEKLY), quota=2)
    assert len(_stored(world)) == len(_held(world)) == 2
    set_volume_schedule(world.ports, TEST_AREA, _wanted(world, DAILY, 7), quota=2)


def test_schedule_of_another_environment_is_not_found(world: World) -> None:
    world.ports.volumes.add_environment(environment(name="production", region=REGION))
    schedule = scheduled(world)
    other = EnvironmentId("compute-on/production")
    for call in (get_volume_schedule, delete_volume_schedule):
        with pytest.raises(ScheduleNotFound):
            call(world.ports, other, schedule.id)
    assert list_volume_schedules(world.ports, other).schedules == []
    assert get_volume_schedule(world.ports, TEST_AREA, schedule.id) == schedule


def test_deleted_schedule_is_delivered_no_more_and_a_new_one_leaves_its_snapshots_alone(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    delete_volume_schedule(world.ports, TEST_AREA, schedule.id)
    assert (_stored(world), _held(world)) == ([], {})
    again = scheduled(world, keep=1)
    assert again.id != schedule.id
    deliver(world, again, again.starts_at + HOUR, "two")
    assert len(made(world, schedule)) == len(made(world, again)) == 1


# --- paused


def _paused(world: World, *, paused: bool = True, keep: int = 2) -> Schedule:
    return set_volume_schedule(world.ports, TEST_AREA, replace(_wanted(world, keep=keep), paused=paused))


def test_schedule_that_is_made_paused_is_registered_and_not_due(world: World) -> None:
    schedule = _paused(world)
    assert (schedule.paused, schedule.status) == (True, ScheduleStatus.ACTIVE)
    assert schedule.next_run(world.ports.clock.now()) is None
    assert _held(world)[schedule.id].paused


def test_slot_that_is_delivered_while_the_schedule_is_paused_makes_nothing(world: World) -> None:
    schedule = scheduled(world)
    assert _paused(world).id == schedule.id
    assert deliver(world, schedule, schedule.starts_at, "late") is SlotState.OVER
    assert made(world, schedule) == []


def test_slots_that_were_due_during_a_pause_are_not_missed_and_later_ones_are(world: World) -> None:
    schedule = scheduled(world)
    deliver(world, schedule, schedule.starts_at, "one")
    _paused(world)
    advance(world, schedule.starts_at + 5 * HOUR + timedelta(minutes=30))
    assert [found.missed for found in watch_backups(world.ports, None)] == [()]
    resumed = _paused(world, paused=False)
    assert resumed.resumed_at == world.ports.clock.now()
    assert [found.missed for found in watch_backups(world.ports, None)] == [()]
    assert _held(world)[schedule.id].next_run(world.ports.clock.now()) == schedule.starts_at + 6 * HOUR
    advance(world, schedule.starts_at + 7 * HOUR + timedelta(minutes=30))
    [found] = watch_backups(world.ports, None)
    assert [missed.slot_at for _, missed in found.missed] == [schedule.starts_at + 6 * HOUR]


def test_pause_keeps_what_the_schedule_did_and_asking_again_without_ends_it(world: World) -> None:
    schedule = scheduled(world)
    deliver(world, schedule, schedule.starts_at, "one")
    paused = _paused(world)
    assert (paused.id, paused.last_run is not None, paused.starts_at) == (schedule.id, True, schedule.starts_at)
    changed = scheduled(world, keep=7)
    assert (changed.id, changed.paused, changed.retention) == (schedule.id, False, RetentionPolicy(last=7))
    assert not _held(world)[schedule.id].paused


# --- at the same moment


def _once(world: World, happens: Callable[[], object]) -> None:
    """Let something happen while EventBridge Scheduler is being told for the first time."""
    schedules = world.ports.schedules
    assert isinstance(schedules, MemorySchedules)

    def before(_: str) -> None:
        schedules.before = lambda _: None
        happens()

    schedules.before = before


class Meanwhile:
    """A catalog in which something else happens before a schedule is registered, or after that."""

    def __init__(self, catalog: Any, happens: Callable[[], object], *, late: bool) -> None:
        self._catalog, self._happens, self._late = catalog, happens, late
        self._done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def add_schedule(self, schedule: Schedule) -> Schedule:
        def happen() -> None:
            if not self._done:
                self._done = True
                self._happens()

        if not self._late:
            happen()
        added: Schedule = self._catalog.add_schedule(schedule)
        if self._late:
            happen()
        return added


@pytest.mark.parametrize("later_s", [-5, 0, 5])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_two_that_ask_at_once_have_one_schedule_as_one_of_them_wants_it(
    world: World, late: bool, later_s: float
) -> None:
    """Also where the clock of the other one is behind or ahead."""

    def other() -> None:
        clock = ManualClock(world.ports.clock.now() + timedelta(seconds=later_s))
        set_volume_schedule(replace(world.ports, clock=clock), TEST_AREA, _wanted(world, keep=7))

    ports = replace(world.ports, catalog=Meanwhile(world.ports.catalog, other, late=late))
    schedule = set_volume_schedule(ports, TEST_AREA, _wanted(world, keep=2))
    assert _stored(world) == [schedule]
    # Whoever is registered later changes what the other one wants.
    assert schedule.retention == RetentionPolicy(last=7 if late else 2)
    assert _held(world)[schedule.id].retention == schedule.retention
    assert len(_held(world)) == 1


def test_schedule_that_is_deleted_while_it_is_changed_is_made_anew(world: World) -> None:
    schedule = scheduled(world)
    _once(world, lambda: delete_volume_schedule(world.ports, TEST_AREA, schedule.id))
    again = set_volume_schedule(world.ports, TEST_AREA, _wanted(world, keep=7))
    assert again.id != schedule.id
    assert _stored(world) == [again]
    assert list(_held(world)) == [again.id]


def test_two_that_were_left_by_processes_that_died_become_one(world: World) -> None:
    first = scheduled(world)
    twin = replace(first, id=ScheduleId("schedule_ffffffffffffffff"), status=ScheduleStatus.SETTING, version=0)
    world.ports.catalog.add_schedule(twin)
    assert scheduled(world, keep=4).id == first.id
    assert [one.id for one in _stored(world)] == [first.id]


def test_nothing_is_left_where_event_bridge_scheduler_refuses(world: World) -> None:
    def refuse() -> None:
        raise SchedulingRefused("the role may not")

    _once(world, refuse)
    with pytest.raises(SchedulingRefused):
        scheduled(world)
    assert (_stored(world), _held(world)) == ([], {})


def test_who_is_outpaced_again_and_again_is_told_so(world: World) -> None:
    schedules = world.ports.schedules
    assert isinstance(schedules, MemorySchedules)

    def moved(_: str) -> None:
        raise WriteConflict("it was changed at the same moment")

    schedules.before = moved
    with pytest.raises(WriteConflict, match="changed by others"):
        scheduled(world)


def test_owner_of_images_tells_its_environment_and_no_tenant_does() -> None:
    assert environment_of(image_owner(TEST_AREA)) == TEST_AREA
    assert environment_of(Tenant("volume_images")) is None
