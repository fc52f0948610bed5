"""A volume with a schedule, and what the backup machine does for its slots; machines of volumes run beside it."""

from datetime import datetime, timedelta
from typing import Final

from tests.driving import retried
from tests.fakes import ManualClock, MemoryWorkflows
from tests.unit.volumes.backing import REGION, World, run
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.environment import image_owner
from tidemark.domain.interval import IntervalType
from tidemark.domain.schedule import LastRun, Schedule
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState, volume_id
from tidemark.domain.volume_schedule import Timing
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotRun, SlotState, conclude_slot, run_slot
from tidemark.usecases.set_volume_schedule import VolumeScheduleWanted, set_volume_schedule

OWNER: Final = image_owner(TEST_AREA)
HOUR: Final = timedelta(hours=1)
HOURLY: Final = Timing(IntervalType.HOURLY, minute=0)


def scheduled(world: World, *, keep: int = 2, timing: Timing = HOURLY) -> Schedule:
    """The schedule of the world's volume."""
    wanted = VolumeScheduleWanted(volume_id(REGION, world.source_id), timing, keep)
    return set_volume_schedule(world.ports, TEST_AREA, wanted)


def advance(world: World, until: datetime) -> None:
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(max(0.0, (until - world.ports.clock.now()).total_seconds()))


def ask(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str = "one") -> SlotRun:
    """One step of an execution that began just now."""
    return run_slot(ports, OWNER, schedule.id, slot_at, owner=owner, begun_at=ports.clock.now())


def machines_run(world: World) -> None:
    """Let all backups of volumes that were started come to their end."""
    workflows = world.ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    for one in list(workflows.started):
        if workflows.running(one.tenant, one.subject, attempt=one.attempt):
            run(world.ports, one.subject)
            workflows.end(one.tenant, one.subject, attempt=one.attempt)


def deliver(
    world: World, schedule: Schedule, slot_at: datetime, owner: str, *, ports: Ports | None = None, tries: int = 1
) -> SlotState:
    """A whole delivery, at or after its time: what the backup machine does on `ports`."""
    ports = ports or world.ports
    advance(world, slot_at)
    begun_at = world.ports.clock.now()

    def step() -> SlotState:
        return run_slot(ports, OWNER, schedule.id, slot_at, owner=owner, begun_at=begun_at).state

    failure: Failure | None = None
    try:
        while (state := retried(tries, step)) in {SlotState.CREATING, SlotState.WAITING}:
            machines_run(world)
            advance(world, world.ports.clock.now() + timedelta(seconds=10))
    except TidemarkError as error:
        state, failure = SlotState.MADE, Failure(error.code, error.message)
    if state is SlotState.MADE:
        retried(tries, lambda: conclude_slot(ports, OWNER, schedule.id, slot_at, owner=owner, failure=failure))
    return state


def last(world: World, schedule: Schedule) -> LastRun:
    found = world.ports.catalog.schedule(OWNER, schedule.id).last_run
    assert found is not None
    return found


def made(world: World, schedule: Schedule) -> list[VolumeSnapshot]:
    """The snapshots of the schedule that were not deleted, oldest slot first."""
    found = [
        one
        for one in world.ports.volumes.volume_snapshots(TEST_AREA)
        if isinstance(one, VolumeSnapshot)
        and one.schedule_id == schedule.id
        and one.state is not VolumeSnapshotState.DELETED
    ]
    return sorted(found, key=lambda one: (one.slot_at or one.created_at, one.created_at))
