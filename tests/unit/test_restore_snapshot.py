"""Asking for a restore whose state machine can't be started, or was started although nobody heard of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.driving import TENANT, content, key, live, put, run_restore
from tests.fakes import MemoryWorkflows, memory_ports
from tidemark.domain.live import LeaseKind
from tidemark.domain.restore import Restore, RestoreStatus
from tidemark.domain.snapshot import restore_id
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import AwsFailure, LeaseLost, RestoreInProgress
from tidemark.ports import Ports
from tidemark.usecases import restore_phases
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot


class _Unheard(MemoryWorkflows):
    """Loses the answer to a start, unless it `answers`, after it was asked so often. What it started runs for a while,
    `meanwhile`, before anybody asks for it.
    """

    def __init__(self, *, starts: bool = True, silent: bool = False, answers: bool = False) -> None:
        super().__init__()
        self._answers = answers
        self.asks = 1
        self._starts = starts
        self._silent = silent
        self.meanwhile: Callable[[str], object] = lambda _restore_id: None

    def start_restore(self, tenant: Tenant, restore_id: str, owner: str, *, attempt: int) -> bool:
        runs = False
        for _ in range(self.asks if self._starts else 0):
            runs = super().start_restore(tenant, restore_id, owner, attempt=attempt)
            self.meanwhile(restore_id)
        if self._answers:
            return runs
        raise AwsFailure("no answer from AWS")

    def running(self, tenant: Tenant, subject: str, *, attempt: int) -> bool | None:
        if self._silent:
            raise AwsFailure("no answer from AWS")
        return super().running(tenant, subject, attempt=attempt)


def _world(workflows: _Unheard) -> tuple[Ports, str]:
    """A snapshot, and live data that differ from it."""
    ports = replace(memory_ports(), workflows=workflows)
    put(ports, {key(1): 1, key(2): 2})
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(1): 3})
    return ports, snapshot.id


def _only(ports: Ports) -> Restore:
    [restore] = ports.catalog.restores(TENANT)
    return restore


def _is_free(ports: Ports, snapshot_id: str) -> bool:
    state = ports.table.load(TENANT).state
    assert state is not None
    return state.lease is None and not ports.catalog.snapshot(TENANT, snapshot_id).used_by


def test_restore_fails_and_holds_nothing_when_it_was_never_started() -> None:
    ports, snapshot_id = _world(_Unheard(starts=False))
    with pytest.raises(AwsFailure):
        restore_snapshot(ports, TENANT, snapshot_id)
    assert _only(ports).status is RestoreStatus.FAILED
    assert _is_free(ports, snapshot_id)


@pytest.mark.parametrize("ended", [True, False], ids=["its execution is over", "its execution is still there"])
def test_restore_runs_when_a_request_of_the_same_second_had_its_id_and_died(*, ended: bool) -> None:
    workflows = _Unheard(answers=True)
    ports, snapshot_id = _world(workflows)
    identity = restore_id(ports.clock.now())
    leases.acquire(ports, TENANT, kind=LeaseKind.RESTORE, owner="dead", subject=identity, attempt=1)
    with pytest.raises(RestoreInProgress, match=identity):
        create_snapshot(ports, TENANT)
    # Its execution finds no restore, and gives the lease back.
    assert run_restore(ports, identity) is None
    if ended:
        workflows.end(TENANT, identity)
    accepted = restore_snapshot(ports, TENANT, snapshot_id)
    assert accepted.id == identity
    assert [(one.subject, one.attempt, one.owner) for one in workflows.started[-2:]] == [
        (identity, 1, "dead"),
        (identity, 2, accepted.owner),
    ]
    assert run_restore(ports, identity, attempt=2) is None
    assert _only(ports).status is RestoreStatus.COMPLETED
    assert live(ports) == content(ports, snapshot_id)


def test_restore_is_not_started_again_when_its_execution_came_to_its_end_before_the_start_was_answered() -> None:
    workflows = _Unheard(answers=True)
    ports, snapshot_id = _world(workflows)

    def run_to_the_end(identity: str) -> None:
        run_restore(ports, identity)
        workflows.end(TENANT, identity)

    # The first answer was lost on its way, and the client of AWS asks again by itself.
    workflows.meanwhile, workflows.asks = run_to_the_end, 2
    accepted = restore_snapshot(ports, TENANT, snapshot_id)
    assert [one.attempt for one in workflows.started if one.subject == accepted.id] == [1]
    assert _only(ports).status is RestoreStatus.COMPLETED


def test_restore_is_withdrawn_when_only_a_dead_request_of_its_id_was_ever_started() -> None:
    workflows = _Unheard(starts=False)
    ports, snapshot_id = _world(workflows)
    identity = restore_id(ports.clock.now())
    MemoryWorkflows.start_restore(workflows, TENANT, identity, "dead", attempt=1)
    workflows.end(TENANT, identity)
    with pytest.raises(AwsFailure):
        restore_snapshot(ports, TENANT, snapshot_id)
    assert _only(ports).status is RestoreStatus.FAILED
    assert _is_free(ports, snapshot_id)


def test_restore_is_accepted_when_it_was_started_unheard() -> None:
    ports, snapshot_id = _world(_Unheard())
    accepted = restore_snapshot(ports, TENANT, snapshot_id)
    assert accepted.status is RestoreStatus.RESTORING
    assert run_restore(ports, accepted.id) is None
    assert live(ports) == content(ports, snapshot_id)


def test_restore_is_accepted_as_it_ended_when_it_ran_unheard_to_its_end() -> None:
    workflows = _Unheard(silent=True)
    ports, snapshot_id = _world(workflows)
    workflows.meanwhile = lambda restore_id: run_restore(ports, restore_id)
    accepted = restore_snapshot(ports, TENANT, snapshot_id)
    assert (accepted.status, _only(ports).status) == (RestoreStatus.COMPLETED, RestoreStatus.COMPLETED)
    assert live(ports) == content(ports, snapshot_id)


def test_restore_changes_nothing_when_it_was_withdrawn_though_it_runs_unheard() -> None:
    workflows = _Unheard(silent=True)
    ports, snapshot_id = _world(workflows)
    before = live(ports)
    planned: list[restore_phases.Planned] = []
    workflows.meanwhile = lambda restore_id: planned.append(restore_phases.plan(ports, TENANT, restore_id, attempt=1))
    with pytest.raises(AwsFailure):
        restore_snapshot(ports, TENANT, snapshot_id)
    withdrawn = _only(ports)
    with pytest.raises(LeaseLost):
        restore_phases.cutover(ports, TENANT, withdrawn.id, token=planned[0].token)
    assert withdrawn.status is RestoreStatus.FAILED
    assert live(ports) == before
    assert _is_free(ports, snapshot_id)


def test_restore_is_accepted_and_goes_on_when_it_flipped_unheard() -> None:
    workflows = _Unheard(silent=True)
    ports, snapshot_id = _world(workflows)
    before = live(ports)

    class Stopped(Exception):
        pass

    def stop(phase: str) -> None:
        if phase == "Preserve":
            raise Stopped

    def flip(restore_id: str) -> None:
        with pytest.raises(Stopped):
            run_restore(ports, restore_id, between=stop)

    workflows.meanwhile = flip
    accepted = restore_snapshot(ports, TENANT, snapshot_id)
    assert accepted.status is RestoreStatus.RESTORING
    # The token of its execution is void, which brings it to Rollback, and from there to Cutover again.
    with pytest.raises(LeaseLost):
        restore_phases.retire(ports, TENANT, accepted.id, token=accepted.token, budget_s=60)
    assert run_restore(ports, accepted.id) is None
    done = _only(ports)
    assert done.status is RestoreStatus.COMPLETED
    assert live(ports) == content(ports, snapshot_id)
    assert content(ports, done.safety_snapshot_id or "") == before
