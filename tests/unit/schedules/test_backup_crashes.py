"""Executions of backups die, or AWS fails them, at any of their calls: each slot still has one snapshot at most, which
is whole, the policy is applied to good ones only, and nothing holds up the next slot.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.driving import TENANT, put, retried, run_capture
from tests.fakes import ManualClock, MemoryWorkflows
from tests.unit.engine.disturbed import KEYS, Counter, Death, drive_on, numbered, world
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import Overlap, RunStatus, Schedule
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus
from tidemark.errors import AwsFailure, Throttled, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotState, conclude_slot, run_slot
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.stack_schedule import StackBackups, kept_in_step
from tidemark.usecases.watch_backups import GRACE, watch_backups

HOUR = timedelta(hours=1)
WANTED = ScheduleWanted("rate(1 hour)", retention=RetentionPolicy(last=1), overlap=Overlap.QUEUE)
DAILY = StackBackups("cron(40 4 * * ? *)", "UTC", RetentionPolicy(daily=7))


def _advance(ports: Ports, by: timedelta) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(by.total_seconds())


def _prepared() -> tuple[Ports, Schedule]:
    """A schedule that has run once, just when it is due again."""
    ports = world()
    schedule = create_schedule(ports, TENANT, WANTED)
    _execute(ports, ports, schedule, 0, "first")
    _advance(ports, HOUR)
    return ports, schedule


def _execute(ports: Ports, beside: Ports, schedule: Schedule, slot: int, owner: str, *, tries: int = 1) -> SlotState:
    """An execution for a slot as the state machine drives it: on `ports`, while captures run on `beside`."""
    slot_at, begun_at = schedule.starts_at + slot * HOUR, beside.clock.now()

    def ask() -> SlotState:
        return run_slot(ports, TENANT, schedule.id, slot_at, owner=owner, begun_at=begun_at, budget_s=60).state

    failure: Failure | None = None
    try:
        while (state := retried(tries, ask)) in {SlotState.CREATING, SlotState.WAITING}:
            _run_what_was_started(beside)
            _advance(beside, timedelta(seconds=30))
    except TidemarkError as error:
        state, failure = SlotState.MADE, Failure(error.code, error.message)
    if state is SlotState.MADE:
        retried(tries, lambda: conclude_slot(ports, TENANT, schedule.id, slot_at, owner=owner, failure=failure))
    return state


def _run_what_was_started(ports: Ports) -> None:
    assert isinstance(ports.workflows, MemoryWorkflows)
    for one in list(ports.workflows.started):
        if ports.workflows.running(TENANT, one.subject, attempt=one.attempt):
            run_capture(ports, one.subject, one.capture_id or "", attempt=one.attempt)
            ports.workflows.end(TENANT, one.subject, attempt=one.attempt)


def _made(ports: Ports, schedule: Schedule, slot: int) -> list[Snapshot]:
    found = ports.catalog.snapshots(TENANT)
    return [one for one in found if one.slot_at == schedule.starts_at + slot * HOUR]


def _nothing_is_held(ports: Ports) -> None:
    # As after any capture that died, whoever comes next finds out and lets go of the lease.
    drive_on(ports)
    state = ports.table.load(TENANT).state
    assert state is not None
    assert (state.lease, state.capturing) == (None, None)
    put(ports, {KEYS[0]: 77})


def _calls() -> int:
    ports, schedule = _prepared()
    counter = Counter()
    _execute(numbered(ports, counter), ports, schedule, 1, "second")
    return counter.calls


CALLS = _calls()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_slot_has_one_snapshot_when_a_step_dies_at_any_call_and_is_repeated(after: bool) -> None:
    assert CALLS > 20
    for fatal in range(1, CALLS + 1):
        ports, schedule = _prepared()
        with pytest.raises(Death):
            _execute(numbered(ports, Counter(fatal, after=after)), ports, schedule, 1, "second")
        _execute(ports, ports, schedule, 1, "second")
        [snapshot] = _made(ports, schedule, 1)
        assert snapshot.status is SnapshotStatus.COMPLETED, fatal
        last = ports.catalog.schedule(TENANT, schedule.id).last_run
        assert last is not None
        assert (last.status, last.snapshot_id) == (RunStatus.COMPLETED, snapshot.id), fatal
        assert [one.forgotten for one in _made(ports, schedule, 0)] == [True], fatal
        assert _execute(ports, ports, schedule, 1, "twice") is SlotState.OVER
        _nothing_is_held(ports)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_next_slot_is_made_when_an_execution_died_at_any_call_and_wakes_up_later(after: bool) -> None:
    for fatal in range(1, CALLS + 1):
        ports, schedule = _prepared()
        with pytest.raises(Death):
            _execute(numbered(ports, Counter(fatal, after=after)), ports, schedule, 1, "second")
        _advance(ports, HOUR + GRACE)
        list(watch_backups(ports, None))
        _execute(ports, ports, schedule, 2, "third")
        [snapshot] = _made(ports, schedule, 2)
        assert snapshot.status is SnapshotStatus.COMPLETED, fatal
        before = ports.catalog.schedule(TENANT, schedule.id)
        assert _execute(ports, ports, schedule, 1, "second") is SlotState.OVER, fatal
        assert ports.catalog.schedule(TENANT, schedule.id) == before
        assert len(_made(ports, schedule, 1)) <= 1, fatal
        _nothing_is_held(ports)


def _failing(calls: int) -> Iterator[tuple[int, Counter]]:
    for first in range(1, calls + 1):
        yield first, Counter(first, error=lambda: Throttled("AWS is throttling requests"))
        yield first, Counter(first, after=True, error=lambda: AwsFailure("no answer from AWS"))


def test_slot_is_backed_up_when_aws_fails_once_at_any_call() -> None:
    for first, counter in _failing(CALLS):
        ports, schedule = _prepared()
        _execute(numbered(ports, counter), ports, schedule, 1, "second", tries=3)
        _run_what_was_started(ports)
        [snapshot] = _made(ports, schedule, 1)
        last = ports.catalog.schedule(TENANT, schedule.id).last_run
        assert last is not None
        assert (snapshot.status, last.status) == (SnapshotStatus.COMPLETED, RunStatus.COMPLETED), first
        assert [one.forgotten for one in _made(ports, schedule, 0)] == [True], first


def test_skip_is_noted_once_though_its_step_dies_at_any_call() -> None:
    for after in (False, True):
        for fatal in range(1, 5):
            ports, schedule = _prepared()
            stored = ports.catalog.schedule(TENANT, schedule.id)
            schedule = ports.catalog.replace_schedule(replace(stored, overlap=Overlap.SKIP))
            now = ports.clock.now()
            second = schedule.starts_at + HOUR
            run_slot(ports, TENANT, schedule.id, second, owner="second", begun_at=now, budget_s=-1)
            try:
                _execute(numbered(ports, Counter(fatal, after=after)), ports, schedule, 2, "third")
            except Death:
                _execute(ports, ports, schedule, 2, "third")
            missed = ports.catalog.schedule(TENANT, schedule.id).last_missed
            assert missed is not None
            assert (missed.slot_at, missed.status) == (second + HOUR, RunStatus.SKIPPED)


def test_record_of_the_stack_is_made_once_whoever_dies_while_making_it() -> None:
    for after in (False, True):
        for fatal in (1, 2):
            ports = world()
            with pytest.raises(Death):
                kept_in_step(numbered(ports, Counter(fatal, after=after)), TENANT, DAILY)
            made = kept_in_step(ports, TENANT, DAILY)
            assert made is not None
            assert list(ports.catalog.found_schedules(TENANT)) == [made]
