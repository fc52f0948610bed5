"""A pinned snapshot is neither deleted nor does it expire, whoever comes between."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.driving import TENANT, content, key, live, put, run_restore
from tests.fakes import ManualClock, memory_ports
from tests.unit.engine.test_collect import During
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.errors import SnapshotNotCompleted, SnapshotPinned
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.update_snapshot import SnapshotChange, update_snapshot

HOUR = timedelta(hours=1)


@pytest.fixture
def ports() -> Ports:
    made = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(made, {key(number): number for number in range(6)})
    return made


@pytest.fixture
def expiring(ports: Ports) -> Snapshot:
    """A snapshot that expires in an hour and on which nothing builds any more."""
    made = create_snapshot(ports, TENANT, lifetime=HOUR)
    put(ports, {key(0): 9})
    create_snapshot(ports, TENANT)
    return made


def pin(ports: Ports, snapshot: Snapshot, *, pinned: bool = True) -> Snapshot:
    return update_snapshot(ports, TENANT, snapshot.id, SnapshotChange(pinned=pinned))


def now_is(ports: Ports, snapshot: Snapshot) -> Snapshot:
    return ports.catalog.snapshot(TENANT, snapshot.id)


def pass_time(ports: Ports, time: timedelta) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(time.total_seconds())


def test_pinned_snapshot_is_not_deleted_until_it_is_unpinned(ports: Ports, expiring: Snapshot) -> None:
    pinned = pin(ports, expiring)
    with pytest.raises(SnapshotPinned, match=r'unpin it first: PATCH it with {"pinned": false}'):
        delete_snapshot(ports, TENANT, expiring.id)
    assert now_is(ports, expiring) == pinned
    pin(ports, expiring, pinned=False)
    delete_snapshot(ports, TENANT, expiring.id)
    assert now_is(ports, expiring).status is SnapshotStatus.DELETED


def test_pinned_snapshot_does_not_expire_until_it_is_unpinned(ports: Ports, expiring: Snapshot) -> None:
    pin(ports, expiring)
    pass_time(ports, 2 * HOUR)
    assert collect_garbage(ports, TENANT).recycled == 0
    assert now_is(ports, expiring).status is SnapshotStatus.COMPLETED
    pin(ports, expiring, pinned=False)
    assert collect_garbage(ports, TENANT).recycled == 1


def test_pin_that_comes_between_a_deletion_and_its_record_wins(ports: Ports, expiring: Snapshot) -> None:
    beside = During(ports.catalog, "replace_snapshot", lambda: pin(ports, expiring))
    with pytest.raises(SnapshotPinned):
        delete_snapshot(replace(ports, catalog=beside), TENANT, expiring.id)
    found = now_is(ports, expiring)
    assert (found.status, found.pinned) == (SnapshotStatus.COMPLETED, True)


def test_pin_that_comes_between_expiry_and_its_record_wins(ports: Ports, expiring: Snapshot) -> None:
    pass_time(ports, 2 * HOUR)
    wanted = content(ports, expiring.id)
    beside = During(ports.catalog, "replace_snapshot", lambda: pin(ports, expiring))
    assert collect_garbage(replace(ports, catalog=beside), TENANT).recycled == 0
    found = now_is(ports, expiring)
    assert (found.status, found.pinned) == (SnapshotStatus.COMPLETED, True)
    assert content(ports, expiring.id) == wanted


def test_pin_is_refused_when_a_deletion_came_first(ports: Ports, expiring: Snapshot) -> None:
    beside = During(ports.catalog, "replace_snapshot", lambda: delete_snapshot(ports, TENANT, expiring.id))
    with pytest.raises(Exception, match="can be undeleted until"):
        pin(replace(ports, catalog=beside), expiring)
    assert not now_is(ports, expiring).pinned


@pytest.mark.parametrize("status", [SnapshotStatus.CREATING, SnapshotStatus.FAILED])
def test_only_a_completed_snapshot_can_be_pinned(ports: Ports, expiring: Snapshot, status: SnapshotStatus) -> None:
    before = ports.catalog.replace_snapshot(replace(now_is(ports, expiring), status=status))
    with pytest.raises(SnapshotNotCompleted, match=f"is {status}: only a completed one can be pinned"):
        pin(ports, expiring)
    assert pin(ports, expiring, pinned=False) == before


def restored(ports: Ports, snapshot: Snapshot) -> None:
    wanted = content(ports, snapshot.id)
    run_restore(ports, restore_snapshot(ports, TENANT, snapshot.id).id)
    assert live(ports) == wanted


def copied(ports: Ports, snapshot: Snapshot) -> None:
    assert not copy_snapshot(ports, TENANT, snapshot.id, TENANT).pinned


@pytest.mark.parametrize("use", [restored, copied])
def test_pin_stands_in_the_way_of_no_use(
    ports: Ports, expiring: Snapshot, use: Callable[[Ports, Snapshot], None]
) -> None:
    pin(ports, expiring)
    use(ports, expiring)
    assert now_is(ports, expiring).pinned
