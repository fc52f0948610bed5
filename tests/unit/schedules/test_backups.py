"""A slot makes one snapshot, however often, late and out of order it is delivered; and retention follows it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.driving import TENANT, key, put, run_capture
from tests.fakes import ManualClock, memory_ports
from tidemark.domain.interval import IntervalType
from tidemark.domain.live import LeaseKind
from tidemark.domain.retention import RetentionPolicy, Verdict
from tidemark.domain.schedule import LastRun, Missed, Overlap, RunStatus, Schedule, ScheduleId
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import InvalidRequest, SnapshotHeld, SnapshotInUse, SnapshotPinned, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.apply_retention import apply_retention
from tidemark.usecases.backup_phases import SlotRun, SlotState, conclude_slot, run_slot
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.preview_retention import preview_retention
from tidemark.usecases.slot_notes import CLAIM_FOR
from tidemark.usecases.update_schedule import ScheduleChange, update_schedule

HOURLY = ScheduleWanted("rate(1 hour)", description="{interval} of {tenant}", labels={"by": "schedule"})
HOUR = timedelta(hours=1)


@pytest.fixture
def ports() -> Ports:
    return _world()


def _world() -> Ports:
    ports = memory_ports()
    put(ports, {key(1): 1})
    return ports


def _advance(ports: Ports, until: datetime) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.sleep(max(0.0, (until - ports.clock.now()).total_seconds()))


def _run(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str = "one") -> SlotRun:
    return run_slot(ports, TENANT, schedule.id, slot_at, owner=owner, begun_at=ports.clock.now(), budget_s=60)


def _backup(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str = "one") -> LastRun | None:
    """A whole delivery, at or after its time."""
    _advance(ports, slot_at)
    run = _run(ports, schedule, slot_at, owner)
    if run.state is SlotState.OVER:
        return None
    assert run.state is SlotState.MADE
    return _concluded(ports, schedule, slot_at, owner)


def _concluded(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str = "one") -> LastRun | None:
    ended = conclude_slot(ports, TENANT, schedule.id, slot_at, owner=owner)
    assert not isinstance(ended, Missed)
    return ended


def _made(ports: Ports, schedule: Schedule) -> list[Snapshot]:
    return [one for one in ports.catalog.snapshots(TENANT) if one.schedule_id == schedule.id and not one.forgotten]


def _last(ports: Ports, schedule: Schedule) -> LastRun:
    last = ports.catalog.schedule(TENANT, schedule.id).last_run
    assert last is not None
    return last


# --- one snapshot a slot


def test_slot_makes_a_snapshot_that_says_whose_it_is(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    ended = _backup(ports, schedule, schedule.starts_at)
    [snapshot] = _made(ports, schedule)
    assert ended is not None
    assert (ended.status, ended.snapshot_id, ended.slot_at) == (RunStatus.COMPLETED, snapshot.id, schedule.starts_at)
    assert (snapshot.trigger, snapshot.interval) == (Trigger.SCHEDULED, IntervalType.HOURLY)
    assert (snapshot.description, snapshot.labels) == ("hourly of smartcity", {"by": "schedule"})
    assert snapshot.status is SnapshotStatus.COMPLETED


def test_slot_that_is_delivered_twice_makes_one_snapshot(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    assert _run(ports, schedule, schedule.starts_at).state is SlotState.MADE
    meanwhile = _run(ports, schedule, schedule.starts_at, "two")
    conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one")
    afterwards = _run(ports, schedule, schedule.starts_at, "three")
    assert {meanwhile.state, afterwards.state} == {SlotState.OVER}
    assert len(_made(ports, schedule)) == 1


def test_step_that_is_repeated_goes_on_with_its_own_slot(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    first = _run(ports, schedule, schedule.starts_at)
    assert _run(ports, schedule, schedule.starts_at) == first
    assert len(_made(ports, schedule)) == 1


def test_snapshot_is_found_again_when_the_note_of_it_was_lost(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    first = _run(ports, schedule, schedule.starts_at)
    stored = ports.catalog.schedule(TENANT, schedule.id)
    ports.catalog.replace_schedule(replace(stored, last_run=replace(_last(ports, schedule), snapshot_id=None)))
    assert _run(ports, schedule, schedule.starts_at) == first
    assert len(_made(ports, schedule)) == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_slots_out_of_order_make_one_snapshot_each_and_none_that_is_overtaken(
    ports: Ports, order: tuple[int, ...]
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at + 3 * HOUR)
    for place, slot in enumerate(order):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {place}")
    newest_so_far = [slot for place, slot in enumerate(order) if slot == max(order[: place + 1])]
    assert len(_made(ports, schedule)) == len(newest_so_far)
    assert _last(ports, schedule).slot_at == schedule.starts_at + 2 * HOUR


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_no_deliveries_whatever_make_two_snapshots_of_a_slot(deliveries: list[int]) -> None:
    ports = _world()
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at + 5 * HOUR)
    concluded = []
    for number, slot in enumerate(deliveries):
        ended = _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {number}")
        concluded += [] if ended is None else [ended.slot_at]
    assert len(concluded) == len(set(concluded)) == len(_made(ports, schedule))
    assert concluded == sorted(concluded)


def test_slot_of_a_schedule_that_is_paused_or_deleted_makes_nothing(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(paused=True))
    assert _backup(ports, schedule, schedule.starts_at) is None
    delete_schedule(ports, TENANT, schedule.id)
    assert _backup(ports, schedule, schedule.starts_at + HOUR) is None
    unknown = replace(schedule, id=ScheduleId("schedule_" + "f" * 16))
    assert "deleted" in _run(ports, unknown, schedule.starts_at).reason


# --- runs that overlap


def _begun(ports: Ports, overlap: Overlap) -> tuple[Schedule, SlotRun]:
    """A schedule whose first slot goes on in the state machine, since it did not fit the request."""
    schedule = create_schedule(ports, TENANT, replace(HOURLY, overlap=overlap))
    _advance(ports, schedule.starts_at)
    now = ports.clock.now()
    begun = run_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one", begun_at=now, budget_s=-1)
    assert begun.state is SlotState.CREATING
    return schedule, begun


def test_slot_is_skipped_while_the_last_run_goes_on(ports: Ports) -> None:
    schedule, _ = _begun(ports, Overlap.SKIP)
    skipped = _run(ports, schedule, schedule.starts_at + HOUR, "two")
    assert (skipped.state, "skip" in skipped.reason) == (SlotState.SKIPPED, True)


def test_slot_waits_for_the_last_run_where_it_is_to_be_queued(ports: Ports) -> None:
    schedule, begun = _begun(ports, Overlap.QUEUE)
    next_at = schedule.starts_at + HOUR
    assert _run(ports, schedule, next_at, "two").state is SlotState.WAITING
    assert begun.snapshot_id is not None
    run_capture(ports, begun.snapshot_id, ports.catalog.snapshot(TENANT, begun.snapshot_id).capture_id)
    assert _run(ports, schedule, schedule.starts_at).state is SlotState.MADE
    assert _run(ports, schedule, next_at, "two").state is SlotState.WAITING
    conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one")
    _advance(ports, next_at)
    assert _run(ports, schedule, next_at, "two").state is SlotState.MADE
    assert len(_made(ports, schedule)) == 2


def test_run_that_died_holds_up_no_later_slot_for_good(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    _run(ports, schedule, schedule.starts_at)
    next_at = schedule.starts_at + HOUR
    assert _run(ports, schedule, next_at - HOUR / 2, "two").state is SlotState.SKIPPED
    _advance(ports, schedule.starts_at + CLAIM_FOR)
    assert _run(ports, schedule, next_at, "two").state is SlotState.MADE
    assert conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one") is None
    assert _last(ports, schedule).slot_at == next_at


def test_run_that_asks_for_its_snapshot_is_not_taken_for_dead(ports: Ports) -> None:
    schedule, _ = _begun(ports, Overlap.SKIP)
    for _ in range(20):
        ports.clock.sleep(60)
        assert _run(ports, schedule, schedule.starts_at).state is SlotState.CREATING
    assert _run(ports, schedule, schedule.starts_at + HOUR, "two").state is SlotState.SKIPPED


def test_run_that_waits_is_not_taken_for_dead(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    create_snapshot(ports, TENANT, budget_s=-1)
    _advance(ports, schedule.starts_at)
    for _ in range(20):
        assert _run(ports, schedule, schedule.starts_at).state is SlotState.WAITING
        ports.clock.sleep(60)
    assert _run(ports, schedule, schedule.starts_at + HOUR, "two").state is SlotState.SKIPPED


def test_slot_waits_while_somebody_elses_capture_goes_on(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    other = create_snapshot(ports, TENANT, budget_s=-1)
    _advance(ports, schedule.starts_at)
    waiting = _run(ports, schedule, schedule.starts_at)
    assert waiting.state is SlotState.WAITING
    assert other.id in waiting.reason
    run_capture(ports, other.id, other.capture_id)
    assert _run(ports, schedule, schedule.starts_at).state is SlotState.MADE


def test_lease_is_free_after_a_slot(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _backup(ports, schedule, schedule.starts_at)
    leases.acquire(ports, TENANT, kind=LeaseKind.CAPTURE, owner="other", subject="x", attempt=1)


# --- how it ends


def test_run_whose_capture_failed_says_so_and_is_not_made_again(ports: Ports) -> None:
    schedule, begun = _begun(ports, Overlap.SKIP)
    assert begun.snapshot_id is not None
    failed = ports.catalog.snapshot(TENANT, begun.snapshot_id)
    failure = Failure("PackCorrupt", "pack 3 is not what was written")
    ports.catalog.replace_snapshot(replace(failed, status=SnapshotStatus.FAILED, failure=failure))
    assert _run(ports, schedule, schedule.starts_at).state is SlotState.MADE
    ended = _concluded(ports, schedule, schedule.starts_at)
    assert ended is not None
    assert (ended.status, ended.failure) == (RunStatus.FAILED, failure)
    assert _run(ports, schedule, schedule.starts_at).state is SlotState.OVER


def test_failure_before_there_is_a_snapshot_is_kept(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    other = create_snapshot(ports, TENANT, budget_s=-1)
    _run(ports, schedule, schedule.starts_at)
    failure = Failure("Throttled", f"{other.id} took too long")
    conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one", failure=failure)
    assert (_last(ports, schedule).status, _last(ports, schedule).failure) == (RunStatus.FAILED, failure)


def test_nothing_is_forgotten_when_the_new_manifest_is_damaged(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, retention=RetentionPolicy(last=1)))
    _backup(ports, schedule, schedule.starts_at)
    next_at = schedule.starts_at + HOUR
    _advance(ports, next_at)
    made = _run(ports, schedule, next_at, "two")
    assert made.snapshot_id is not None
    manifest = ports.catalog.snapshot(TENANT, made.snapshot_id).manifest
    assert manifest is not None
    ports.payloads.delete(manifest.key)
    ended = _concluded(ports, schedule, next_at, "two")
    assert ended is not None
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (RunStatus.FAILED, "ManifestCorrupt")
    assert len(_made(ports, schedule)) == 2
    found = ports.catalog.snapshot(TENANT, made.snapshot_id).verification
    assert found is not None
    assert not found.ok


def test_nothing_is_forgotten_by_a_new_policy_until_a_good_snapshot_is_made(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    for slot in range(3):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(retention=RetentionPolicy(last=1)))
    next_at = schedule.starts_at + 3 * HOUR
    _advance(ports, next_at)
    create_snapshot(ports, TENANT, budget_s=-1)
    assert _run(ports, schedule, next_at, "three").state is SlotState.WAITING
    failure = Failure("Throttled", "too long")
    conclude_slot(ports, TENANT, schedule.id, next_at, owner="three", failure=failure)
    assert len(_made(ports, schedule)) == 3


def test_run_that_was_concluded_stays_what_it_was(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    ended = _backup(ports, schedule, schedule.starts_at)
    late = Failure("Throttled", "a step that was repeated")
    again = conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one", failure=late)
    assert again == ended == _last(ports, schedule)


# --- retention


def test_policy_forgets_through_the_recycle_bin_what_it_does_not_keep(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, retention=RetentionPolicy(last=3)))
    asked_for = create_snapshot(ports, TENANT, budget_s=60)
    other = create_schedule(ports, TENANT, HOURLY)
    _backup(ports, other, other.starts_at, "other")
    for slot in range(6):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    kept = _made(ports, schedule)
    assert [one.created_at for one in kept] == [schedule.starts_at + slot * HOUR for slot in (5, 4, 3)]
    assert len(_made(ports, other)) == 1
    assert ports.catalog.snapshot(TENANT, asked_for.id).status is SnapshotStatus.COMPLETED
    binned = [one for one in ports.catalog.snapshots(TENANT) if one.recycled(ports.clock.now())]
    assert len(binned) == 3


def test_schedule_without_a_policy_forgets_nothing(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    for slot in range(4):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    assert len(_made(ports, schedule)) == 4


def test_snapshot_in_use_is_not_forgotten(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, retention=RetentionPolicy(last=1)))
    _backup(ports, schedule, schedule.starts_at)
    [used] = _made(ports, schedule)
    ports.catalog.replace_snapshot(used.using("restore_x"))
    _backup(ports, schedule, schedule.starts_at + HOUR, "two")
    assert len(_made(ports, schedule)) == 2


@pytest.mark.parametrize("error", [SnapshotInUse("a restore began to read it"), SnapshotPinned("x"), SnapshotHeld("x")])
def test_snapshot_that_somebody_began_to_use_or_keep_stays_and_others_go(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, error: TidemarkError
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    for slot in range(4):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    used = _made(ports, schedule)[2]

    def racing(ports: Ports, tenant: Tenant, snapshot_id: str, *, recycle_bin_days: int) -> None:
        if snapshot_id == used.id:
            raise error
        delete_snapshot(ports, tenant, snapshot_id, recycle_bin_days=recycle_bin_days)

    monkeypatch.setattr("tidemark.usecases.apply_retention.delete_snapshot", racing)
    last_one = update_schedule(ports, TENANT, schedule.id, ScheduleChange(retention=RetentionPolicy(last=1)))
    forgotten = apply_retention(ports, last_one)
    assert len(forgotten) == 2
    assert used in _made(ports, schedule)


def test_preview_says_what_would_go_and_why_and_changes_nothing(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    for slot in range(3):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    create_snapshot(ports, TENANT, budget_s=60)
    before = list(ports.catalog.snapshots(TENANT))
    preview = preview_retention(ports, TENANT, schedule.id, RetentionPolicy(last=2))
    assert [one.verdict for one in preview.decisions] == [Verdict.KEEP, Verdict.KEEP, Verdict.FORGET]
    assert preview.counts() == {Verdict.KEEP: 2, Verdict.FORGET: 1, Verdict.LEAVE: 0}
    assert all(one.reasons for one in preview.decisions)
    assert list(ports.catalog.snapshots(TENANT)) == before
    with pytest.raises(InvalidRequest, match="no retention policy"):
        preview_retention(ports, TENANT, schedule.id)


def test_days_of_hours_leaves_what_the_policy_says(ports: Ports) -> None:
    policy = RetentionPolicy(hourly=24, daily=7, weekly=1)
    schedule = create_schedule(ports, TENANT, replace(HOURLY, retention=policy, timezone="UTC"))
    for slot in range(24 * 9):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, f"execution {slot}")
    kept = _made(ports, schedule)
    newest = kept[0].created_at
    assert [one.created_at for one in kept[:24]] == [newest - slot * HOUR for slot in range(24)]
    days = {one.created_at.astimezone(UTC).date() for one in kept}
    assert {newest.date() - timedelta(days=day) for day in range(7)} <= days
    assert len(kept) <= 24 + 7 + 1
