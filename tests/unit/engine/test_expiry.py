"""Snapshots whose time is over come into the recycle bin, unless something needs them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.driving import TENANT, content, key, live, put, run_restore
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tests.unit.engine.disturbed import Counter, Death, calls_of, numbered
from tests.unit.engine.test_collect import During
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.errors import SnapshotNotCompleted
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot
from tidemark.usecases.update_snapshot import SnapshotChange, update_snapshot

KEYS = [key(number) for number in range(12)]
HOUR = timedelta(hours=1)


@pytest.fixture
def ports() -> Ports:
    return world()


def world() -> Ports:
    made = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(made, dict.fromkeys(KEYS, 1))
    return made


def pass_time(ports: Ports, time: timedelta) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(time.total_seconds())


def snapshot(ports: Ports, lifetime: timedelta | None = None, value: int = 2) -> Snapshot:
    put(ports, {KEYS[value % len(KEYS)]: value})
    return create_snapshot(ports, TENANT, lifetime=lifetime)


def now_is(ports: Ports, wanted: Snapshot) -> Snapshot:
    return ports.catalog.snapshot(TENANT, wanted.id)


def test_expired_snapshot_comes_into_the_recycle_bin_and_is_purged_when_its_time_there_is_over(ports: Ports) -> None:
    expiring = snapshot(ports, HOUR)
    wanted = content(ports, expiring.id)
    kept = snapshot(ports, value=3)
    report = collect_garbage(ports, TENANT)
    assert (report.recycled, report.expired, report.purged) == (0, 0, 0)
    pass_time(ports, HOUR)
    assert collect_garbage(ports, TENANT, recycle_bin_days=3).recycled == 1
    found = now_is(ports, expiring)
    now = ports.clock.now()
    assert (found.status, found.deleted_at) == (SnapshotStatus.DELETED, now)
    assert found.recycled_until == now + timedelta(days=3)
    assert content(ports, expiring.id) == wanted
    assert collect_garbage(ports, TENANT, recycle_bin_days=3).recycled == 0
    pass_time(ports, timedelta(days=3))
    report = collect_garbage(ports, TENANT)
    assert (report.recycled, report.expired, report.purged) == (0, 1, 1)
    assert [one.id for one in ports.catalog.snapshots(TENANT)] == [kept.id]


def test_nothing_expires_a_moment_before_its_time(ports: Ports) -> None:
    expiring = snapshot(ports, HOUR)
    snapshot(ports, value=3)
    pass_time(ports, HOUR - timedelta(seconds=1))
    assert collect_garbage(ports, TENANT).recycled == 0
    assert now_is(ports, expiring).status is SnapshotStatus.COMPLETED


def test_failed_snapshot_expires_and_one_in_creation_does_not(ports: Ports) -> None:
    snapshot(ports)
    failed = snapshot(ports, HOUR, value=3)
    snapshot(ports, value=4)
    ports.catalog.replace_snapshot(replace(now_is(ports, failed), status=SnapshotStatus.FAILED, manifest=None))
    creating = create_snapshot(ports, TENANT, lifetime=HOUR, budget_s=-1)
    pass_time(ports, 2 * HOUR)
    assert collect_garbage(ports, TENANT).recycled == 1
    assert now_is(ports, failed).status is SnapshotStatus.DELETED
    assert now_is(ports, failed).undeleted().status is SnapshotStatus.FAILED
    assert now_is(ports, creating).status is SnapshotStatus.CREATING


def test_base_stays_as_it_is_until_another_has_taken_its_place(ports: Ports) -> None:
    base = snapshot(ports, HOUR)
    pass_time(ports, 2 * HOUR)
    assert collect_garbage(ports, TENANT).recycled == 0
    assert now_is(ports, base).status is SnapshotStatus.COMPLETED
    following = snapshot(ports, value=3)
    assert following.parent_id == base.id
    assert collect_garbage(ports, TENANT).recycled == 1
    assert now_is(ports, base).status is SnapshotStatus.DELETED
    assert content(ports, following.id) == live(ports)


def test_last_good_snapshot_of_a_schedule_stays_until_it_has_made_another(ports: Ports) -> None:
    def of_schedule(one: Snapshot) -> Snapshot:
        return ports.catalog.replace_snapshot(replace(one, schedule_id="schedule_9f86d081884c7d65"))

    first = of_schedule(snapshot(ports, HOUR))
    snapshot(ports, value=3)
    pass_time(ports, HOUR)
    assert collect_garbage(ports, TENANT).recycled == 0
    of_schedule(snapshot(ports, value=4))
    assert collect_garbage(ports, TENANT).recycled == 1
    assert now_is(ports, first).status is SnapshotStatus.DELETED


def test_snapshot_that_is_restored_stays_until_the_restore_is_over(ports: Ports) -> None:
    expiring = snapshot(ports, HOUR)
    wanted = live(ports)
    snapshot(ports, value=3)
    restore = restore_snapshot(ports, TENANT, expiring.id)
    pass_time(ports, 2 * HOUR)
    assert collect_garbage(ports, TENANT).recycled == 0
    run_restore(ports, restore.id)
    assert live(ports) == wanted
    # It is the base of what comes next now.
    assert collect_garbage(ports, TENANT).recycled == 0
    snapshot(ports, value=4)
    assert collect_garbage(ports, TENANT).recycled == 1


def test_snapshot_in_use_stays_even_if_no_restore_names_it(ports: Ports) -> None:
    expiring = snapshot(ports, HOUR)
    snapshot(ports, value=3)
    ports.catalog.replace_snapshot(now_is(ports, expiring).using("restore_2026-01-15T10-00-00Z"))
    pass_time(ports, 2 * HOUR)
    assert collect_garbage(ports, TENANT).recycled == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda ports, name: update_snapshot(ports, TENANT, name, SnapshotChange(expires=None)),
        lambda ports, name: update_snapshot(ports, TENANT, name, SnapshotChange(description="still wanted")),
        lambda ports, name: restore_snapshot(ports, TENANT, name),
        lambda ports, name: delete_snapshot(ports, TENANT, name, recycle_bin_days=100),
    ],
    ids=["kept-for-ever", "described", "restored", "deleted"],
)
def test_whoever_changes_the_snapshot_at_the_last_moment_comes_first(
    ports: Ports, act: Callable[[Ports, str], object]
) -> None:
    expiring = snapshot(ports, HOUR)
    snapshot(ports, value=3)
    pass_time(ports, 2 * HOUR)
    beside = During(ports.catalog, "replace_snapshot", lambda: act(ports, expiring.id))
    assert collect_garbage(replace(ports, catalog=beside), TENANT).recycled == 0
    found = now_is(ports, expiring)
    if found.status is SnapshotStatus.DELETED:
        assert found.recycled_until == ports.clock.now() + timedelta(days=100)
    else:
        assert found.status is SnapshotStatus.COMPLETED


def test_restore_is_refused_when_the_collector_comes_first(ports: Ports) -> None:
    expiring = snapshot(ports, HOUR)
    snapshot(ports, value=3)
    pass_time(ports, 2 * HOUR)
    beside = During(ports.table, "replace_state", lambda: collect_garbage(ports, TENANT))
    with pytest.raises(SnapshotNotCompleted):
        restore_snapshot(replace(ports, table=beside), TENANT, expiring.id)
    assert now_is(ports, expiring).status is SnapshotStatus.DELETED
    assert create_snapshot(ports, TENANT).status is SnapshotStatus.COMPLETED


def test_snapshot_that_is_brought_back_stays(ports: Ports) -> None:
    expiring = snapshot(ports, HOUR)
    snapshot(ports, value=3)
    pass_time(ports, 2 * HOUR)
    collect_garbage(ports, TENANT)
    assert undelete_snapshot(ports, TENANT, expiring.id).expires_at is None
    assert collect_garbage(ports, TENANT).recycled == 0
    assert now_is(ports, expiring).status is SnapshotStatus.COMPLETED


def test_snapshot_that_is_brought_back_keeps_an_expiry_that_is_to_come(ports: Ports) -> None:
    expiring = snapshot(ports, 5 * HOUR)
    snapshot(ports, value=3)
    delete_snapshot(ports, TENANT, expiring.id)
    assert undelete_snapshot(ports, TENANT, expiring.id).expires_at == expiring.expires_at
    pass_time(ports, 6 * HOUR)
    assert collect_garbage(ports, TENANT).recycled == 1


def test_dry_run_reports_what_would_expire_and_changes_nothing(ports: Ports) -> None:
    snapshot(ports, HOUR)
    snapshot(ports, value=3)
    pass_time(ports, 2 * HOUR)
    before = list(ports.catalog.snapshots(TENANT))
    dry = collect_garbage(ports, TENANT, dry_run=True)
    assert dry.recycled == 1
    assert list(ports.catalog.snapshots(TENANT)) == before
    assert replace(collect_garbage(ports, TENANT), dry_run=True) == dry


def test_report_sums_what_expired(ports: Ports) -> None:
    snapshot(ports, HOUR)
    snapshot(ports, value=3)
    pass_time(ports, 2 * HOUR)
    report = collect_garbage(ports, TENANT)
    assert report.beside(report).recycled == 2
    assert report.followed_by(collect_garbage(ports, TENANT)).recycled == 1


def _expiring(ports: Ports) -> None:
    for value in range(2, 5):
        snapshot(ports, HOUR, value)
    pass_time(ports, 2 * HOUR)


COLLECT_CALLS = calls_of(lambda ports: collect_garbage(ports, TENANT), _expiring)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_no_byte_is_lost_when_the_collector_dies_while_snapshots_expire(after: bool) -> None:
    for fatal in range(1, COLLECT_CALLS + 1):
        ports = world()
        _expiring(ports)
        held = {one.id: content(ports, one.id) for one in ports.catalog.snapshots(TENANT)}
        with pytest.raises(Death):
            collect_garbage(numbered(ports, Counter(fatal, after=after)), TENANT)
        collect_garbage(ports, TENANT)
        assert isinstance(ports.payloads, MemoryPayloads)
        found = list(ports.catalog.snapshots(TENANT))
        assert [one.status for one in found] == [
            SnapshotStatus.COMPLETED,
            SnapshotStatus.DELETED,
            SnapshotStatus.DELETED,
        ], fatal
        assert {one.id: content(ports, one.id) for one in found} == held, fatal
        assert undelete_snapshot(ports, TENANT, found[-1].id).status is SnapshotStatus.COMPLETED
