"""A run is killed before or after any of its calls, then driven again: nothing is stuck, lost or mixed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, content, key, live, put, run_capture, run_restore
from tests.fakes import memory_ports
from tidemark.domain.live import Layout
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.errors import Conflict
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot

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
