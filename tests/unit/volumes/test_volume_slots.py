"""A slot of a volume's schedule makes one snapshot, however often and late it is delivered; what is not to be kept goes
once it is stored; and a schedule says why it could not.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from tests.fakes import MemoryWorkflows
from tests.unit.volumes.backing import World, body, run
from tests.unit.volumes.examples import TEST_AREA, task
from tests.unit.volumes.slots import HOUR, HOURLY, OWNER, advance, ask, deliver, last, machines_run, made, scheduled
from tidemark.domain.interval import IntervalType
from tidemark.domain.schedule import Missed, RunStatus, Schedule
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation
from tidemark.domain.tenant import Tenant
from tidemark.domain.upload import Upload
from tidemark.domain.volume import VolumeSnapshot
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.domain.volume_schedule import Timing
from tidemark.errors import (
    AwsFailure,
    BackupOverdue,
    CatalogCorrupt,
    DisksRefused,
    EnvironmentNotFound,
    SnapshotInUse,
    TidemarkError,
    VolumeNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import GIVEN_UP_AFTER, SlotState, conclude_slot, run_slot
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.slot_notes import CLAIM_FOR
from tidemark.usecases.verify_volume_snapshot import record
from tidemark.usecases.volume_phases.lifecycle import user_of_task
from tidemark.usecases.volume_retention import apply_volume_retention
from tidemark.usecases.volume_schedules import delete_volume_schedule
from tidemark.usecases.watch_backups import GRACE, Watched, watch_backups


@pytest.fixture
def world() -> World:
    return World()


# --- one snapshot a slot


def test_slot_makes_a_snapshot_that_says_whose_it_is(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    assert ask(world.ports, schedule, schedule.starts_at).state is SlotState.CREATING
    assert deliver(world, schedule, schedule.starts_at, "one") is SlotState.MADE
    [snapshot] = made(world, schedule)
    assert (snapshot.state, snapshot.interval, snapshot.slot_at) == (
        State.STORED,
        IntervalType.HOURLY,
        schedule.starts_at,
    )
    assert snapshot.name == "detached_foo_20260115100000"
    ended = last(world, schedule)
    assert (ended.status, str(ended.snapshot_id)) == (RunStatus.COMPLETED, snapshot.id)
    world.nothing_is_left()


def test_slot_that_is_delivered_twice_makes_one_snapshot(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    ask(world.ports, schedule, schedule.starts_at)
    assert ask(world.ports, schedule, schedule.starts_at, "two").state is SlotState.OVER
    deliver(world, schedule, schedule.starts_at, "one")
    assert deliver(world, schedule, schedule.starts_at, "three") is SlotState.OVER
    assert len(made(world, schedule)) == 1


def test_snapshot_is_found_again_when_the_note_of_it_was_lost(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    first = ask(world.ports, schedule, schedule.starts_at)
    stored = world.ports.catalog.schedule(OWNER, schedule.id)
    world.ports.catalog.replace_schedule(replace(stored, last_run=replace(last(world, schedule), snapshot_id=None)))
    assert ask(world.ports, schedule, schedule.starts_at)._replace(wait_s=0) == first._replace(wait_s=0)
    assert len(made(world, schedule)) == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_slots_out_of_order_make_one_snapshot_each_and_none_that_is_overtaken(
    world: World, order: tuple[int, ...]
) -> None:
    schedule = scheduled(world, keep=9)
    advance(world, schedule.starts_at + 3 * HOUR)
    for place, slot in enumerate(order):
        deliver(world, schedule, schedule.starts_at + slot * HOUR, f"execution {place}")
    newest_so_far = [slot for place, slot in enumerate(order) if slot == max(order[: place + 1])]
    assert [one.slot_at for one in made(world, schedule)] == [schedule.starts_at + s * HOUR for s in newest_so_far]


def test_execution_of_a_dead_backup_is_started_again_by_the_slot(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    begun = ask(world.ports, schedule, schedule.starts_at)
    workflows = world.ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    workflows.end(OWNER, begun.snapshot_id or "")
    assert ask(world.ports, schedule, schedule.starts_at).state is SlotState.CREATING
    assert [(one.subject, one.attempt) for one in workflows.started] == [
        (begun.snapshot_id, 1),
        (begun.snapshot_id, 2),
    ]


def test_slot_that_is_skipped_drives_on_what_nobody_makes_any_more(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    snapshot_id = ask(world.ports, schedule, schedule.starts_at).snapshot_id or ""
    assert isinstance(world.ports.workflows, MemoryWorkflows)
    world.ports.workflows.end(OWNER, snapshot_id)
    advance(world, schedule.starts_at + HOUR)
    assert ask(world.ports, schedule, schedule.starts_at + HOUR, "two").state is SlotState.SKIPPED
    assert (world.ports.workflows.started[-1].subject, world.ports.workflows.started[-1].attempt) == (snapshot_id, 2)
    machines_run(world)
    assert deliver(world, schedule, schedule.starts_at + 2 * HOUR, "three") is SlotState.MADE


def test_slot_waits_while_somebody_elses_snapshot_of_the_volume_is_being_made(world: World) -> None:
    schedule = scheduled(world)
    other = world.ask()
    waiting = ask(world.ports, schedule, schedule.starts_at)
    assert waiting.state is SlotState.WAITING
    assert other in waiting.reason
    assert made(world, schedule) == []
    run(world.ports, other)
    assert deliver(world, schedule, schedule.starts_at, "one") is SlotState.MADE
    assert last(world, schedule).status is RunStatus.COMPLETED


def test_slot_is_skipped_while_the_last_one_is_being_made(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    ask(world.ports, schedule, schedule.starts_at)
    # Whoever waits for it has died; its snapshot alone says that the run goes on.
    advance(world, schedule.starts_at + HOUR)
    assert HOUR > CLAIM_FOR
    assert ask(world.ports, schedule, schedule.starts_at + HOUR, "two").state is SlotState.SKIPPED
    machines_run(world)
    assert ask(world.ports, schedule, schedule.starts_at + 2 * HOUR - HOUR / 2, "three").state is not SlotState.SKIPPED


def test_slot_of_a_deleted_schedule_makes_nothing_and_its_snapshots_stay(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    delete_volume_schedule(world.ports, TEST_AREA, schedule.id)
    assert deliver(world, schedule, schedule.starts_at + HOUR, "two") is SlotState.OVER
    assert len(made(world, schedule)) == 1


def test_slot_is_given_up_when_its_snapshot_takes_half_a_day(world: World) -> None:
    schedule = scheduled(world)
    begun_at = schedule.starts_at
    ask(world.ports, schedule, schedule.starts_at)
    advance(world, begun_at + GIVEN_UP_AFTER)
    with pytest.raises(BackupOverdue, match="is still being made"):
        run_slot(world.ports, OWNER, schedule.id, schedule.starts_at, owner="one", begun_at=begun_at)


# --- how it ends


def test_gone_volume_fails_the_slot_and_the_schedule_says_what_to_do(world: World) -> None:
    schedule = scheduled(world)
    del world.disks.disks[world.source_id]
    deliver(world, schedule, schedule.starts_at, "one")
    ended = last(world, schedule)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (RunStatus.FAILED, VolumeNotFound.__name__)
    assert schedule.id in ended.failure.message
    assert "delete the schedule" in ended.failure.message


def test_removed_environment_fails_the_slot_and_the_schedule_says_so(world: World) -> None:
    schedule = scheduled(world)
    world.ports.volumes.remove_environment(world.ports.volumes.environment(TEST_AREA))
    deliver(world, schedule, schedule.starts_at, "one")
    ended = last(world, schedule)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (RunStatus.FAILED, EnvironmentNotFound.__name__)
    assert "was removed" in ended.failure.message


def test_failed_backup_fails_the_slot_for_its_reason_and_nothing_goes(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    world.change(b9=body(9))
    world.disks.damaged.add(9)
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    ended = last(world, schedule)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (RunStatus.FAILED, "BlockDamaged")
    assert [one.state for one in made(world, schedule)] == [State.STORED, State.FAILED]


def test_nothing_goes_when_the_new_manifest_is_damaged(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    second = schedule.starts_at + HOUR
    advance(world, second)
    begun = ask(world.ports, schedule, second, "two")
    machines_run(world)
    image = world.record(begun.snapshot_id or "").image
    assert image is not None
    world.ports.payloads.delete(image.manifest.key)
    deliver(world, schedule, second, "two")
    ended = last(world, schedule)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (RunStatus.FAILED, "ManifestCorrupt")
    assert len(made(world, schedule)) == 2
    found = world.record(begun.snapshot_id or "").verification
    assert found is not None
    assert not found.ok


def test_snapshot_that_was_deleted_before_the_slot_was_concluded_is_no_backup(world: World) -> None:
    schedule = scheduled(world, keep=1)
    advance(world, schedule.starts_at)
    begun = ask(world.ports, schedule, schedule.starts_at)
    machines_run(world)
    delete_volume_snapshot(world.ports, TEST_AREA, begun.snapshot_id or "")
    deliver(world, schedule, schedule.starts_at, "one")
    assert last(world, schedule).status is RunStatus.FAILED


# --- what is kept


def _three(world: World, keep: int) -> Schedule:
    schedule = scheduled(world, keep=keep)
    for slot in range(3):
        world.change(b7=body(f"slot {slot}"))
        deliver(world, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    return schedule


def test_three_slots_leave_the_last_two_when_two_are_to_be_kept(world: World) -> None:
    by_hand = world.take()
    schedule = _three(world, keep=2)
    left = made(world, schedule)
    assert [one.slot_at for one in left] == [schedule.starts_at + slot * HOUR for slot in (1, 2)]
    assert [world.content(one)[7] for one in left] == [body("slot 1"), body("slot 2")]
    assert world.record(by_hand.id).state is State.STORED
    world.nothing_is_left()


def test_snapshots_of_other_schedules_fill_no_place_and_stay(world: World) -> None:
    other = scheduled(world, keep=1, timing=HOURLY._replace(interval=IntervalType.DAILY, hour=10))
    deliver(world, other, other.starts_at, "other")
    schedule = _three(world, keep=1)
    assert len(made(world, schedule)) == 1
    assert len(made(world, other)) == 1


def test_snapshot_in_use_stays_until_a_later_slot(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    [first] = made(world, schedule)
    reading = world.ports.volumes.add_task(replace(task(Operation.RESTORE), snapshot_id=first.id))
    world.ports.volumes.replace_volume_snapshot(first.using(user_of_task(reading.id)))
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    assert first.id in [one.id for one in made(world, schedule)]
    assert last(world, schedule).status is RunStatus.COMPLETED
    world.ports.volumes.replace_volume_snapshot(world.record(first.id).released_by(user_of_task(reading.id)))
    deliver(world, schedule, schedule.starts_at + 2 * HOUR, "three")
    assert len(made(world, schedule)) == 1


def test_note_of_a_user_that_died_keeps_no_snapshot(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    [first] = made(world, schedule)
    world.ports.volumes.replace_volume_snapshot(first.using("snapshot 00000000-0000-4000-8000-000000000000"))
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    assert [one.slot_at for one in made(world, schedule)] == [schedule.starts_at + HOUR]


def test_failed_snapshots_fill_no_place(world: World) -> None:
    schedule = scheduled(world, keep=2)
    deliver(world, schedule, schedule.starts_at, "one")
    world.change(b9=body(9))
    world.disks.damaged.add(9)
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    world.disks.damaged.clear()
    deliver(world, schedule, schedule.starts_at + 2 * HOUR, "three")
    assert [one.state for one in made(world, schedule)] == [State.STORED, State.FAILED, State.STORED]


def test_snapshot_that_was_found_damaged_fills_no_place(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    [damaged] = made(world, schedule)
    record(world.ports, TEST_AREA, damaged.id, failure=Failure("PackCorrupt", "block 7 is damaged"))
    assert (_watch(world).age_s or 0) >= HOUR.total_seconds(), "it is no backup"
    deliver(world, schedule, schedule.starts_at + 2 * HOUR, "three")
    left = [one.id for one in made(world, schedule)]
    assert damaged.id in left
    assert len(left) == 2


def test_last_stored_snapshot_stays_even_where_a_clock_ran_ahead(world: World) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    [only] = made(world, schedule)
    ahead = world.ports.volumes.replace_volume_snapshot(replace(only, slot_at=only.created_at + timedelta(days=1)))
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    assert ahead.id in [one.id for one in made(world, schedule)]
    assert len(made(world, schedule)) == 2


def test_what_does_not_fit_the_time_goes_after_the_next_slot(world: World) -> None:
    schedule = scheduled(world, keep=9)
    for slot in range(3):
        deliver(world, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    fewer = scheduled(world, keep=1)
    assert fewer.id == schedule.id
    assert apply_volume_retention(world.ports, fewer, budget_s=-1) == []
    deliver(world, schedule, schedule.starts_at + 3 * HOUR, "four")
    assert len(made(world, schedule)) == 1


def test_nothing_goes_by_a_policy_that_was_changed_meanwhile(world: World) -> None:
    schedule = _three(world, keep=3)
    stale = replace(scheduled(world, keep=1), version=0)
    scheduled(world, keep=3)
    assert apply_volume_retention(world.ports, stale, budget_s=60) == []
    assert len(made(world, schedule)) == 3


def refuse_deletion(monkeypatch: pytest.MonkeyPatch, snapshot: VolumeSnapshot, error: TidemarkError) -> None:
    """Let retention delete all snapshots but this one."""

    def refusing(ports: Ports, _environment_id: str, snapshot_id: str) -> object:
        if snapshot_id == snapshot.id:
            raise error
        return delete_volume_snapshot(ports, TEST_AREA, snapshot_id)

    monkeypatch.setattr("tidemark.usecases.volume_retention.delete_volume_snapshot", refusing)


def test_snapshot_that_a_restore_began_to_read_stays_and_others_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = _three(world, keep=3)
    used = made(world, schedule)[0]

    refuse_deletion(monkeypatch, used, SnapshotInUse("a restore began to read it"))
    assert len(apply_volume_retention(world.ports, scheduled(world, keep=1), budget_s=60)) == 1
    assert used.id in [one.id for one in made(world, schedule)]


@pytest.mark.parametrize("error", [DisksRefused, CatalogCorrupt])
def test_backup_is_good_though_an_older_snapshot_can_not_be_deleted_and_others_go(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[TidemarkError]
) -> None:
    schedule = _three(world, keep=3)
    stuck = made(world, schedule)[1]

    refuse_deletion(monkeypatch, stuck, error("it is refused"))
    scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at + 3 * HOUR, "four")
    assert last(world, schedule).status is RunStatus.COMPLETED
    assert [one.slot_at for one in made(world, schedule)] == [stuck.slot_at, schedule.starts_at + 3 * HOUR]


def test_backup_is_good_though_somebody_was_faster_to_delete_an_older_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = scheduled(world, keep=1)
    deliver(world, schedule, schedule.starts_at, "one")
    [first] = made(world, schedule)

    def deleted_meanwhile(ports: Ports, _snapshot: object) -> None:
        going = ports.volumes.replace_volume_snapshot(world.record(first.id).deleting())
        ports.volumes.replace_volume_snapshot(going.deleted())

    monkeypatch.setattr("tidemark.usecases.delete_volume_snapshot.drop_dead_users", deleted_meanwhile)
    deliver(world, schedule, schedule.starts_at + HOUR, "two")
    assert last(world, schedule).status is RunStatus.COMPLETED


# --- what the watch says


def _watch(world: World) -> Watched:
    [found] = list(watch_backups(world.ports, None))
    assert found.failure is None
    assert found.tenant == OWNER
    return found


def test_slot_that_nobody_delivered_is_told_once(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at + GRACE)
    assert _watch(world).missed == ()
    advance(world, schedule.starts_at + timedelta(minutes=1) + GRACE)
    [(schedule_id, missed)] = _watch(world).missed
    assert (schedule_id, missed.slot_at) == (schedule.id, schedule.starts_at)
    assert _watch(world).missed == ()
    assert deliver(world, schedule, schedule.starts_at, "late") is SlotState.MADE


def test_run_that_died_is_told_and_noted(world: World) -> None:
    schedule = scheduled(world)
    advance(world, schedule.starts_at)
    begun = ask(world.ports, schedule, schedule.starts_at, "dead")
    advance(world, schedule.starts_at + 2 * GRACE)
    assert _watch(world).problems == (), "its snapshot is being made"
    machines_run(world)
    assert "has died: dead" in _watch(world).problems[0]
    assert last(world, schedule).status is RunStatus.FAILED
    assert world.record(begun.snapshot_id or "").state is State.STORED


def test_age_is_that_of_the_volume_whose_newest_snapshot_is_the_oldest(world: World) -> None:
    schedule = scheduled(world)
    assert _watch(world).age_s == 0
    advance(world, schedule.starts_at + HOUR)
    assert _watch(world).age_s == HOUR.total_seconds(), "since there is a schedule"
    deliver(world, schedule, schedule.starts_at + HOUR, "one")
    assert (_watch(world).age_s or HOUR.total_seconds()) < 60
    first, world.source_id = world.source_id, world.disks.add_volume(1, {}, {"Environment": "test_area"})
    other = scheduled(world)
    advance(world, other.starts_at + HOUR)
    world.source_id = first
    world.take()
    assert (_watch(world).age_s or 0) >= HOUR.total_seconds(), "of the other volume"
    delete_volume_schedule(world.ports, TEST_AREA, other.id)
    assert _watch(world).age_s == 0, "a snapshot by hand is one, too"
    advance(world, other.starts_at + 2 * HOUR)
    sent = world.take()
    assert _watch(world).age_s == 0
    uploaded = Upload(until=sent.created_at, size_bytes=sent.size_bytes)
    sent = world.ports.volumes.volume_snapshot(TEST_AREA, sent.id)
    world.ports.volumes.replace_volume_snapshot(replace(sent, uploaded=uploaded))
    assert (_watch(world).age_s or 0) >= HOUR.total_seconds(), "an image that was sent is of nobody knows when"
    delete_volume_schedule(world.ports, TEST_AREA, schedule.id)
    assert _watch(world).age_s is None


def test_volume_with_a_weekly_schedule_alone_has_no_age_but_missed_slots(world: World) -> None:
    weekly = scheduled(world, timing=Timing(IntervalType.WEEKLY, minute=0, hour=12, day=5))
    advance(world, weekly.starts_at + timedelta(days=6))
    found = _watch(world)
    assert found.age_s is None
    assert [missed.slot_at for _, missed in found.missed] == [weekly.starts_at + 2 * HOUR]
    scheduled(world, timing=Timing(IntervalType.DAILY, minute=0, hour=12))
    assert _watch(world).age_s is not None


def test_environments_that_cannot_be_listed_keep_no_tenant_from_being_watched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise AwsFailure("no answer from AWS")

    monkeypatch.setattr(world.ports.volumes, "environment_ids", failing)
    world.ports.catalog.add_tenant(Tenant("acme"))
    tenant, environments = list(watch_backups(world.ports, None))
    assert (tenant.tenant, tenant.failure) == ("acme", None)
    assert isinstance(environments.failure, AwsFailure)


def test_failure_before_a_slot_was_begun_is_a_missed_one(world: World) -> None:
    schedule = scheduled(world)
    failure = Failure("Throttled", "AWS is throttling requests")
    ended = conclude_slot(world.ports, OWNER, schedule.id, schedule.starts_at, owner="one", failure=failure)
    assert isinstance(ended, Missed)
    assert ended.reason == failure.message


def test_no_tenant_comes_of_a_volumes_schedule(world: World) -> None:
    schedule = scheduled(world)
    deliver(world, schedule, schedule.starts_at, "one")
    assert list(world.ports.catalog.tenants()) == []
