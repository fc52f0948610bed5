"""A snapshot holds what was there at its cut, and a restore brings exactly that back."""

from dataclasses import replace

import pytest

from tests.driving import TENANT, content, damage, delete, doc, key, live, packs, put, run_restore
from tests.fakes import ManualClock, memory_ports
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.errors import CaptureInProgress, RestoreInProgress, SnapshotInUse, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot


@pytest.fixture
def ports() -> Ports:
    world = memory_ports()
    put(world, {key(number): number for number in range(500)})
    return world


def test_restore_brings_back_every_entity_as_it_was(ports: Ports) -> None:
    before = live(ports)
    snapshot = create_snapshot(ports, TENANT, description="Pre-deployment backup")
    assert (snapshot.status, snapshot.entity_count) == (SnapshotStatus.COMPLETED, 500)
    assert content(ports, snapshot.id) == before

    put(ports, {key(1): 9999, key(1000): 1})
    delete(ports, key(2), key(3))
    wrecked = live(ports)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    assert run_restore(ports, restore.id) is None

    assert live(ports) == before
    done = ports.catalog.restore(TENANT, restore.id)
    assert done.status is RestoreStatus.COMPLETED
    assert content(ports, done.safety_snapshot_id or "") == wrecked
    state = ports.table.load(TENANT).state
    assert state is not None
    assert state.lease is None


def test_undo_of_a_restore_gives_the_state_at_its_cutover(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(1): 9999, key(1000): 1})
    wrecked = live(ports)
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    run_restore(ports, restore.id)
    safety = ports.catalog.restore(TENANT, restore.id).safety_snapshot_id
    assert safety is not None
    run_restore(ports, restore_snapshot(ports, TENANT, safety).id)
    assert live(ports) == wrecked


def test_create_names_the_running_snapshot_when_one_is_being_created(ports: Ports) -> None:
    late = replace(ports, clock=ManualClock())
    snapshot = create_snapshot(late, TENANT, budget_s=-1)
    assert snapshot.status is SnapshotStatus.CREATING
    with pytest.raises(CaptureInProgress) as raised:
        create_snapshot(ports, TENANT)
    assert raised.value.snapshot_id == snapshot.id
    with pytest.raises(SnapshotInUse):
        delete_snapshot(ports, TENANT, snapshot.id)


def test_restore_is_refused_while_another_one_runs(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    first = restore_snapshot(ports, TENANT, snapshot.id)
    with pytest.raises(RestoreInProgress) as raised:
        restore_snapshot(ports, TENANT, snapshot.id)
    assert raised.value.restore_id == first.id
    with pytest.raises(SnapshotInUse):
        delete_snapshot(ports, TENANT, snapshot.id)
    run_restore(ports, first.id)
    delete_snapshot(ports, TENANT, snapshot.id)
    with pytest.raises(SnapshotNotFound):
        delete_snapshot(ports, TENANT, snapshot.id)


def test_two_snapshots_are_made_when_created_in_one_second(ports: Ports) -> None:
    names = [create_snapshot(ports, TENANT).id for _ in range(3)]
    assert names == [
        "snapshot_2026-01-15T10-00-00Z",
        "snapshot_2026-01-15T10-00-00Z-2",
        "snapshot_2026-01-15T10-00-00Z-3",
    ]


def test_restore_rolls_back_and_leaves_live_data_when_a_pack_is_damaged(ports: Ports) -> None:
    snapshot = create_snapshot(ports, TENANT)
    put(ports, {key(1): 9999})
    before = live(ports)
    pack = packs(ports)[3]
    damage(ports, pack, offset=10)
    rolled_back = run_restore(ports, restore_snapshot(ports, TENANT, snapshot.id).id)
    assert rolled_back is not None
    assert rolled_back.status is RestoreStatus.FAILED
    assert rolled_back.error == "PackCorrupt"
    assert pack in (rolled_back.message or "")
    assert live(ports) == before
    assert doc(key(1), 9999) in live(ports).values()
