"""Runs whose calls are numbered and disturbed one by one, what drives them on afterwards, and what must hold then."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, content, key, put, run_capture, run_restore
from tests.fakes import ManualClock, MemoryPayloads, memory_ports
from tidemark.dialects.ngsi import restore_filter
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import SnapshotId, SnapshotStatus
from tidemark.engine import manifests
from tidemark.errors import Conflict
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

KEYS = [key(number) for number in range(12)]
# What a partial restore is about, and an entity outside of that.
ROOMS = KEYS[:6]
OTHER = key(500)


class Death(BaseException):
    """The end of a process."""


class Counter:
    """Numbers the calls; `error` is raised in the `length` calls from the one with the number `first` on, before they
    have an effect or, their answers lost, after it.
    """

    def __init__(
        self,
        first: int | None = None,
        *,
        after: bool = False,
        error: Callable[[], BaseException] = Death,
        length: int = 1,
    ) -> None:
        self.calls = 0
        self._disturbed = range(0) if first is None else range(first, first + length)
        self._after = after
        self._error = error

    def before(self) -> None:
        self.calls += 1
        if self.calls in self._disturbed and not self._after:
            raise self._error()

    def after(self) -> None:
        if self.calls in self._disturbed and self._after:
            raise self._error()


class Numbered:
    """A port whose calls are numbered and disturbed by a counter."""

    def __init__(self, port: Any, counter: Counter) -> None:
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
        links=Numbered(ports.links, counter),
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


def prepare_restore(ports: Ports) -> None:
    create_snapshot(ports, TENANT)
    put(ports, {KEYS[2]: 3, key(99): 4})


def restore_oldest(ports: Ports) -> None:
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    restore = restore_snapshot(ports, TENANT, oldest.id)
    run_restore(ports, restore.id)
    ports.workflows.end(TENANT, restore.id, attempt=1)  # type: ignore[attr-defined]


def restore_rooms(ports: Ports) -> None:
    """A partial restore of the first snapshot, while another entity is written."""
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    wish = Wish(selection=restore_filter.accept({"id": ",".join(one.id for one in ROOMS)}))
    restore = restore_snapshot(ports, TENANT, oldest.id, wish)
    run_restore(ports, restore.id)
    ports.workflows.end(TENANT, restore.id, attempt=1)  # type: ignore[attr-defined]


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


def delete_and_undelete(ports: Ports) -> None:
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    delete_snapshot(ports, TENANT, oldest.id)
    undelete_snapshot(ports, TENANT, oldest.id)
    delete_snapshot(ports, TENANT, oldest.id)
