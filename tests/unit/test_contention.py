"""Meeting a lease whose holder has recorded that it is over, but has not given the lease back yet."""

from dataclasses import replace

import pytest

from tests.driving import TENANT, key, put, run_restore
from tests.fakes import memory_ports
from tests.fakes.system import ManualClock
from tidemark.domain.live import FencingToken, Lease, LeaseKind
from tidemark.engine.live import leases
from tidemark.errors import CaptureInProgress, RestoreInProgress
from tidemark.ports import Ports
from tidemark.usecases.contention import SETTLING_S
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
