"""A run is killed before or after any of its calls, then driven again: nothing is stuck, lost or mixed."""

from contextlib import suppress

import pytest

from tests.driving import TENANT, content, live, put
from tests.unit.engine.disturbed import (
    KEYS,
    OTHER,
    ROOMS,
    Counter,
    Death,
    calls_of,
    collect,
    days_pass,
    delete_and_undelete,
    drive_on,
    nothing_but_what_is_needed,
    numbered,
    prepare_garbage,
    prepare_restore,
    restore_oldest,
    restore_rooms,
    settle,
    whole,
    world,
)
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.errors import Conflict
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

CAPTURE_CALLS = calls_of(lambda ports: create_snapshot(ports, TENANT), lambda _ports: None)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_capture_ends_well_when_its_request_dies_at_any_call(after: bool) -> None:
    for fatal in range(1, CAPTURE_CALLS + 1):
        ports = world()
        before = live(ports)
        with pytest.raises(Death):
            create_snapshot(numbered(ports, Counter(fatal, after=after)), TENANT)
        put(ports, {KEYS[1]: 55})
        settle(ports)
        for snapshot in ports.catalog.snapshots(TENANT):
            if snapshot.status is SnapshotStatus.COMPLETED:
                held = content(ports, snapshot.id)
                assert held in (before, before | {KEYS[1]: held[KEYS[1]]}), fatal
        assert create_snapshot(ports, TENANT).status is SnapshotStatus.COMPLETED


RESTORE_CALLS = calls_of(restore_oldest, prepare_restore)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_restore_is_whole_or_not_at_all_when_its_worker_dies_at_any_call(after: bool) -> None:
    for fatal in range(1, RESTORE_CALLS + 1):
        ports = world()
        original = live(ports)
        prepare_restore(ports)
        wrecked = live(ports)
        with pytest.raises(Death):
            restore_oldest(numbered(ports, Counter(fatal, after=after)))
        assert live(ports) in (original, wrecked), fatal
        for started in ports.workflows.started:  # type: ignore[attr-defined]
            ports.workflows.end(TENANT, started.subject, attempt=started.attempt)  # type: ignore[attr-defined]
        drive_on(ports)
        assert live(ports) in (original, wrecked), fatal
        for restore in ports.catalog.restores(TENANT):
            assert restore.status in {RestoreStatus.COMPLETED, RestoreStatus.FAILED}, (fatal, restore)
            if restore.status is RestoreStatus.COMPLETED:
                assert live(ports) == original
                assert content(ports, restore.safety_snapshot_id or "") == wrecked
        settle(ports)


COLLECT_CALLS = calls_of(collect, prepare_garbage)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_collection_is_made_up_for_by_the_next_when_it_dies_at_any_call(after: bool) -> None:
    for fatal in range(1, COLLECT_CALLS + 1):
        ports = world()
        prepare_garbage(ports)
        held = {one.id: content(ports, one.id) for one in ports.catalog.snapshots(TENANT)}
        before = live(ports)
        with pytest.raises(Death):
            collect(numbered(ports, Counter(fatal, after=after)))
        whole(ports, held)
        assert live(ports) == before, fatal
        put(ports, {KEYS[1]: 55})
        held[create_snapshot(ports, TENANT).id] = live(ports)
        nothing_but_what_is_needed(ports)
        whole(ports, held)
        assert all(restore.swept for restore in ports.catalog.restores(TENANT)), fatal


DELETE_CALLS = calls_of(delete_and_undelete, prepare_restore)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_snapshot_is_there_or_in_the_recycle_bin_when_delete_or_undelete_dies_at_any_call(after: bool) -> None:
    for fatal in range(1, DELETE_CALLS + 1):
        ports = world()
        prepare_restore(ports)
        held = {one.id: content(ports, one.id) for one in ports.catalog.snapshots(TENANT)}
        with pytest.raises(Death):
            delete_and_undelete(numbered(ports, Counter(fatal, after=after)))
        whole(ports, held)
        with suppress(Conflict):
            undelete_snapshot(ports, TENANT, next(iter(held)))
        days_pass(ports)
        collect(ports)
        whole(ports, held)
        assert [one.status for one in ports.catalog.snapshots(TENANT)] == [SnapshotStatus.COMPLETED]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_no_orphan_is_left_after_one_collection_when_a_capture_or_restore_died_at_any_call(after: bool) -> None:
    for run, prepare, calls in (
        (lambda ports: create_snapshot(ports, TENANT), lambda _ports: None, CAPTURE_CALLS),
        (restore_oldest, prepare_restore, RESTORE_CALLS),
    ):
        for fatal in range(1, calls + 1):
            ports = world()
            prepare(ports)
            with pytest.raises(Death):
                run(numbered(ports, Counter(fatal, after=after)))
            collect(ports)
            for started in ports.workflows.started:  # type: ignore[attr-defined]
                ports.workflows.end(TENANT, started.subject, attempt=started.attempt)  # type: ignore[attr-defined]
            drive_on(ports)
            for snapshot in list(ports.catalog.snapshots(TENANT)):
                if snapshot.status is SnapshotStatus.FAILED:
                    delete_snapshot(ports, TENANT, snapshot.id)
            days_pass(ports)
            nothing_but_what_is_needed(ports)


PARTIAL_CALLS = calls_of(restore_rooms, prepare_restore)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_partial_restore_is_whole_or_not_at_all_and_loses_no_write_when_its_worker_dies_at_any_call(
    after: bool,
) -> None:
    for fatal in range(1, PARTIAL_CALLS + 1):
        ports = world()
        original = live(ports)
        prepare_restore(ports)
        put(ports, {OTHER: 1})
        expected = {**live(ports), **{one: text for one, text in original.items() if one in ROOMS}}
        wrecked = live(ports)
        with pytest.raises(Death):
            restore_rooms(numbered(ports, Counter(fatal, after=after)))
        assert live(ports) in (expected, wrecked), fatal
        for started in ports.workflows.started:  # type: ignore[attr-defined]
            ports.workflows.end(TENANT, started.subject, attempt=started.attempt)  # type: ignore[attr-defined]
        put(ports, {OTHER: 2})
        late = {OTHER: live(ports)[OTHER]}
        drive_on(ports)
        assert live(ports) in (expected | late, wrecked | late), fatal
        for restore in ports.catalog.restores(TENANT):
            assert restore.status in {RestoreStatus.COMPLETED, RestoreStatus.FAILED}, (fatal, restore)
            if restore.status is RestoreStatus.COMPLETED:
                assert live(ports) == expected | late
        settle(ports)
        after_all = create_snapshot(ports, TENANT)
        assert content(ports, after_all.id) == live(ports), fatal
