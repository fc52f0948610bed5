"""Slots that are not run: what is noted of them, whom that keeps from being run later, and what the watch finds."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.driving import TENANT, key, put
from tests.fakes import ManualClock, memory_ports
from tidemark.domain.schedule import DamagedSchedule, Missed, Overlap, RunStatus, Schedule, ScheduleStatus
from tidemark.domain.snapshot import Failure, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import BackupOverdue, InvalidRequest, Throttled
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import GIVEN_UP_AFTER, SlotRun, SlotState, conclude_slot, run_slot
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.slot_notes import note_missed
from tidemark.usecases.update_schedule import ScheduleChange, update_schedule
from tidemark.usecases.watch_backups import GRACE, Watched, watch_backups

HOURLY = ScheduleWanted("rate(1 hour)")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def ports() -> Ports:
    ports = memory_ports()
    put(ports, {key(1): 1})
    return ports


def _advance(ports: Ports, until: datetime) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(max(0.0, (until - ports.clock.now()).total_seconds()))


def _run(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str = "one", *, budget_s: float = 60) -> SlotRun:
    now = ports.clock.now()
    return run_slot(ports, TENANT, schedule.id, slot_at, owner=owner, begun_at=now, budget_s=budget_s)


def _backup(ports: Ports, schedule: Schedule, slot_at: datetime, owner: str = "one") -> None:
    _advance(ports, slot_at)
    assert _run(ports, schedule, slot_at, owner).state is SlotState.MADE
    conclude_slot(ports, TENANT, schedule.id, slot_at, owner=owner)


def _record(ports: Ports, schedule: Schedule) -> Schedule:
    return ports.catalog.schedule(TENANT, schedule.id)


def _watch(ports: Ports) -> Watched:
    [found] = list(watch_backups(ports, None))
    assert found.failure is None
    return found


def _missed_slots(found: Watched) -> list[datetime]:
    return [missed.slot_at for _, missed in found.missed]


# --- skipped


@pytest.fixture
def overlapping(ports: Ports) -> Schedule:
    """A schedule whose first slot goes on, and whose second one was skipped therefore."""
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    assert _run(ports, schedule, schedule.starts_at, budget_s=-1).state is SlotState.CREATING
    _advance(ports, schedule.starts_at + HOUR)
    assert _run(ports, schedule, schedule.starts_at + HOUR, "two").state is SlotState.SKIPPED
    return schedule


def test_skipped_slot_is_noted_with_its_reason(ports: Ports, overlapping: Schedule) -> None:
    missed = _record(ports, overlapping).last_missed
    assert missed is not None
    assert (missed.slot_at, missed.status) == (overlapping.starts_at + HOUR, RunStatus.SKIPPED)
    assert "overlap" in missed.reason
    assert _record(ports, overlapping).latest() == missed


def test_skipped_slot_stays_skipped_when_it_is_delivered_again(ports: Ports, overlapping: Schedule) -> None:
    conclude_slot(ports, TENANT, overlapping.id, overlapping.starts_at, owner="one", failure=Failure("Throttled", "x"))
    again = _run(ports, overlapping, overlapping.starts_at + HOUR, "three")
    assert (again.state, "skipped" in again.reason) == (SlotState.OVER, True)
    assert len(list(ports.catalog.snapshots(TENANT))) == 1


# --- missed


def test_slot_that_nobody_delivered_is_noted_an_hour_after_it_was_due(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, expression="rate(1 day)", window_minutes=30))
    due_by = schedule.starts_at + timedelta(minutes=31)
    _advance(ports, due_by + GRACE - MINUTE)
    assert _watch(ports).missed == ()
    _advance(ports, due_by + GRACE)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at]
    noted = _record(ports, schedule).latest()
    assert isinstance(noted, Missed)
    assert (noted.status, noted.noted_at) == (RunStatus.MISSED, due_by + GRACE)
    assert _watch(ports).missed == (), "it is told once"


def test_latest_of_several_missed_slots_is_noted_at_each_look(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _backup(ports, schedule, schedule.starts_at)
    _advance(ports, schedule.starts_at + 5 * HOUR + 2 * MINUTE)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at + 4 * HOUR]
    _advance(ports, schedule.starts_at + 6 * HOUR + 2 * MINUTE)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at + 5 * HOUR]


def test_missed_slot_is_run_when_it_is_delivered_after_all(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at + HOUR + 2 * MINUTE)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at]
    _backup(ports, schedule, schedule.starts_at)
    latest = _record(ports, schedule).latest()
    assert latest is not None
    assert (latest.slot_at, latest.status) == (schedule.starts_at, RunStatus.COMPLETED)


def test_missed_slot_that_a_later_one_overtook_is_not_run(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at + HOUR + 2 * MINUTE)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at]
    _backup(ports, schedule, schedule.starts_at + HOUR)
    assert _run(ports, schedule, schedule.starts_at, "late").state is SlotState.OVER


def test_slot_that_was_run_in_the_meantime_is_not_missed(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _backup(ports, schedule, schedule.starts_at)
    late = Missed(schedule.starts_at, RunStatus.MISSED, "nobody", ports.clock.now())
    assert note_missed(ports, schedule, late) is None
    assert _record(ports, schedule).last_missed is None


def test_nothing_is_missed_while_the_schedule_is_paused_or_was_at_the_time(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(paused=True))
    _advance(ports, schedule.starts_at + 5 * HOUR)
    assert _watch(ports) == Watched(TENANT)
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(paused=False))
    assert _watch(ports).missed == ()
    _advance(ports, schedule.starts_at + 7 * HOUR + 2 * MINUTE)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at + 6 * HOUR]


def test_slots_from_before_a_change_of_the_expression_are_not_missed(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, expression="cron(0 9 * * ? *)"))
    _advance(ports, schedule.starts_at + 4 * HOUR)
    update_schedule(ports, TENANT, schedule.id, ScheduleChange(expression="cron(0 12 * * ? *)"))
    _advance(ports, schedule.starts_at + 8 * HOUR)
    assert _watch(ports).missed == ()


def test_slot_that_waits_in_the_queue_is_not_missed(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, overlap=Overlap.QUEUE))
    _advance(ports, schedule.starts_at)
    assert _run(ports, schedule, schedule.starts_at, budget_s=-1).state is SlotState.CREATING
    _advance(ports, schedule.starts_at + 3 * HOUR)
    assert _run(ports, schedule, schedule.starts_at + HOUR, "two").state is SlotState.WAITING
    assert _watch(ports).missed == ()
    conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one", failure=Failure("Throttled", "x"))
    assert _watch(ports).missed == (), "it had to wait until now"
    _advance(ports, schedule.starts_at + 4 * HOUR)
    assert _missed_slots(_watch(ports)) == [schedule.starts_at + 2 * HOUR]


def test_schedule_that_will_never_be_due_again_is_not_watched(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, expression="at(2026-01-15T12:00:00)"))
    _backup(ports, schedule, datetime(2026, 1, 15, 12, tzinfo=UTC))
    _advance(ports, datetime(2026, 1, 20, tzinfo=UTC))
    assert _watch(ports) == Watched(TENANT)


def test_slots_of_a_schedule_that_was_left_half_set_are_missed_and_not_those_of_one_that_is_removed(
    ports: Ports,
) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    setting = ports.catalog.replace_schedule(replace(schedule, status=ScheduleStatus.SETTING))
    _advance(ports, schedule.starts_at + HOUR + 2 * MINUTE)
    found = _watch(ports)
    assert (_missed_slots(found), found.age_s is None) == ([schedule.starts_at], False)
    ports.catalog.replace_schedule(replace(_record(ports, setting), status=ScheduleStatus.REMOVING))
    _advance(ports, schedule.starts_at + 5 * HOUR)
    assert _watch(ports) == Watched(TENANT)


@given(st.lists(st.integers(0, 11), max_size=8), st.integers(0, 11), st.integers(0, 180))
def test_watch_names_a_slot_only_that_is_long_due_and_later_than_all_that_was_run(
    run: list[int], looked: int, minutes: int
) -> None:
    ports = memory_ports()
    put(ports, {key(1): 1})
    schedule = create_schedule(ports, TENANT, HOURLY)
    for number, slot in enumerate(sorted(set(run))):
        _backup(ports, schedule, schedule.starts_at + slot * HOUR, str(number))
    _advance(ports, schedule.starts_at + looked * HOUR + minutes * MINUTE)
    now, last = ports.clock.now(), _record(ports, schedule).last_run
    [found] = watch_backups(ports, None)
    due = [slot for slot in range(40) if schedule.due_by(schedule.starts_at + slot * HOUR) + GRACE <= now]
    begun = -1 if last is None else (last.slot_at - schedule.starts_at) // HOUR
    quiet = last is None or last.seen_at is None or now - last.seen_at >= GRACE
    expected = [schedule.starts_at + due[-1] * HOUR] if due and due[-1] > begun and quiet else []
    assert _missed_slots(found) == expected


# --- runs that die or are given up


def test_run_whose_execution_died_is_noted_as_failed(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    _run(ports, schedule, schedule.starts_at)
    _advance(ports, schedule.starts_at + GRACE - MINUTE)
    assert _watch(ports).problems == ()
    _advance(ports, schedule.starts_at + GRACE)
    [problem] = _watch(ports).problems
    assert (schedule.id in problem, "one" in problem) == (True, True)
    last = _record(ports, schedule).last_run
    assert last is not None
    assert last.status is RunStatus.FAILED
    assert _run(ports, schedule, schedule.starts_at).state is SlotState.OVER
    assert conclude_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one") == last


def test_run_that_captures_for_hours_is_not_taken_for_dead(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    _advance(ports, schedule.starts_at)
    _run(ports, schedule, schedule.starts_at, budget_s=-1)
    _advance(ports, schedule.starts_at + 5 * HOUR)
    assert _watch(ports).problems == ()
    last = _record(ports, schedule).last_run
    assert last is not None
    assert last.status is RunStatus.RUNNING


def test_execution_asks_seldom_when_it_has_waited_long_and_gives_up_in_the_end(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    other = create_snapshot(ports, TENANT, budget_s=-1)
    begun_at, waits = ports.clock.now(), list[int]()

    def ask() -> SlotRun:
        return run_slot(ports, TENANT, schedule.id, schedule.starts_at, owner="one", begun_at=begun_at)

    while ports.clock.now() - begun_at < GIVEN_UP_AFTER:
        run = ask()
        assert run.state is SlotState.WAITING
        waits.append(run.wait_s)
        ports.clock.sleep(run.wait_s)
    with pytest.raises(BackupOverdue, match=other.id):
        ask()
    assert (waits[0], max(waits), waits == sorted(waits)) == (5, 60, True)
    # An execution may have 25,000 events, and asking once takes about a dozen.
    assert len(waits) < 1500


def test_slot_that_was_given_up_before_it_was_begun_is_missed(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, replace(HOURLY, overlap=Overlap.QUEUE))
    _advance(ports, schedule.starts_at)
    _run(ports, schedule, schedule.starts_at, budget_s=-1)
    failure = Failure("BackupOverdue", "the slot was given up")
    ended = conclude_slot(ports, TENANT, schedule.id, schedule.starts_at + HOUR, owner="two", failure=failure)
    assert isinstance(ended, Missed)
    assert (ended.status, ended.reason) == (RunStatus.MISSED, failure.message)
    assert _record(ports, schedule).last_missed == ended


def test_slot_that_is_far_in_the_future_is_refused(ports: Ports) -> None:
    schedule = create_schedule(ports, TENANT, HOURLY)
    with pytest.raises(InvalidRequest, match="yet to come"):
        _run(ports, schedule, schedule.starts_at + timedelta(days=365))
    assert _record(ports, schedule).last_run is None


# --- ages, and what can't be looked at


def test_age_is_that_of_the_newest_good_snapshot_of_a_tenant_with_schedules(ports: Ports) -> None:
    assert _watch_all(ports) == {}
    snapshot = create_snapshot(ports, TENANT, budget_s=60)
    assert _watch_all(ports) == {TENANT: None}
    _advance(ports, ports.clock.now() + 3 * HOUR)
    create_schedule(ports, TENANT, HOURLY)
    assert _watch_all(ports) == {TENANT: 3 * 3600}
    failed = create_snapshot(ports, TENANT, budget_s=60)
    ports.catalog.replace_snapshot(replace(failed, status=SnapshotStatus.FAILED))
    assert _watch_all(ports) == {TENANT: 3 * 3600}
    assert snapshot.id != failed.id


@pytest.mark.parametrize("hours", [0, 2, 3, 48, 49, 1000])
def test_age_is_told_however_old_the_snapshot_is(ports: Ports, hours: int) -> None:
    create_snapshot(ports, TENANT, budget_s=60)
    _advance(ports, ports.clock.now() + hours * HOUR)
    create_schedule(ports, TENANT, HOURLY)
    assert _watch_all(ports) == {TENANT: hours * 3600}


def test_tenant_without_a_snapshot_is_as_old_as_its_oldest_schedule(ports: Ports) -> None:
    create_schedule(ports, TENANT, HOURLY)
    _advance(ports, ports.clock.now() + 2 * HOUR)
    create_schedule(ports, TENANT, HOURLY)
    assert _watch_all(ports) == {TENANT: 2 * 3600}


def test_tenant_that_can_not_be_looked_at_keeps_no_other_from_it(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("acme", "harbour"):
        create_schedule(ports, Tenant(name), HOURLY)
    read = ports.catalog.found_schedules

    def failing(tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
        if tenant == "acme":
            raise Throttled("slow down")
        return read(tenant)

    monkeypatch.setattr(ports.catalog, "found_schedules", failing)
    acme, harbour = watch_backups(ports, None)
    assert isinstance(acme.failure, Throttled)
    assert (harbour.failure, harbour.age_s) == (None, 0.0)


def test_damaged_schedule_and_one_of_an_unknown_timezone_are_told_and_the_others_looked_at(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = create_schedule(ports, TENANT, HOURLY)
    damaged = DamagedSchedule(good.id, Failure("CatalogCorrupt", "the record is damaged"))
    lost = replace(good, timezone="Europe/Atlantis")
    monkeypatch.setattr(ports.catalog, "found_schedules", lambda _: iter([damaged, lost, good]))
    _advance(ports, good.starts_at + HOUR + 2 * MINUTE)
    found = _watch(ports)
    assert found.damage == ("the record is damaged",)
    assert "Atlantis" in found.problems[0]
    assert _missed_slots(found) == [good.starts_at]


def _watch_all(ports: Ports) -> dict[Tenant, float | None]:
    return {found.tenant: found.age_s for found in watch_backups(ports, None)}
