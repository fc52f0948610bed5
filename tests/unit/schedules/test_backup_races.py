"""What comes between the steps of a backup: damage, changes of its schedule, deaths, and slots that wait in a queue."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.driving import TENANT, key, put, run_capture
from tests.fakes import ManualClock, MemorySchedules, memory_ports
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import LastRun, Missed, Overlap, RunStatus, Schedule, ScheduleId
from tidemark.domain.snapshot import Failure, Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import AwsFailure, CatalogCorrupt, InvalidRequest
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotRun, SlotState, conclude_slot, run_slot
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_schedule import delete_schedule
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.slot_notes import CLAIM_FOR
from tidemark.usecases.update_schedule import ScheduleChange, update_schedule
from tidemark.usecases.watch_backups import GRACE, watch_backups

HOURLY = ScheduleWanted("rate(1 hour)")
LAST_ONE = replace(HOURLY, retention=RetentionPolicy(last=1))
HOUR = timedelta(hours=1)


@pytest.fixture
def ports() -> Ports:
    ports = memory_ports()
    put(ports, {key(1): 1})
    return ports


def _advance(ports: Ports, until: datetime) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(max(0.0, (until - ports.clock.now()).total_seconds()))


def _run(ports: Ports, schedule: Schedule, slot: int, owner: str, *, budget_s: float = 60) -> SlotRun:
    slot_at, now = schedule.starts_at + slot * HOUR, ports.clock.now()
    return run_slot(ports, TENANT, schedule.id, slot_at, owner=owner, begun_at=now, budget_s=budget_s)


def _conclude(
    ports: Ports, schedule: Schedule, slot: int, owner: str, failure: Failure | None = None
) -> LastRun | Missed | None:
    return conclude_slot(ports, TENANT, schedule.id, schedule.starts_at + slot * HOUR, owner=owner, failure=failure)


def _back_up(ports: Ports, schedule: Schedule, slots: int) -> None:
    for slot in range(slots):
        _advance(ports, schedule.starts_at + slot * HOUR)
        assert _run(ports, schedule, slot, f"{slot}").state is SlotState.MADE
        _conclude(ports, schedule, slot, f"{slot}")


def _made(ports: Ports, schedule: Schedule) -> list[Snapshot]:
    return [one for one in ports.catalog.snapshots(TENANT) if one.schedule_id == schedule.id and not one.forgotten]


# --- damage


def test_record_that_was_damaged_before_the_slot_was_begun_does_not_keep_it_from_being_made(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    damaged = create_snapshot(ports, TENANT, budget_s=60)
    _advance(ports, schedule.starts_at + HOUR)
    listed = ports.catalog.snapshots

    def snapshots(tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None) -> object:
        if since is None or damaged.created_at >= since:
            raise CatalogCorrupt("the catalog's record is damaged")
        return listed(tenant, since=since, before=before)

    with monkeypatch.context() as patched:
        patched.setattr(ports.catalog, "snapshots", snapshots)
        assert _run(ports, schedule, 0, "one").state is SlotState.MADE
        assert _run(ports, schedule, 0, "one").state is SlotState.MADE
    assert len(_made(ports, schedule)) == 1


# --- the schedule is changed or deleted


def test_schedule_that_is_deleted_while_its_slot_is_claimed_makes_nothing_and_fails_nothing(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    store = ports.catalog.replace_schedule

    def deleted_meanwhile(record: Schedule) -> Schedule:
        monkeypatch.setattr(ports.catalog, "replace_schedule", store)
        delete_schedule(ports, TENANT, schedule.id)
        return store(record)

    monkeypatch.setattr(ports.catalog, "replace_schedule", deleted_meanwhile)
    run = _run(ports, schedule, 0, "one")
    assert (run.state, run.reason) == (SlotState.OVER, "the schedule was deleted")
    assert _made(ports, schedule) == []


def _fails(_: ScheduleId) -> None:
    raise AwsFailure("no answer from AWS")


def test_nothing_is_forgotten_once_the_schedule_is_deleted_though_aws_still_has_it(ports: Ports) -> None:
    aws = MemorySchedules()
    ports = replace(ports, schedules=aws)
    schedule = create_schedule(ports, TENANT, LAST_ONE)
    _back_up(ports, schedule, 1)
    _advance(ports, schedule.starts_at + HOUR)
    _run(ports, schedule, 1, "two")
    aws.before = _fails
    with pytest.raises(AwsFailure):
        delete_schedule(ports, TENANT, schedule.id)
    _conclude(ports, schedule, 1, "two")
    assert len(_made(ports, schedule)) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda ports, schedule: update_schedule(
            ports, TENANT, schedule.id, ScheduleChange(retention=RetentionPolicy(last=9))
        ),
        lambda ports, schedule: update_schedule(ports, TENANT, schedule.id, ScheduleChange(retention=None)),
        lambda ports, schedule: delete_schedule(ports, TENANT, schedule.id),
    ],
    ids=["keeps more", "keeps all", "deleted"],
)
def test_nothing_goes_by_a_policy_any_more_from_the_moment_on_that_it_is_taken_back(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, change: Callable[[Ports, Schedule], object]
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _back_up(ports, schedule, 4)
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(retention=RetentionPolicy(last=1)))
    _advance(ports, schedule.starts_at + 4 * HOUR)
    _run(ports, schedule, 4, "five")

    def then_changed(ports: Ports, tenant: Tenant, snapshot_id: str, *, recycle_bin_days: int) -> None:
        delete_snapshot(ports, tenant, snapshot_id, recycle_bin_days=recycle_bin_days)
        change(ports, schedule)

    monkeypatch.setattr("tidemark.usecases.apply_retention.delete_snapshot", then_changed)
    _conclude(ports, schedule, 4, "five")
    assert len(_made(ports, schedule)) == 4


def test_what_there_is_no_time_to_forget_goes_after_the_next_slot_and_fails_no_backup(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _back_up(ports, schedule, 4)
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(retention=RetentionPolicy(last=1)))

    def slow(ports: Ports, tenant: Tenant, snapshot_id: str, *, recycle_bin_days: int) -> None:
        delete_snapshot(ports, tenant, snapshot_id, recycle_bin_days=recycle_bin_days)
        ports.clock.sleep(100)

    monkeypatch.setattr("tidemark.usecases.apply_retention.delete_snapshot", slow)
    left = []
    for slot in (4, 5):
        slot_at = schedule.starts_at + slot * HOUR
        _advance(ports, slot_at)
        assert _run(ports, schedule, slot, f"{slot}").state is SlotState.MADE
        ended = conclude_slot(ports, TENANT, schedule.id, slot_at, owner=f"{slot}", budget_s=240)
        assert isinstance(ended, LastRun)
        assert ended.status is RunStatus.COMPLETED
        left.append(len(_made(ports, schedule)))
    assert left == [2, 1]


# --- slots that are yet to come, and runs that died


def test_slot_that_is_yet_to_come_is_not_noted_as_missed_so_that_later_ones_are(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    far = 24 * 365
    with pytest.raises(InvalidRequest, match="yet to come"):
        _run(ports, schedule, far, "one")
    assert _conclude(ports, schedule, far, "one", Failure("InvalidRequest", "the slot is yet to come")) is None
    _advance(ports, schedule.starts_at + GRACE + timedelta(minutes=2))
    [found] = watch_backups(ports, None)
    assert [missed.slot_at for _, missed in found.missed] == [schedule.starts_at]


def test_run_that_died_is_noted_as_failed_before_the_next_slot_takes_its_place(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    _run(ports, schedule, 0, "one")
    _advance(ports, schedule.starts_at + CLAIM_FOR)
    store, noted = ports.catalog.replace_schedule, list[LastRun | None]()

    def noting(record: Schedule) -> Schedule:
        noted.append(record.last_run)
        return store(record)

    monkeypatch.setattr(ports.catalog, "replace_schedule", noting)
    assert _run(ports, schedule, 1, "two").state is SlotState.MADE
    first = noted[0]
    assert first is not None
    assert (first.slot_at, first.status, first.owner) == (schedule.starts_at, RunStatus.FAILED, "one")
    assert [one.owner for one in noted[1:] if one] == ["two", "two"]


# --- the queue


def _queued(ports: Ports, slots: int) -> Schedule:
    """A schedule whose first slot has gone on for hours, so that the next ones wait. It has just ended."""
    schedule = create_schedule(ports, TENANT, replace(HOURLY, overlap=Overlap.QUEUE))
    _advance(ports, schedule.starts_at)
    begun = _run(ports, schedule, 0, "0", budget_s=-1)
    for slot in range(1, slots):
        _advance(ports, schedule.starts_at + slot * HOUR)
        for waiting in range(1, slot + 1):
            assert _run(ports, schedule, waiting, f"{waiting}").state is SlotState.WAITING
    assert begun.snapshot_id is not None
    run_capture(ports, begun.snapshot_id, ports.catalog.snapshot(TENANT, begun.snapshot_id).capture_id)
    assert _run(ports, schedule, 0, "0").state is SlotState.MADE
    _conclude(ports, schedule, 0, "0")
    return schedule


@pytest.mark.parametrize("asks_first", [1, 2, 3])
def test_slots_that_wait_are_made_in_their_order_whoever_asks_first(ports: Ports, asks_first: int) -> None:
    schedule = _queued(ports, 4)
    left = [1, 2, 3]
    for slot in (asks_first, 3, 2, 1, 3, 2, 3):
        ports.clock.sleep(20)
        run = _run(ports, schedule, slot, f"{slot}")
        if slot not in left:
            assert run.state is SlotState.OVER
        elif slot == left[0]:
            assert run.state is SlotState.MADE
            _conclude(ports, schedule, left.pop(0), f"{slot}")
        else:
            assert (run.state, "comes first" in run.reason) == (SlotState.WAITING, True)
    assert left == []
    assert len(_made(ports, schedule)) == 4
    assert ports.catalog.schedule(TENANT, schedule.id).waiting == ()


def test_slot_whose_execution_died_in_the_queue_lets_the_next_one_pass(ports: Ports) -> None:
    schedule = _queued(ports, 3)
    assert _run(ports, schedule, 2, "2").state is SlotState.WAITING
    ports.clock.sleep(CLAIM_FOR.total_seconds())
    assert _run(ports, schedule, 2, "2").state is SlotState.MADE


def test_queue_has_an_end_and_still_begins_with_the_earliest(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, overlap=Overlap.QUEUE))
    _advance(ports, schedule.starts_at)
    _run(ports, schedule, 0, "0", budget_s=-1)
    _advance(ports, schedule.starts_at + 30 * HOUR)
    for slot in range(30, 0, -1):
        assert _run(ports, schedule, slot, f"{slot}").state is SlotState.WAITING
    queue = ports.catalog.schedule(TENANT, schedule.id).waiting
    assert [one.slot_at for one in queue] == [schedule.starts_at + slot * HOUR for slot in range(1, 25)]
