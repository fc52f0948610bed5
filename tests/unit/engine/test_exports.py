"""Exports: plain files that hold every entity once, with one digest that does not depend on how they are stored."""

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import zstandard

from tests.driving import TENANT, content, damage, packs, run_transfer
from tests.fakes import ManualClock, MemoryPayloads, MemoryWorkflows
from tests.unit.engine.disturbed import Counter, Death, days_pass, numbered, world
from tests.unit.engine.test_copies import copied, end, finish, layered, started, users
from tidemark.domain.digest import SetDigest
from tidemark.domain.keys import EntityKey
from tidemark.domain.snapshot import ExportStatus, Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer.exports import ExportPart
from tidemark.errors import ExportFailed, SnapshotInUse, SnapshotNotCompleted, SnapshotNotFound, Throttled
from tidemark.ports import Ports
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.entities import change
from tidemark.usecases.export_snapshot import Exported, cancel_export, export_snapshot


def lines(ports: Ports, parts: list[ExportPart]) -> Iterator[bytes]:
    """What `zstdcat` prints of all files."""
    for part in parts:
        body = ports.payloads.get(part.key)
        assert (len(body), hashlib.sha256(body).hexdigest()) == (part.size_bytes, part.sha256)
        reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body), read_across_frames=True)
        own = reader.read().splitlines()
        assert len(own) == part.records
        yield from own


def entities(ports: Ports, parts: list[ExportPart]) -> dict[EntityKey, str]:
    found = {}
    for line in lines(ports, parts):
        record = json.loads(line)
        assert list(record) == ["key", "value"]
        key = EntityKey(*record["key"])
        assert key not in found
        found[key] = json.dumps(record["value"], separators=(",", ":"))
    return found


def exported(ports: Ports, snapshot: Snapshot, tenant: Tenant = TENANT) -> Exported:
    """The export, prepared where it must be."""
    first = export_snapshot(ports, tenant, snapshot.id)
    if first.parts is not None:
        return first
    finish(ports)
    return export_snapshot(ports, tenant, snapshot.id)


def digest_of(ports: Ports, parts: list[ExportPart]) -> str:
    digest = SetDigest()
    digest.add_all(list(lines(ports, parts)))
    return digest.hex


def test_export_of_one_layer_is_its_packs_as_they_are() -> None:
    ports = world()
    snapshot = create_snapshot(ports, TENANT)
    found = export_snapshot(ports, TENANT, snapshot.id)
    assert found.parts is not None
    assert sorted(part.key for part in found.parts) == packs(ports)
    assert entities(ports, found.parts) == content(ports, snapshot.id)
    assert found.digest == snapshot.digest == digest_of(ports, found.parts)
    assert isinstance(ports.workflows, MemoryWorkflows)
    assert ports.workflows.started == []


def test_export_of_several_layers_is_prepared_first_and_holds_every_entity_once() -> None:
    ports = world()
    snapshot = layered(ports)
    assert snapshot.digest is None
    assert export_snapshot(ports, TENANT, snapshot.id).parts is None
    assert export_snapshot(ports, TENANT, snapshot.id).parts is None
    assert isinstance(ports.workflows, MemoryWorkflows)
    assert len(ports.workflows.started) == 1
    finish(ports)
    found = export_snapshot(ports, TENANT, snapshot.id)
    assert found.parts is not None
    assert entities(ports, found.parts) == content(ports, snapshot.id)
    assert found.digest == digest_of(ports, found.parts)
    assert ports.catalog.snapshot(TENANT, snapshot.id).digest == found.digest
    assert users(ports, snapshot) == frozenset()
    again = export_snapshot(ports, TENANT, snapshot.id)
    assert again.parts == found.parts
    assert len(ports.workflows.started) == 1


def test_digest_is_that_of_the_same_entities_in_one_layer() -> None:
    ports = world()
    snapshot = layered(ports)
    layers = exported(ports, snapshot)
    copy = copied(ports, snapshot, Tenant("staging"))
    assert copy.digest == layers.digest
    assert exported(ports, copy, Tenant("staging")).digest == layers.digest
    fresh = world()
    for key, doc in content(ports, snapshot.id).items():
        change(fresh, Tenant("fresh"), [key], lambda present, doc=doc: dict.fromkeys(present, doc))  # type: ignore[misc]
    whole = create_snapshot(fresh, Tenant("fresh"))
    assert whole.digest == layers.digest


def test_snapshot_cannot_be_deleted_while_its_export_is_prepared() -> None:
    ports = world()
    snapshot = layered(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    with pytest.raises(SnapshotInUse, match="export_"):
        delete_snapshot(ports, TENANT, snapshot.id)
    finish(ports)
    delete_snapshot(ports, TENANT, snapshot.id)


def test_export_that_is_cancelled_lets_its_snapshot_go_and_is_prepared_anew_when_it_is_asked_for() -> None:
    ports = world()
    snapshot = layered(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    first = started(ports)
    cancel_export(ports, TENANT, snapshot.id)
    cancel_export(ports, TENANT, snapshot.id)
    assert users(ports, snapshot) == frozenset()
    assert export_snapshot(ports, TENANT, snapshot.id).parts is None
    second = started(ports)
    run_transfer(ports, first)
    export = ports.catalog.snapshot(TENANT, snapshot.id).export
    assert export is not None
    assert (export.transfer_id, export.status) == (second.subject, ExportStatus.PREPARING)
    assert first.subject != second.subject
    finish(ports)
    found = export_snapshot(ports, TENANT, snapshot.id)
    assert found.parts is not None
    assert entities(ports, found.parts) == content(ports, snapshot.id)
    cancel_export(ports, TENANT, snapshot.id)
    assert export_snapshot(ports, TENANT, snapshot.id).parts is None
    cancel_export(ports, TENANT, snapshot.id)
    delete_snapshot(ports, TENANT, snapshot.id)
    with pytest.raises(SnapshotNotFound):
        cancel_export(ports, TENANT, snapshot.id)


def test_export_is_refused_when_the_snapshot_is_not_completed() -> None:
    ports = world()
    running = create_snapshot(ports, TENANT, budget_s=-1)
    with pytest.raises(SnapshotNotCompleted, match="creating"):
        export_snapshot(ports, TENANT, running.id)


def test_export_that_fails_says_why_once_and_is_tried_anew_by_the_next_request() -> None:
    ports = world()
    snapshot = layered(ports)
    damage(ports, packs(ports)[0])
    export_snapshot(ports, TENANT, snapshot.id)
    finish(ports)
    with pytest.raises(ExportFailed, match="damaged"):
        export_snapshot(ports, TENANT, snapshot.id)
    assert users(ports, snapshot) == frozenset()
    damage(ports, packs(ports)[0])
    found = exported(ports, snapshot)
    assert found.parts is not None
    assert entities(ports, found.parts) == content(ports, snapshot.id)


def test_next_request_drives_on_an_export_whose_execution_died() -> None:
    ports = world()
    snapshot = layered(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    end(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    assert started(ports).attempt == 2
    finish(ports)
    assert export_snapshot(ports, TENANT, snapshot.id).parts is not None


def test_export_is_prepared_anew_before_its_objects_expire() -> None:
    ports = world()
    snapshot = layered(ports)
    first = exported(ports, snapshot)
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(timedelta(days=6).total_seconds())
    assert export_snapshot(ports, TENANT, snapshot.id).parts is None
    finish(ports)
    second = export_snapshot(ports, TENANT, snapshot.id)
    assert first.parts is not None
    assert second.parts is not None
    assert second.digest == first.digest
    merged = {part.key for part in first.parts if part.key.startswith("transfer-exports/")}
    assert merged
    assert not merged & {part.key for part in second.parts}


def test_collection_ends_an_export_that_nobody_prepares_and_leaves_its_objects_to_the_bucket() -> None:
    ports = world()
    snapshot = layered(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    collect_garbage(ports, TENANT)
    assert users(ports, snapshot) != frozenset()
    run_transfer(numbered(ports, Counter()), started(ports))
    export = ports.catalog.snapshot(TENANT, snapshot.id).export
    assert export is not None
    assert export.status is ExportStatus.READY
    assert isinstance(ports.payloads, MemoryPayloads)
    before = {one for one in ports.payloads.objects if one.startswith("transfer-exports/")}
    days_pass(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    end(ports)
    collect_garbage(ports, TENANT)
    assert users(ports, snapshot) == frozenset()
    assert before
    assert before <= ports.payloads.objects.keys()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_export_is_whole_after_its_execution_died_at_any_call(after: bool) -> None:
    ports, counter = world(), Counter()
    snapshot = layered(ports)
    export_snapshot(ports, TENANT, snapshot.id)
    run_transfer(numbered(ports, counter), started(ports))
    for fatal in range(1, counter.calls + 1):
        ports = world()
        snapshot = layered(ports)
        export_snapshot(ports, TENANT, snapshot.id)
        with pytest.raises(Death):
            run_transfer(numbered(ports, Counter(fatal, after=after)), started(ports))
        end(ports)
        found = exported(ports, snapshot)
        assert found.parts is not None, fatal
        assert entities(ports, found.parts) == content(ports, snapshot.id)
        assert users(ports, snapshot) == frozenset()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_export_is_whole_when_aws_fails_at_any_call_of_its_execution(after: bool) -> None:
    ports, counter = world(), Counter()
    export_snapshot(ports, TENANT, layered(ports).id)
    run_transfer(numbered(ports, counter), started(ports))
    for first in range(1, counter.calls + 1):
        ports = world()
        snapshot = layered(ports)
        export_snapshot(ports, TENANT, snapshot.id)
        run_transfer(
            numbered(ports, Counter(first, after=after, error=lambda: Throttled("slow down"))), started(ports), tries=3
        )
        assert export_snapshot(ports, TENANT, snapshot.id).parts is not None, first
        assert users(ports, snapshot) == frozenset()
