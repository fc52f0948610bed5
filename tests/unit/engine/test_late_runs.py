"""Runs that come late, side by side, or for a lease that has passed on, each at the very moment when it matters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, content, delete, doc, live, put, run_capture, run_restore, work
from tests.unit.engine.disturbed import KEYS, Death, collect, prepare_restore, world
from tidemark.domain.live import FencingToken, LeaseKind, TenantState
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, SnapshotStatus, Trigger, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import LeaseLost, WriteConflict
from tidemark.ports import Ports
from tidemark.usecases import capture_phases, restore_phases
from tidemark.usecases.contention import IN_REQUEST
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_phases.lifecycle import use
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot

FAILURE = Failure("Unavailable", "AWS was away")


class Meanwhile:
    """A port; once, before or after a method, something else happens."""

    def __init__(self, port: Any, method: str, happens: Callable[[], object], *, after: bool = False) -> None:
        self._port = port
        self._method = method
        self._happens: Callable[[], object] | None = happens
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name != self._method or self._happens is None:
            return call

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            happens, self._happens = self._happens, None
            assert happens is not None
            if not self._after:
                happens()
            result = call(*args, **kwargs)
            if self._after:
                happens()
            return result

        return interrupted


def state_of(ports: Ports) -> TenantState:
    return leases.current_state(ports.table, TENANT)


def only_restore(ports: Ports) -> Restore:
    (restore,) = ports.catalog.restores(TENANT)
    return restore


def begun(ports: Ports) -> Restore:
    prepare_restore(ports)
    return restore_snapshot(ports, TENANT, list(ports.catalog.snapshots(TENANT))[-1].id)


def test_execution_for_an_id_that_was_not_free_leaves_the_lease_for_the_next_id_alone() -> None:
    ports = world()
    taken = create_snapshot(ports, TENANT)
    leases.acquire(ports, TENANT, kind=LeaseKind.CAPTURE, owner="one", subject=f"{taken.id}-2", attempt=IN_REQUEST)
    before = state_of(ports)
    run_capture(ports, taken.id, "one", attempt=1)
    assert state_of(ports) == before


def test_restore_whose_lease_was_given_back_before_it_was_registered_is_refused_and_over() -> None:
    ports = world()
    snapshot = create_snapshot(ports, TENANT)

    def execution() -> None:
        lease = state_of(ports).lease
        assert lease is not None
        run_restore(ports, lease.subject)

    robbed = replace(ports, catalog=Meanwhile(ports.catalog, "add_restore", execution))
    with pytest.raises(WriteConflict, match="ask for it again"):
        restore_snapshot(robbed, TENANT, snapshot.id)
    assert only_restore(ports).status is RestoreStatus.FAILED
    assert state_of(ports).lease is None
    assert not ports.catalog.snapshot(TENANT, snapshot.id).used_by
    assert restore_snapshot(ports, TENANT, snapshot.id).status is RestoreStatus.RESTORING


def test_lease_of_a_restore_that_died_before_it_found_its_id_taken_is_given_back() -> None:
    ports = world()
    restore = begun(ports)
    run_restore(ports, restore.id)
    leases.acquire(ports, TENANT, kind=LeaseKind.RESTORE, owner="other", subject=restore.id, attempt=1)
    run_restore(ports, restore.id, attempt=2)
    assert state_of(ports).lease is None
    assert only_restore(ports).status is RestoreStatus.COMPLETED


def test_late_rollback_deletes_nothing_of_what_a_later_attempt_has_flipped() -> None:
    ports = world()
    original = live(ports)
    restore = begun(ports)
    restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    late = replace(
        ports,
        table=Meanwhile(ports.table, "replace_state", lambda: run_restore(ports, restore.id, attempt=2), after=True),
    )
    restore_phases.rollback(late, TENANT, restore.id, attempt=1, failure=FAILURE, budget_s=60)
    assert only_restore(ports).status is RestoreStatus.COMPLETED
    assert live(ports) == original


def test_later_attempt_goes_on_with_a_rollback_that_has_begun() -> None:
    ports = world()
    restore = begun(ports)
    wrecked = live(ports)
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    part = work(ports, planned.work_key)[0]
    restore_phases.stage(ports, TENANT, restore.id, token=planned.token, part=part, budget_s=60)
    assert not restore_phases.rollback(ports, TENANT, restore.id, attempt=1, failure=FAILURE, budget_s=0).done
    with pytest.raises(LeaseLost):
        restore_phases.plan(ports, TENANT, restore.id, attempt=2)
    assert run_restore(ports, restore.id, attempt=2) is not None
    assert (only_restore(ports).status, only_restore(ports).phase) == (RestoreStatus.FAILED, Phase.ROLLBACK)
    assert live(ports) == wrecked


@pytest.mark.parametrize("method", ["add_snapshot", "replace_restore"])
def test_cutovers_side_by_side_register_one_safety_snapshot(method: str) -> None:
    ports = world()
    restore = begun(ports)
    token = restore.token

    def one_second_later() -> None:
        ports.clock.sleep(1)
        restore_phases.cutover(ports, TENANT, restore.id, token=token)

    def run(phase: str) -> None:
        if phase == "Cutover":
            beside = replace(ports, catalog=Meanwhile(ports.catalog, method, one_second_later))
            restore_phases.cutover(beside, TENANT, restore.id, token=token)

    assert run_restore(ports, restore.id, between=run) is None
    safeties = [one for one in ports.catalog.snapshots(TENANT) if one.trigger is Trigger.SAFETY]
    assert [one.id for one in safeties] == [only_restore(ports).safety_snapshot_id]
    assert safeties[0].status is SnapshotStatus.COMPLETED


def test_collection_closes_what_was_registered_after_its_lease_was_given_back() -> None:
    ports = world()
    snapshot = create_snapshot(ports, TENANT)
    now = ports.clock.now()
    ports.catalog.add_snapshot(Snapshot(TENANT, snapshot_id(now, 7), now, CaptureId("gone"), FencingToken(1)))
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    leases.release(ports.table, TENANT, restore.token)
    collect(ports)
    assert ports.catalog.snapshot(TENANT, snapshot_id(now, 7)).status is SnapshotStatus.FAILED
    assert only_restore(ports).status is RestoreStatus.FAILED
    collect(ports)
    assert not ports.catalog.snapshot(TENANT, snapshot.id).used_by


def test_collection_takes_off_a_restore_into_another_tenant_that_is_noted_after_it_is_over() -> None:
    ports, other = world(), Tenant("other")
    snapshot = create_snapshot(ports, TENANT)
    restore = restore_snapshot(ports, TENANT, snapshot.id, Wish(target=other))
    collect(ports)
    assert ports.catalog.snapshot(TENANT, snapshot.id).used_by == {f"{restore.id}@other"}
    assert run_restore(ports, restore.id, tenant=other) is None
    use(ports, restore)
    collect(ports)
    assert not ports.catalog.snapshot(TENANT, snapshot.id).used_by


def test_collection_closes_nothing_that_is_driven() -> None:
    ports = world()
    put(ports, {KEYS[0]: 2})
    restore = begun(ports)
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    collect(ports)
    assert only_restore(ports).status is RestoreStatus.RESTORING
    assert ports.catalog.snapshot(TENANT, restore.snapshot_id).used_by == {restore.id}
    assert planned.resume_at is Phase.STAGE
    assert run_restore(ports, restore.id) is None


def test_late_staging_overwrites_nothing_that_was_written_after_cutover() -> None:
    ports = world()
    restore = begun(ports)
    planned = restore_phases.plan(ports, TENANT, restore.id, attempt=1)
    part = work(ports, planned.work_key)[0]

    def successor() -> None:
        assert run_restore(ports, restore.id) is None
        put(ports, dict.fromkeys(KEYS, 99))
        delete(ports, KEYS[0])

    late = replace(ports, table=Meanwhile(ports.table, "insert", successor))
    restore_phases.stage(late, TENANT, restore.id, token=planned.token, part=part, budget_s=60)
    assert live(ports) == {one: doc(one, 99) for one in KEYS[1:]}


def test_late_begin_leaves_the_cut_of_a_completed_snapshot_alone() -> None:
    ports = world()
    create_snapshot(ports, TENANT)
    put(ports, {KEYS[1]: 11})
    snapshot = create_snapshot(ports, TENANT, budget_s=-1)
    begun = capture_phases.begin(ports, TENANT, snapshot.id, snapshot.capture_id, attempt=1)
    cut = ports.catalog.snapshot(TENANT, snapshot.id).cut
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot.id, token=begun.token, shard=shard)

    def late_begin_and_death() -> None:
        put(ports, {KEYS[2]: 22})
        with pytest.raises(LeaseLost):
            capture_phases.cut(ports, TENANT, snapshot.id, begun.token)
        raise Death

    dying = replace(ports, table=Meanwhile(ports.table, "replace_state", late_begin_and_death, after=True))
    with pytest.raises(Death):
        capture_phases.seal(dying, TENANT, snapshot.id, token=begun.token)
    assert capture_phases.seal(ports, TENANT, snapshot.id, token=begun.token).cut == cut
    after = create_snapshot(ports, TENANT)
    assert after.parent_id == snapshot.id
    assert content(ports, after.id) == live(ports)


def test_late_release_leaves_the_lease_of_a_successor_alone() -> None:
    ports = world()
    late = leases.acquire(ports, TENANT, kind=LeaseKind.CAPTURE, owner="one", subject="one", attempt=IN_REQUEST)
    leases.take_over(ports, TENANT, owner="one", subject="one", attempt=1)
    before = state_of(ports)
    leases.release(ports.table, TENANT, leases.token_of(late))
    assert state_of(ports) == before
