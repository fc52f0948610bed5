"""Copies, exports and imports, request and execution, that die at any call, or whose calls AWS turns away or answers
with silence: what arrives is whole, what does not leaves nothing behind, and asking again works.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest

from tests.driving import TENANT, content, run_transfer, upload_urls
from tests.fakes import ManualClock, MemoryPayloads, MemoryWorkflows
from tests.unit.engine.disturbed import Counter, Death, calls_of, days_pass, numbered, world
from tests.unit.engine.test_copies import STAGING, layered
from tests.unit.engine.test_exports import entities
from tests.unit.engine.test_imports import entity, links_of, ndjson, of_files
from tidemark.dialects.ngsi import imports
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.engine import manifests
from tidemark.engine.transfer import building, exports, plans, sorting
from tidemark.errors import AwsFailure, ExportFailed, Throttled, Unavailable
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.export_snapshot import cancel_export, export_snapshot
from tidemark.usecases.import_snapshot import open_import, read_import, start_import

TRIES: Final = 3
FILES: Final = [ndjson(*(entity(number) for number in range(9))), ndjson(*(entity(number) for number in range(9, 16)))]
_DAY_S: Final = 24 * 3600

type Move = Callable[[Ports, Ports], None]


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 700)
    monkeypatch.setattr(building, "FAN_IN", 2)


def newest(ports: Ports) -> Snapshot:
    return next(iter(ports.catalog.snapshots(TENANT)))


def copy(ports: Ports, beside: Ports) -> None:
    copy_snapshot(ports, TENANT, newest(beside).id, STAGING)


def export(ports: Ports, beside: Ports) -> None:
    export_snapshot(ports, TENANT, newest(beside).id)


def import_(ports: Ports, beside: Ports) -> None:
    begun = read_import(ports, STAGING, open_import(ports, STAGING, imports.parse_import(of_files(*FILES))).id)
    for number, file in enumerate(FILES):
        [url] = upload_urls(ports, begun, number)
        links_of(beside).send(url, file)
    for _ in range(2):
        # Whoever hears nothing, or that AWS was away, asks again.
        with suppress(Unavailable):
            start_import(ports, STAGING, begun.snapshot.id)


def execute(ports: Ports, beside: Ports, tries: int = 1) -> None:
    """Run, on `ports`, the executions that were started through `beside`."""
    assert isinstance(beside.workflows, MemoryWorkflows)
    for one in list(beside.workflows.started):
        if beside.workflows.running(one.tenant, one.subject, attempt=one.attempt):
            # One that fails leaves the record, for the collector to end it.
            with suppress(Unavailable):
                run_transfer(ports, one, tries=tries)
            beside.workflows.end(one.tenant, one.subject, attempt=one.attempt)


def ask_and_execute(move: Move) -> Move:
    def both(ports: Ports, beside: Ports) -> None:
        with suppress(Unavailable):
            move(ports, beside)
        execute(ports, beside, tries=TRIES)

    return both


MOVES: Final[dict[str, Move]] = {"copy": copy, "export": export, "import": import_}
moves = pytest.mark.parametrize("name", MOVES)


def count(move: Move) -> int:
    """The calls of one that goes well."""
    prepared: list[Ports] = []

    def prepare(ports: Ports) -> None:
        layered(ports)
        prepared.append(ports)

    return calls_of(lambda ports: ask_and_execute(move)(ports, prepared[0]), prepare)


def collected(ports: Ports) -> None:
    """Executions are over, two days pass, and one collection of each tenant follows, whichever comes first."""
    assert isinstance(ports.workflows, MemoryWorkflows)
    for one in ports.workflows.started:
        ports.workflows.end(one.tenant, one.subject, attempt=one.attempt)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(2 * _DAY_S)
    for tenant in (TENANT, STAGING, TENANT):
        report = collect_garbage(ports, tenant)
        assert (report.problems, report.done) == ((), True)


def whole_or_nothing(ports: Ports, wanted: int) -> list[SnapshotStatus]:
    """What is there is right and nothing else is there; how what was made has ended."""
    needed: set[str] = set()
    ends: list[SnapshotStatus] = []
    for snapshot in (*ports.catalog.snapshots(TENANT), *ports.catalog.snapshots(STAGING)):
        assert not snapshot.used_by, snapshot
        assert snapshot.status in {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}, snapshot
        if snapshot.origin is not None:
            ends.append(snapshot.status)
        if snapshot.manifest is not None:
            manifest = manifests.read(ports.payloads, snapshot.manifest)
            needed |= {snapshot.manifest.key, *(pack.key for pack in manifest.packs)}
            held = content(ports, snapshot.id, snapshot.tenant)
            assert len(held) == snapshot.entity_count
            assert snapshot.origin is None or len(held) == wanted
    assert isinstance(ports.payloads, MemoryPayloads)
    passing = (f"{exports.EXPORTS}/", f"{plans.IMPORTS}/")
    assert {one for one in ports.payloads.objects if not one.startswith(passing)} == needed
    return ends


def asked_again(ports: Ports, name: str) -> None:
    """The same is wanted once more, and nothing befalls anybody."""
    source = newest(ports)
    move = ask_and_execute(MOVES[name])
    with suppress(ExportFailed):
        # That the one before failed is told once.
        move(ports, ports)
    if name == "export":
        move(ports, ports)
        found = export_snapshot(ports, TENANT, source.id)
        assert found.parts is not None
        assert entities(ports, found.parts) == content(ports, source.id)
        return
    made = newest_of(ports)
    assert made.status is SnapshotStatus.COMPLETED, made.failure
    if name == "copy":
        assert content(ports, made.id, STAGING) == content(ports, source.id)


def newest_of(ports: Ports) -> Snapshot:
    return next(iter(ports.catalog.snapshots(STAGING)))


def entities_of(ports: Ports, name: str) -> int:
    return 16 if name == "import" else newest(ports).entity_count


@moves
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_transfer_is_whole_or_ended_and_leaves_nothing_when_whoever_drives_it_dies_at_any_call(
    name: str, after: bool
) -> None:
    for fatal in range(1, count(MOVES[name]) + 1):
        ports = world()
        source = layered(ports)
        held = content(ports, source.id)
        disturbed = numbered(ports, Counter(fatal, after=after))
        with pytest.raises(Death):
            ask_and_execute(MOVES[name])(disturbed, ports)
        collected(ports)
        whole_or_nothing(ports, entities_of(ports, name))
        asked_again(ports, name)
        assert content(ports, source.id) == held, fatal
        days_pass(ports)


outages = pytest.mark.parametrize("length", [1, TRIES, 3 * TRIES], ids=["once", "a-phase-long", "several-phases-long"])


@moves
@outages
def test_transfer_is_whole_or_ended_and_leaves_nothing_when_aws_fails_at_any_call(name: str, length: int) -> None:
    ends = set()
    for first in range(1, count(MOVES[name]) + 1):
        for after, error in ((False, Throttled("AWS is throttling requests")), (True, AwsFailure("no answer"))):
            ports = world()
            layered(ports)
            counter = Counter(first, length=length, after=after, error=lambda error=error: error)  # type: ignore[misc]
            ask_and_execute(MOVES[name])(numbered(ports, counter), ports)
            collected(ports)
            ends |= set(whole_or_nothing(ports, entities_of(ports, name)))
            asked_again(ports, name)
    if name != "export":
        assert ends == {SnapshotStatus.COMPLETED, SnapshotStatus.FAILED}, ends


@moves
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_transfer_under_way_survives_a_collection_that_dies_at_any_call(name: str, after: bool) -> None:
    calls = [0]
    fatal = 0
    while fatal <= calls[0]:
        fatal += 1
        ports = world()
        source = layered(ports)
        MOVES[name](ports, ports)
        assert isinstance(ports.workflows, MemoryWorkflows)
        [started] = ports.workflows.started
        # The first half of its execution, then a collection that is cut off, then all of it.
        with suppress(Death):
            run_transfer(numbered(ports, Counter(25)), started)
        counter = Counter(fatal, after=after)
        with suppress(Death):
            for tenant in (TENANT, STAGING):
                collect_garbage(numbered(ports, counter), tenant)
        calls[0] = counter.calls
        run_transfer(ports, started)
        if name == "export":
            assert export_snapshot(ports, TENANT, source.id).parts is not None, fatal
        else:
            assert newest_of(ports).status is SnapshotStatus.COMPLETED, (fatal, newest_of(ports).failure)
            assert len(content(ports, newest_of(ports).id, STAGING)) == entities_of(ports, name)
    assert fatal > 10


class Hooked(Counter):
    """Something happens before a certain call, whatever becomes of the call then."""

    def __init__(self, at: int, happens: Callable[[], object]) -> None:
        super().__init__()
        self._at = at
        self._happens = happens

    def before(self) -> None:
        super().before()
        if self.calls == self._at:
            self._happens()


@moves
def test_transfer_that_is_cancelled_at_any_call_is_over_and_leaves_nothing(name: str) -> None:
    at, calls = 0, 1
    while at < calls:
        at += 1
        ports = world()
        source = layered(ports)
        held = content(ports, source.id)
        MOVES[name](ports, ports)

        def cancel(ports: Ports = ports, source: Snapshot = source) -> None:
            if name == "export":
                cancel_export(ports, TENANT, source.id)
            else:
                delete_snapshot(ports, STAGING, newest_of(ports).id)

        hooked = Hooked(at, cancel)
        execute(numbered(ports, hooked), ports)
        calls = hooked.calls
        assert not newest(ports).used_by
        if name != "export":
            assert newest_of(ports).status is SnapshotStatus.DELETED
            days_pass(ports)
        collected(ports)
        whole_or_nothing(ports, entities_of(ports, name))
        if name != "export":
            assert list(ports.catalog.snapshots(STAGING)) == []
        asked_again(ports, name)
        assert content(ports, source.id) == held
