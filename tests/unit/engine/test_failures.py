"""AWS turns calls away, or does what it was asked and loses the answer: at each call of each run, once, and for so long
that a phase uses up its tries. Phases are repeated as their state machines do; nothing is stuck, lost or mixed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import pytest

from tests.driving import TENANT, content, live, put, retried, run_capture, run_restore
from tests.fakes import MemoryWorkflows
from tests.unit.engine.disturbed import (
    KEYS,
    Counter,
    calls_of,
    collect,
    days_pass,
    delete_and_undelete,
    drive_on,
    nothing_but_what_is_needed,
    numbered,
    prepare_garbage,
    prepare_restore,
    settle,
    whole,
    world,
)
from tidemark.domain.restore import Phase, RestoreStatus
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.errors import AwsFailure, Conflict, Throttled, Unavailable
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.undelete_snapshot import undelete_snapshot

TRIES: Final = 3


def failing(calls: int, length: int) -> Iterator[tuple[int, bool, Counter]]:
    """Each call failing: turned away before it has an effect, or its answer lost after it."""
    for first in range(1, calls + 1):
        yield first, False, Counter(first, length=length, error=lambda: Throttled("AWS is throttling requests"))
        yield first, True, Counter(first, length=length, after=True, error=lambda: AwsFailure("no answer from AWS"))


def run_started(ports: Ports, beside: Ports) -> None:
    """Run the executions that were started through `beside`, on `ports`."""
    assert isinstance(beside.workflows, MemoryWorkflows)
    for started in beside.workflows.started:
        if not beside.workflows.running(TENANT, started.subject, attempt=started.attempt):
            continue
        # An execution that fails leaves its lease, for whoever meets it to start the next attempt.
        with suppress(Unavailable):
            if started.capture_id is not None:
                run_capture(ports, started.subject, started.capture_id, attempt=started.attempt, tries=TRIES)
            else:
                execute_restore(ports, started.subject, started.attempt)
        beside.workflows.end(TENANT, started.subject, attempt=started.attempt)


def execute_restore(ports: Ports, restore_id: str, attempt: int) -> None:
    """Run a restore; where Rollback finds it cut over, it goes on there."""
    while True:
        rolled_back = run_restore(ports, restore_id, attempt=attempt, tries=TRIES)
        if rolled_back is None or rolled_back.resume_at is None:
            return


def capture(ports: Ports, beside: Ports) -> None:
    with suppress(Unavailable):
        create_snapshot(ports, TENANT)
    run_started(ports, beside)


def restore_first(ports: Ports, beside: Ports) -> None:
    with suppress(Unavailable):
        restore_snapshot(ports, TENANT, list(beside.catalog.snapshots(TENANT))[-1].id)
    run_started(ports, beside)


def count(run: Callable[[Ports, Ports], None], prepare: Callable[[Ports], object]) -> int:
    prepared: list[Ports] = []

    def note(ports: Ports) -> None:
        prepare(ports)
        prepared.append(ports)

    return calls_of(lambda ports: run(ports, prepared[0]), note)


CAPTURE_CALLS = count(capture, lambda _ports: None)
RESTORE_CALLS = count(restore_first, prepare_restore)
COLLECT_CALLS = calls_of(collect, prepare_garbage)
DELETE_CALLS = calls_of(delete_and_undelete, prepare_restore)

outages = pytest.mark.parametrize("length", [1, TRIES, 3 * TRIES], ids=["once", "a-phase-long", "several-phases-long"])


@outages
def test_capture_ends_well_when_aws_fails_at_any_call(length: int) -> None:
    statuses = set()
    for first, after, counter in failing(CAPTURE_CALLS, length):
        ports = world()
        before = live(ports)
        capture(numbered(ports, counter), ports)
        put(ports, {KEYS[1]: 55})
        settle(ports)
        for snapshot in ports.catalog.snapshots(TENANT):
            statuses.add(snapshot.status)
            if snapshot.status is SnapshotStatus.COMPLETED:
                held = content(ports, snapshot.id)
                assert held in (before, before | {KEYS[1]: held[KEYS[1]]}), (first, after)
        assert create_snapshot(ports, TENANT).status is SnapshotStatus.COMPLETED
    # One failure costs time, nothing else; what lasts for longer than a phase is tried fails a capture.
    assert statuses == {SnapshotStatus.COMPLETED} | ({SnapshotStatus.FAILED} if length > TRIES else set()), statuses


@outages
def test_restore_is_whole_or_not_at_all_when_aws_fails_at_any_call(length: int) -> None:
    statuses = set()
    for first, after, counter in failing(RESTORE_CALLS, length):
        ports = world()
        original = live(ports)
        prepare_restore(ports)
        wrecked = live(ports)
        restore_first(numbered(ports, counter), ports)
        assert live(ports) in (original, wrecked), (first, after)
        drive_on(ports)
        assert live(ports) in (original, wrecked), (first, after)
        for restore in ports.catalog.restores(TENANT):
            assert restore.status in {RestoreStatus.COMPLETED, RestoreStatus.FAILED}, (first, after, restore)
            if restore.parts is not None:
                # One that never began was withdrawn by its request.
                statuses.add((restore.status, restore.phase))
            if restore.status is RestoreStatus.COMPLETED:
                assert live(ports) == original, (first, after)
                assert content(ports, restore.safety_snapshot_id or "") == wrecked, (first, after)
            else:
                assert live(ports) == wrecked, (first, after)
                assert restore.failure is not None
        settle(ports)
    assert (RestoreStatus.COMPLETED, Phase.RETIRE) in statuses
    # Rollback is for what lasts as long as one phase is tried; after a longer outage the next attempt goes on.
    assert ((RestoreStatus.FAILED, Phase.ROLLBACK) in statuses) == (length == TRIES), statuses


@outages
def test_collection_is_made_up_for_by_the_next_when_aws_fails_at_any_call(length: int) -> None:
    for first, after, counter in failing(COLLECT_CALLS, length):
        ports = world()
        prepare_garbage(ports)
        held = {one.id: content(ports, one.id) for one in ports.catalog.snapshots(TENANT)}
        before = live(ports)
        disturbed = numbered(ports, counter)
        with suppress(Unavailable):
            retried(TRIES, lambda: collect(disturbed))  # noqa: B023
        whole(ports, held)
        assert live(ports) == before, (first, after)
        put(ports, {KEYS[1]: 55})
        held[create_snapshot(ports, TENANT).id] = live(ports)
        nothing_but_what_is_needed(ports)
        whole(ports, held)
        assert all(restore.swept for restore in ports.catalog.restores(TENANT)), (first, after)


@outages
def test_snapshot_is_whole_or_in_the_recycle_bin_when_delete_or_undelete_fails_at_any_call(length: int) -> None:
    for first, after, counter in failing(DELETE_CALLS, length):
        ports = world()
        prepare_restore(ports)
        held = {one.id: content(ports, one.id) for one in ports.catalog.snapshots(TENANT)}
        disturbed = numbered(ports, counter)
        with suppress(Unavailable):
            delete_and_undelete(disturbed)
        whole(ports, held)
        (snapshot,) = ports.catalog.snapshots(TENANT)
        assert snapshot.status in {SnapshotStatus.COMPLETED, SnapshotStatus.DELETED}, (first, after)
        with suppress(Conflict):
            undelete_snapshot(ports, TENANT, snapshot.id)
        days_pass(ports)
        collect(ports)
        whole(ports, held)
        settle(ports)
