"""A copy or import under a key is killed before or after any of its calls and sent again: it is begun once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.driving import TENANT, content, damage, packs, run_transfer, upload_urls
from tests.fakes import ManualClock, MemoryLinks, MemoryPayloads, MemoryWorkflows
from tests.unit.engine.disturbed import KEYS, Counter, Death, Numbered, numbered, world
from tidemark.dialects.ngsi import imports
from tidemark.domain.asked import Asked
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import KeyReused, RequestInProgress
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.import_snapshot import open_import, read_import, start_import

STAGING = Tenant("staging")
ASKED = Asked("aa" * 32, "11" * 32)
FILES = [b'{"id":"r1","type":"Room"}\n', b'{"id":"r2","type":"Room"}\n']
WANTED = imports.parse_import({"files": [{"name": f"f{n}", "sizeBytes": len(file)} for n, file in enumerate(FILES)]})


def source(ports: Ports) -> str:
    """The oldest snapshot of the tenant."""
    return list(ports.catalog.snapshots(TENANT))[-1].id


def asked_to_copy(ports: Ports) -> str:
    return asked(ports, lambda: copy_snapshot(ports, TENANT, source(ports), STAGING, asked=ASKED).id)


def asked_to_import(ports: Ports) -> str:
    return asked(ports, lambda: open_import(ports, STAGING, WANTED, asked=ASKED).id)


def asked(ports: Ports, serve: Callable[[], str]) -> str:
    def answer() -> dict[str, Any]:
        return {"id": serve()}

    return str(ports.repeats.once(TENANT, ASKED, answer)["id"])


def disturbed(ports: Ports, counter: Counter) -> Ports:
    """The ports, those of uploads too, with their calls numbered."""
    return replace(numbered(ports, counter), links=Numbered(ports.links, counter))


def snapshotted() -> Ports:
    ports = world()
    create_snapshot(ports, TENANT)
    return ports


def sent_again(ports: Ports, ask: Callable[[Ports], str]) -> str:
    """What a client does that was cut off: it is told to wait until the first request counts as dead."""
    assert isinstance(ports.clock, ManualClock)
    with pytest.raises(RequestInProgress):
        ask(ports)
    ports.clock.advance(31)
    return ask(ports)


def run_what_was_started(ports: Ports) -> None:
    assert isinstance(ports.workflows, MemoryWorkflows)
    for started in ports.workflows.started:
        if ports.workflows.running(started.tenant, started.subject, attempt=started.attempt):
            run_transfer(ports, started)
            ports.workflows.end(started.tenant, started.subject, attempt=started.attempt)


def made(ports: Ports) -> list[Snapshot]:
    return list(ports.catalog.snapshots(STAGING))


def calls_of(ask: Callable[[Ports], str], ports: Ports) -> int:
    counter = Counter()
    ask(disturbed(ports, counter))
    return counter.calls


COPY_CALLS = calls_of(asked_to_copy, snapshotted())
IMPORT_CALLS = calls_of(asked_to_import, world())


@pytest.mark.parametrize("ran", [False, True], ids=["at-once", "after-its-execution"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_copy_is_begun_once_when_its_request_dies_at_any_call_and_is_sent_again(after: bool, ran: bool) -> None:
    for fatal in range(1, COPY_CALLS + 1):
        ports = snapshotted()
        with pytest.raises(Death):
            asked_to_copy(disturbed(ports, Counter(fatal, after=after)))
        if ran:
            run_what_was_started(ports)
        name = sent_again(ports, asked_to_copy)
        run_what_was_started(ports)
        assert asked_to_copy(ports) == name
        assert [(one.id, one.status) for one in made(ports)] == [(name, SnapshotStatus.COMPLETED)], fatal
        assert len(content(ports, name, STAGING)) == len(KEYS), fatal
        collect_garbage(ports, TENANT)
        assert ports.catalog.snapshot(TENANT, source(ports)).used_by == frozenset(), fatal


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_import_is_opened_once_when_its_request_dies_at_any_call_and_is_sent_again(after: bool) -> None:
    for fatal in range(1, IMPORT_CALLS + 1):
        ports = world()
        with pytest.raises(Death):
            asked_to_import(disturbed(ports, Counter(fatal, after=after)))
        name = sent_again(ports, asked_to_import)
        assert asked_to_import(ports) == name
        opened = read_import(ports, STAGING, name)
        assert isinstance(ports.links, MemoryLinks)
        for number, file in enumerate(FILES):
            [url] = upload_urls(ports, opened, number)
            ports.links.send(url, file)
        start_import(ports, STAGING, name)
        run_what_was_started(ports)
        assert [(one.id, one.status, one.entity_count) for one in made(ports)] == [
            (name, SnapshotStatus.COMPLETED, 2)
        ], fatal


def test_copy_is_begun_again_when_the_collection_has_ended_what_was_never_started() -> None:
    ports = snapshotted()
    with pytest.raises(Death):
        asked_to_copy(disturbed(ports, Counter(COPY_CALLS)))
    [dead] = made(ports)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(timedelta(hours=2).total_seconds())
    collect_garbage(ports, STAGING)
    name = asked_to_copy(ports)
    run_what_was_started(ports)
    assert name != dead.id
    assert [(one.id, one.status) for one in made(ports)] == [
        (name, SnapshotStatus.COMPLETED),
        (dead.id, SnapshotStatus.FAILED),
    ]


def test_copy_is_begun_again_when_the_one_that_was_begun_has_failed() -> None:
    ports = snapshotted()
    first = copy_snapshot(ports, TENANT, source(ports), STAGING, asked=ASKED)
    assert isinstance(ports.payloads, MemoryPayloads)
    pack = packs(ports)[0]
    whole = ports.payloads.objects[pack]
    damage(ports, pack)
    run_what_was_started(ports)
    assert ports.catalog.snapshot(STAGING, first.id).status is SnapshotStatus.FAILED
    ports.payloads.objects[pack] = whole
    second = copy_snapshot(ports, TENANT, source(ports), STAGING, asked=ASKED)
    run_what_was_started(ports)
    assert second.id != first.id
    assert ports.catalog.snapshot(STAGING, second.id).status is SnapshotStatus.COMPLETED


def test_copy_that_was_never_started_fails_when_its_source_is_gone_by_the_time_it_is_asked_again() -> None:
    ports = snapshotted()
    name = source(ports)
    create_snapshot(ports, TENANT)
    with pytest.raises(Death):
        # After the copy is registered, before its source is held.
        asked(ports, lambda: copy_snapshot(_dying_on_replace(ports), TENANT, name, STAGING, asked=ASKED).id)
    [registered] = made(ports)
    delete_snapshot(ports, TENANT, name)
    again = sent_again(ports, lambda ports: asked(ports, lambda: _copied(ports, name)))
    run_what_was_started(ports)
    assert again == registered.id
    failed = ports.catalog.snapshot(STAGING, again)
    assert (failed.status, failed.failure and failed.failure.code) == (SnapshotStatus.FAILED, "SnapshotNotCompleted")


def _copied(ports: Ports, name: str) -> str:
    return copy_snapshot(ports, TENANT, name, STAGING, asked=ASKED).id


def _dying_on_replace(ports: Ports) -> Ports:
    class Dying:
        def __getattr__(self, name: str) -> Any:
            if name == "replace_snapshot":
                raise Death
            return getattr(ports.catalog, name)

    return replace(ports, catalog=Dying())


def test_nothing_is_begun_when_the_key_was_used_for_something_else() -> None:
    ports = snapshotted()
    copy_snapshot(ports, TENANT, source(ports), STAGING, asked=ASKED)
    other = replace(ASKED, content="22" * 32)
    with pytest.raises(KeyReused):
        copy_snapshot(ports, TENANT, source(ports), STAGING, asked=other)
    with pytest.raises(KeyReused):
        open_import(ports, STAGING, WANTED, asked=other)
    assert len(made(ports)) == 1
