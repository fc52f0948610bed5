"""A run is killed before or after any of its calls, then driven again: nothing is stuck, lost or mixed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, content, key, live, put, run_capture, run_restore
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import SnapshotId, SnapshotStatus
from tidemark.engine import manifests
from tidemark.errors import Conflict
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

KEYS = [key(number) for number in range(12)]


class Death(BaseException):
    """The end of a process."""


class Numbered:
    """A port whose calls are numbered; the process dies before or after one of them."""

    def __init__(self, port: Any, counter: "Counter") -> None:
        self._port = port
        self._counter = counter

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def numbered(*args: Any, **kwargs: Any) -> Any:
            self._counter.before()
            try:
                return call(*args, **kwargs)
            finally:
                self._counter.after()

        return numbered if callable(call) else call


class Counter:
    def __init__(self, fatal: int | None = None, *, after: bool = False) -> None:
        self.calls = 0
        self._fatal = fatal
        self._after = after

    def before(self) -> None:
        self.calls += 1
        if self.calls == self._fatal and not self._after:
            raise Death

    def after(self) -> None:
        if self.calls == self._fatal and self._after:
            raise Death


def world() -> Ports:
    ports = replace(memory_ports(), layout=Layout(shards=2, gates=2))
    put(ports, dict.fromkeys(KEYS, 1))
    return ports


def numbered(ports: Ports, counter: Counter) -> Ports:
    return replace(
        ports,
        table=Numbered(ports.table, counter),
        catalog=Numbered(ports.catalog, counter),
        payloads=Numbered(ports.payloads, counter),
        workflows=Numbered(ports.workflows, counter),
        placements={},
    )


def calls_of(run: Callable[[Ports], object], prepare: Callable[[Ports], object]) -> int:
    ports, counter = world(), Counter()
    prepare(ports)
    run(numbered(ports, counter))
    return counter.calls


def drive_on(ports: Ports) -> None:
    """What operators and schedules do after a crash: ask again; executions that were started run."""
    for _ in range(6):
        state = ports.table.load(TENANT).state
        if state is None or state.lease is None:
            return
        before = len(ports.workflows.started)  # type: ignore[attr-defined]
        with pytest.raises(Conflict):
            create_snapshot(ports, TENANT)
        for started in ports.workflows.started[before:] or ports.workflows.started[-1:]:  # type: ignore[attr-defined]
            if started.capture_id is not None:
                run_capture(ports, started.subject, started.capture_id, attempt=started.attempt)
            else:
                run_restore(ports, started.subject, attempt=started.attempt)
            ports.workflows.end(TENANT, started.subject, attempt=started.attempt)  # type: ignore[attr-defined]
    pytest.fail("the lease is stuck")


def settle(ports: Ports) -> None:
    """The end state of every run: nobody holds anything, writes pass, and each snapshot is complete or failed."""
    drive_on(ports)
    state = ports.table.load(TENANT).state
    assert state is not None
    assert (state.lease, state.capturing) == (None, None)
    put(ports, {KEYS[0]: 77})
    for snapshot in ports.catalog.snapshots(TENANT):
        assert snapshot.status in {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}, snapshot
        assert not snapshot.used_by, snapshot
        if snapshot.status is SnapshotStatus.COMPLETED:
            assert len(content(ports, snapshot.id)) == snapshot.entity_count


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


def prepare_restore(ports: Ports) -> None:
    create_snapshot(ports, TENANT)
    put(ports, {KEYS[2]: 3, key(99): 4})


def restore_oldest(ports: Ports) -> None:
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    restore = restore_snapshot(ports, TENANT, oldest.id)
    run_restore(ports, restore.id)
    ports.workflows.end(TENANT, restore.id, attempt=1)  # type: ignore[attr-defined]


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


def prepare_garbage(ports: Ports) -> None:
    """Two snapshots whose time in the recycle bin is over, a third that builds on them, and a restore that is over."""
    first = create_snapshot(ports, TENANT)
    put(ports, {KEYS[2]: 3, key(99): 4})
    second = create_snapshot(ports, TENANT)
    restore_oldest(ports)
    for snapshot in (first, second):
        delete_snapshot(ports, TENANT, snapshot.id)
    put(ports, {KEYS[4]: 5})
    days_pass(ports)
    create_snapshot(ports, TENANT)


def days_pass(ports: Ports) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(8 * 24 * 3600)


def whole(ports: Ports, held: Mapping[SnapshotId, dict[EntityKey, str]]) -> None:
    """Every snapshot that is, or could be brought back, holds what it held."""
    for snapshot in ports.catalog.snapshots(TENANT):
        if snapshot.status is not SnapshotStatus.PURGING:
            assert content(ports, snapshot.id) == held[snapshot.id]


def nothing_but_what_is_needed(ports: Ports) -> None:
    """One more collection leaves no object that no snapshot names."""
    report = collect_garbage(ports, TENANT)
    assert (report.problems, report.done) == ((), True)
    needed: set[str] = set()
    for snapshot in ports.catalog.snapshots(TENANT):
        assert snapshot.manifest is not None, snapshot
        manifest = manifests.read(ports.payloads, snapshot.manifest)
        needed |= {snapshot.manifest.key, *(pack.key for pack in manifest.packs)}
    assert isinstance(ports.payloads, MemoryPayloads)
    assert {one for one in ports.payloads.objects if one.startswith(TENANT)} == needed


def collect(ports: Ports) -> None:
    collect_garbage(ports, TENANT)


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


def delete_and_undelete(ports: Ports) -> None:
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    delete_snapshot(ports, TENANT, oldest.id)
    undelete_snapshot(ports, TENANT, oldest.id)
    delete_snapshot(ports, TENANT, oldest.id)


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
