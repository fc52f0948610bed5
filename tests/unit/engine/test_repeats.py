"""A request with a key is killed before or after any of its calls and sent again: it is obeyed once."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tests.driving import TENANT, content, live, put, run_capture, run_restore
from tests.fakes import ManualClock
from tests.unit.engine.disturbed import KEYS, Counter, Death, calls_of, numbered, prepare_restore, world
from tidemark.domain.asked import Asked
from tidemark.domain.restore import RestoreStatus
from tidemark.domain.snapshot import Failure, SnapshotStatus
from tidemark.errors import Conflict, KeyReused
from tidemark.ports import Ports
from tidemark.usecases import capture_phases
from tidemark.usecases.cancel_restore import cancel_restore
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot

ASKED = Asked("aa" * 32, "11" * 32)


def asked_to_create(ports: Ports) -> str:
    return asked(ports, lambda: create_snapshot(ports, TENANT, asked=ASKED).id)


def asked_to_restore(ports: Ports) -> str:
    oldest = list(ports.catalog.snapshots(TENANT))[-1]
    return asked(ports, lambda: restore_snapshot(ports, TENANT, oldest.id, asked=ASKED).id)


def asked(ports: Ports, serve: Callable[[], str]) -> str:
    def answer() -> dict[str, Any]:
        return {"id": serve()}

    return str(ports.repeats.once(TENANT, ASKED, answer)["id"])


def run_what_was_started(ports: Ports) -> None:
    for started in list(ports.workflows.started):  # type: ignore[attr-defined]
        if ports.workflows.running(TENANT, started.subject, attempt=started.attempt):
            if started.capture_id is not None:
                run_capture(ports, started.subject, started.capture_id, attempt=started.attempt)
            else:
                run_restore(ports, started.subject, attempt=started.attempt)
            ports.workflows.end(TENANT, started.subject, attempt=started.attempt)  # type: ignore[attr-defined]


def sent_until_answered(ports: Ports, ask: Callable[[Ports], str]) -> str:
    """What a client does that was cut off: it sends the same again as long as it is told to wait."""
    assert isinstance(ports.clock, ManualClock)
    for _ in range(20):
        try:
            return ask(ports)
        except Conflict:
            ports.clock.advance(5)
            run_what_was_started(ports)
    pytest.fail("never answered")


CREATE_CALLS = calls_of(asked_to_create, lambda _ports: None)
RESTORE_CALLS = calls_of(asked_to_restore, prepare_restore)


@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "after-its-execution"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_create_makes_one_snapshot_when_its_request_dies_at_any_call_and_is_sent_again(
    after: bool, at_once: bool
) -> None:
    for fatal in range(1, CREATE_CALLS + 1):
        ports = world()
        with pytest.raises(Death):
            asked_to_create(numbered(ports, Counter(fatal, after=after)))
        put(ports, {KEYS[1]: 55})
        if not at_once:
            # Somebody else meets what the dead request has left, and its execution ends it.
            with suppress(Conflict):
                create_snapshot(ports, TENANT)
            run_what_was_started(ports)
        name = sent_until_answered(ports, asked_to_create)
        run_what_was_started(ports)
        assert asked_to_create(ports) == name
        made = [one for one in ports.catalog.snapshots(TENANT) if one.asked is not None]
        whole = [one for one in made if one.status is SnapshotStatus.COMPLETED]
        assert [one.id for one in whole] == [name], (fatal, made)
        assert all(one.status is SnapshotStatus.FAILED for one in made if one.id != name), (fatal, made)
        assert len(content(ports, name)) == whole[0].entity_count == len(KEYS), fatal


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_restore_is_begun_once_when_its_request_dies_at_any_call_and_is_sent_again(after: bool) -> None:
    for fatal in range(1, RESTORE_CALLS + 1):
        ports = world()
        original = live(ports)
        prepare_restore(ports)
        with pytest.raises(Death):
            asked_to_restore(numbered(ports, Counter(fatal, after=after)))
        name = sent_until_answered(ports, asked_to_restore)
        run_what_was_started(ports)
        assert asked_to_restore(ports) == name
        begun = [one for one in ports.catalog.restores(TENANT) if one.asked is not None]
        assert [one.id for one in begun if one.status is RestoreStatus.COMPLETED] == [name], (fatal, begun)
        assert all(one.status is RestoreStatus.FAILED for one in begun if one.id != name), (fatal, begun)
        assert live(ports) == original, fatal
        state = ports.table.load(TENANT).state
        assert state is not None
        assert state.lease is None


def test_create_makes_another_when_what_the_request_made_has_failed() -> None:
    ports = world()
    failed = create_snapshot(ports, TENANT, budget_s=-1, asked=ASKED)
    record = ports.catalog.snapshot(TENANT, failed.id)
    ports.workflows.end(TENANT, failed.id)  # type: ignore[attr-defined]
    run_capture_that_fails(ports, record.capture_id, failed.id)
    assert ports.catalog.snapshot(TENANT, failed.id).status is SnapshotStatus.FAILED
    put(ports, {KEYS[1]: 55})
    before = live(ports)
    made = create_snapshot(ports, TENANT, asked=ASKED)
    assert made.id != failed.id
    assert made.capture_id != failed.capture_id
    assert content(ports, made.id) == before, "nothing of the failed capture's packs is taken for its own"


def test_create_makes_another_when_a_day_has_passed() -> None:
    ports = world()
    first = create_snapshot(ports, TENANT, asked=ASKED)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(24 * 3600 - 1)
    assert create_snapshot(ports, TENANT, asked=ASKED).id == first.id
    ports.clock.advance(2)
    put(ports, {KEYS[1]: 55})
    second = create_snapshot(ports, TENANT, asked=ASKED)
    assert second.id != first.id
    assert content(ports, second.id) == live(ports)


def test_restore_is_begun_again_when_a_day_has_passed() -> None:
    ports = world()
    snapshot = create_snapshot(ports, TENANT)
    first = restore_snapshot(ports, TENANT, snapshot.id, asked=ASKED)
    run_restore(ports, first.id)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(24 * 3600 - 5)
    assert restore_snapshot(ports, TENANT, snapshot.id, asked=ASKED).id == first.id
    ports.clock.advance(10)
    assert restore_snapshot(ports, TENANT, snapshot.id, asked=ASKED).id != first.id


def test_nothing_is_made_or_begun_when_the_key_was_used_for_something_else() -> None:
    ports = world()
    snapshot = create_snapshot(ports, TENANT, asked=ASKED)
    restore_snapshot(ports, TENANT, snapshot.id, asked=ASKED)
    other = replace(ASKED, content="22" * 32)
    with pytest.raises(KeyReused):
        create_snapshot(ports, TENANT, asked=other)
    with pytest.raises(KeyReused):
        restore_snapshot(ports, TENANT, snapshot.id, asked=other)


def test_restore_that_was_cancelled_is_not_begun_again() -> None:
    ports = world()
    snapshot = create_snapshot(ports, TENANT)
    begun = restore_snapshot(ports, TENANT, snapshot.id, asked=ASKED)
    cancel_restore(ports, TENANT, begun.id)
    run_restore(ports, begun.id)
    again = restore_snapshot(ports, TENANT, snapshot.id, asked=ASKED)
    assert (again.id, again.status) == (begun.id, RestoreStatus.CANCELLED)


def run_capture_that_fails(ports: Ports, capture_id: str, snapshot_id: str) -> None:
    """A shard is copied, then the bucket refuses."""
    begun = capture_phases.begin(ports, TENANT, snapshot_id, capture_id, attempt=1)
    for shard in begun.shards:
        capture_phases.copy_shard(ports, TENANT, snapshot_id, token=begun.token, shard=shard)
    failure = Failure("AwsFailure", "the bucket does not answer")
    capture_phases.abort(ports, TENANT, snapshot_id, capture_id, attempt=1, failure=failure)
