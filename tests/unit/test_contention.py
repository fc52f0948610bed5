"""Meeting a lease whose holder has recorded that it is over, but has not given the lease back yet."""

from dataclasses import replace

import pytest

from tests.driving import TENANT, key, put, run_restore
from tests.fakes import MemoryWorkflows, memory_ports
from tests.fakes.system import ManualClock
from tidemark.domain.live import FencingToken, Lease, LeaseKind
from tidemark.engine.live import leases
from tidemark.errors import CaptureInProgress, RestoreInProgress
from tidemark.ports import Ports
from tidemark.usecases.contention import FIRST_EXECUTION, IN_REQUEST, SETTLING_S, next_attempt
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot


class _Calling(ManualClock):
    """Gives a lease back when somebody waits for it."""

    ports: Ports | None = None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.ports is not None:
            state = leases.current_state(self.ports.table, TENANT)
            leases.release(self.ports.table, TENANT, leases.token_of(state))


def _hold(ports: Ports, kind: LeaseKind, owner: str, subject: str) -> None:
    """Let a holder have the lease still."""
    state = leases.current_state(ports.table, TENANT)
    token = FencingToken(state.fence + 1)
    ports.table.replace_state(replace(state, fence=token, lease=Lease(kind, owner, subject, token, attempt=1)))


@pytest.fixture
def clock() -> _Calling:
    return _Calling()


@pytest.fixture
def ports(clock: _Calling) -> Ports:
    ports = replace(memory_ports(), clock=clock)
    put(ports, {key(1): 1})
    return ports


def test_create_waits_when_the_capture_that_holds_the_lease_is_over(ports: Ports, clock: _Calling) -> None:
    first = create_snapshot(ports, TENANT)
    _hold(ports, LeaseKind.CAPTURE, first.capture_id, first.id)
    clock.ports = ports
    assert create_snapshot(ports, TENANT).id != first.id


def test_restore_waits_when_the_restore_that_holds_the_lease_is_over(ports: Ports, clock: _Calling) -> None:
    snapshot = create_snapshot(ports, TENANT)
    first = restore_snapshot(ports, TENANT, snapshot.id, Wish(safety_snapshot=False))
    assert run_restore(ports, first.id) is None
    _hold(ports, LeaseKind.RESTORE, first.owner, first.id)
    clock.ports = ports
    assert restore_snapshot(ports, TENANT, snapshot.id).id != first.id


def test_create_is_refused_when_a_holder_that_is_over_keeps_the_lease(ports: Ports, clock: _Calling) -> None:
    first = create_snapshot(ports, TENANT)
    _hold(ports, LeaseKind.CAPTURE, first.capture_id, first.id)
    with pytest.raises(CaptureInProgress, match=first.id):
        create_snapshot(ports, TENANT)
    assert clock.monotonic_s() >= SETTLING_S


def test_create_is_refused_at_once_when_the_holder_is_not_over(ports: Ports, clock: _Calling) -> None:
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    before_s = clock.monotonic_s()
    with pytest.raises(RestoreInProgress, match=restore.id):
        create_snapshot(ports, TENANT)
    assert clock.monotonic_s() == before_s


def _attempts(ports: Ports, subject: str) -> list[tuple[int, int]]:
    """The number and the delay of each execution that was started for a snapshot or restore."""
    assert isinstance(ports.workflows, MemoryWorkflows)
    return [(one.attempt, one.delay_s) for one in ports.workflows.started if one.subject == subject]


def _end(ports: Ports, subject: str, attempt: int) -> None:
    assert isinstance(ports.workflows, MemoryWorkflows)
    ports.workflows.end(TENANT, subject, attempt=attempt)


def test_next_attempt_is_started_each_time_a_restore_is_met_whose_execution_is_over(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    for attempt in (1, 2):
        _end(ports, restore.id, attempt)
        for _ in range(2):
            with pytest.raises(RestoreInProgress, match=restore.id):
                create_snapshot(ports, TENANT)
    assert _attempts(ports, restore.id) == [(1, 0), (2, 0), (3, 0)]


def test_capture_of_a_request_is_met_after_the_request_and_then_by_attempts(ports: Ports) -> None:
    subject = "snapshot_2026-01-15T09-00-00Z"
    leases.acquire(ports, TENANT, kind=LeaseKind.CAPTURE, owner="c1", subject=subject, attempt=IN_REQUEST)
    for attempt in (None, 1, 2):
        if attempt is not None:
            _end(ports, subject, attempt)
        for _ in range(2):
            with pytest.raises(CaptureInProgress, match=subject):
                create_snapshot(ports, TENANT, inline_limit_s=30)
    # The request may live for so long; an execution that is over needs no waiting for.
    assert _attempts(ports, subject) == [(1, 30), (2, 0), (3, 0)]


@pytest.mark.parametrize(
    ("told", "first", "following"),
    [
        ([None], FIRST_EXECUTION, FIRST_EXECUTION),
        ([False, False, None], FIRST_EXECUTION, 3),
        ([False, False, None], 2, 3),
        ([True], FIRST_EXECUTION, None),
        ([False, True, None], FIRST_EXECUTION, None),
    ],
)
def test_next_attempt_is_the_first_that_was_never_started_unless_one_runs(
    told: list[bool | None], first: int, following: int | None
) -> None:
    assert next_attempt(lambda attempt: told[attempt - 1], first=first) == following
