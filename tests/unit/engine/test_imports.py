"""Imports: what was exported comes back with the same digest, in any form; what is no import is refused whole."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.driving import TENANT, content, delete, key, live, put, run_restore, run_transfer, upload_urls
from tests.fakes import ManualClock, MemoryLinks, MemoryPayloads, MemoryWorkflows
from tests.unit.engine.disturbed import Counter, Death, numbered, world
from tests.unit.engine.test_copies import collecting, end, finish, layered, started
from tests.unit.engine.test_exports import exported
from tidemark.dialects.ngsi import exports, imports
from tidemark.dialects.wire import Request
from tidemark.domain.live import Layout
from tidemark.domain.snapshot import Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.transfer import building, documents, plans, sorting, uploads
from tidemark.errors import ImportIncomplete, ImportNotOpen, InvalidRequest, SnapshotNotFound, Throttled
from tidemark.ports import Ports
from tidemark.usecases import transfer_phases
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.delete_snapshot import delete_snapshot
from tidemark.usecases.import_snapshot import open_import, read_import, start_import
from tidemark.usecases.restore_snapshot import restore_snapshot
from tidemark.usecases.verify_snapshot import verify_snapshot

ELSEWHERE = Tenant("elsewhere")


def links_of(ports: Ports) -> MemoryLinks:
    assert isinstance(ports.links, MemoryLinks)
    return ports.links


def taken_away(ports: Ports, snapshot: Snapshot) -> tuple[dict[str, Any], list[bytes]]:
    """The manifest of an export as it is answered, and its files."""
    found = exported(ports, snapshot)
    assert found.parts is not None
    asked = Request("GET", "", "", TENANT, "")
    manifest = msgspec.to_builtins(exports.render(ports, asked, found, found.parts))
    return manifest, [links_of(ports).fetch(part["url"]) for part in manifest["parts"]]


def opened(ports: Ports, body: object, files: list[bytes], tenant: Tenant = ELSEWHERE) -> Snapshot:
    """An import whose files are uploaded."""
    begun = read_import(ports, tenant, open_import(ports, tenant, imports.parse_import(body)).id)
    for number, file in enumerate(files):
        urls = upload_urls(ports, begun, number)
        size = begun.files[number].part_bytes
        for part, url in enumerate(urls):
            links_of(ports).send(url, file[part * size : (part + 1) * size])
    return begun.snapshot


def imported(ports: Ports, body: object, files: list[bytes], tenant: Tenant = ELSEWHERE) -> Snapshot:
    """The snapshot as it stands when the import is over."""
    snapshot = opened(ports, body, files, tenant)
    start_import(ports, tenant, snapshot.id)
    finish(ports)
    return ports.catalog.snapshot(tenant, snapshot.id)


def of_files(*files: bytes) -> dict[str, Any]:
    return {"files": [{"name": f"f{number}", "sizeBytes": len(file)} for number, file in enumerate(files)]}


def entity(number: int, value: object = 1, type_: str = "Room") -> dict[str, Any]:
    return {"id": f"r{number}", "type": type_, "t": {"type": "Number", "value": value, "metadata": {}}}


def ndjson(*entities: object) -> bytes:
    return "".join(f"{json.dumps(one)}\n" for one in entities).encode()


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few entities fit in memory, and few runs are merged at once."""
    monkeypatch.setattr(sorting, "RUN_BYTES", 700)
    monkeypatch.setattr(building, "FAN_IN", 2)
    monkeypatch.setattr(uploads, "_READ_BYTES", 1000)


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("shards", [1, 2, 8])
def test_export_then_import_gives_the_same_entities_and_digest_in_another_stack(shards: int) -> None:
    here = world()
    snapshot = layered(here)
    manifest, files = taken_away(here, snapshot)
    there = replace(world(), layout=Layout(shards=shards, gates=2))
    back = imported(there, {"manifest": manifest}, files)
    assert back.status is SnapshotStatus.COMPLETED, back.failure
    assert (back.trigger, back.entity_count, back.digest) == (Trigger.IMPORT, snapshot.entity_count, manifest["digest"])
    assert content(there, back.id, ELSEWHERE) == content(here, snapshot.id)
    assert back.manifest is not None
    assert len(manifests.read(there.payloads, back.manifest).shards) == shards
    verified = verify_snapshot(there, ELSEWHERE, back.id, budget_s=1e9).snapshot.verification
    assert verified is not None
    assert verified.ok
    restore = restore_snapshot(there, ELSEWHERE, back.id)
    assert run_restore(there, restore.id, tenant=ELSEWHERE) is None
    assert live(there, ELSEWHERE) == content(here, snapshot.id)
    put(there, {key(7000): 1}, ELSEWHERE)
    assert content(there, create_snapshot(there, ELSEWHERE).id, ELSEWHERE) == live(there, ELSEWHERE)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=st.dictionaries(st.integers(0, 60), st.integers(-5, 5), min_size=1, max_size=40),
    changed=st.dictionaries(st.integers(0, 60), st.one_of(st.none(), st.integers(6, 9)), max_size=6),
    shards=st.sampled_from([1, 2, 4, 16]),
    joined=st.booleans(),
    run_bytes=st.integers(100, 5000),
)
def test_digest_survives_export_and_import_whatever_the_entities_layers_and_shards(
    monkeypatch: pytest.MonkeyPatch,
    written: dict[int, int],
    changed: dict[int, int | None],
    shards: int,
    joined: bool,
    run_bytes: int,
) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(building, "FAN_IN", 2)
    here = world()
    put(here, {key(number): value for number, value in written.items()})
    create_snapshot(here, TENANT)
    put(here, {key(number): value for number, value in changed.items() if value is not None})
    gone = [key(number) for number, value in changed.items() if value is None and number in written]
    if gone:
        delete(here, *gone)
    manifest, files = taken_away(here, create_snapshot(here, TENANT))
    there = replace(world(), layout=Layout(shards=shards, gates=2))
    if joined:
        whole = b"".join(files)
        back = imported(there, {"sizeBytes": len(whole)}, [whole])
    else:
        back = imported(there, {"manifest": manifest}, files)
    assert (back.status, back.digest) == (SnapshotStatus.COMPLETED, manifest["digest"]), back.failure
    assert content(there, back.id, ELSEWHERE) == live(here)


def _zstd(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("packed", [lambda text: text, _zstd, gzip.compress], ids=["plain", "zstd", "gzip"])
@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
def test_entities_come_in_lines_or_one_array_packed_or_not(packed: Callable[[bytes], bytes], array: bool) -> None:
    given = [entity(number, value=number / 4) for number in range(40)]
    random.Random(1).shuffle(given)
    text = json.dumps(given, indent=1, ensure_ascii=False).encode() if array else ndjson(*given)
    file = packed(text)
    ports = world()
    back = imported(ports, of_files(file), [file])
    assert back.status is SnapshotStatus.COMPLETED, back.failure
    held = content(ports, back.id, ELSEWHERE)
    assert {one.id for one in held} == {one["id"] for one in given}
    for one, doc in held.items():
        [same] = [other for other in given if other["id"] == one.id]
        assert json.loads(doc) == same
        assert doc == json.dumps(same, sort_keys=True, separators=(",", ":"))


def test_parts_packed_one_by_one_can_be_joined_and_lines_may_be_blank() -> None:
    parts = [gzip.compress(ndjson(entity(1)) + b"\r\n\n"), gzip.compress(json.dumps(entity(2)).encode())]
    file = b"".join(parts)
    ports = world()
    back = imported(ports, {"sizeBytes": len(file)}, [file])
    assert (back.status, back.entity_count) == (SnapshotStatus.COMPLETED, 2)


def test_service_path_of_plain_entities_is_that_of_the_request() -> None:
    file = ndjson(entity(1), {"id": "r2"})
    ports = world()
    back = imported(ports, {**of_files(file), "servicePath": "/city/parks/"}, [file])
    held = sorted(content(ports, back.id, ELSEWHERE))
    assert [(one.type, one.id, one.path) for one in held] == [
        ("Room", "r1", "/city/parks"),
        ("Thing", "r2", "/city/parks"),
    ]


@pytest.mark.parametrize("file", [b"", b"[]", b" [ ] \n", b"\n\n"])
def test_file_without_entities_is_an_empty_snapshot(file: bytes) -> None:
    ports = world()
    back = imported(ports, of_files(file), [file])
    assert (back.status, back.entity_count) == (SnapshotStatus.COMPLETED, 0)


LINE = ndjson(entity(1))
REFUSALS: dict[str, tuple[bytes, str]] = {
    "not-json": (LINE + b"{nonsense}\n", "file 'f0', line 2: it is not JSON"),
    "no-object": (LINE + b"7\n", "line 2: an entity must be a JSON object"),
    "no-id": (LINE + ndjson({"type": "Room"}), "line 2: an entity needs an id"),
    "bad-id": (LINE + ndjson({"id": "a b"}), "line 2: the entity id 'a b' is not valid"),
    "forbidden": (LINE + ndjson(entity(2, "<script>")), "line 2: the value of the attribute 't' holds the forbidden"),
    "key-values": (LINE + ndjson({"id": "a", "t": 7}), "line 2: the attribute 't' must be an object"),
    "deep": (LINE + ndjson(entity(2, json.loads("[" * 60 + "]" * 60))), "line 2: the body is nested more than 50"),
    "too-large": (LINE + ndjson(entity(2, "x" * 200_000)), "line 2: the entity has 200"),
    "endless-line": (LINE + b" " * 1_100_000 + b"{}", "line 2: it has more than 1048576 bytes"),
    "twice": (LINE + ndjson(entity(2)) + LINE, "line 3: entity 'r1' of type 'Room' in / is there already, in file"),
    "no-utf8": (b'[{"id":"\xff"}]', "not UTF-8"),
    "array-cut": (b'[{"id":"a"},{"id":"b"}', "element 2: the text ends before the array does"),
    "array-cut-inside": (b'[{"id":"a"},{"id":"b', "element 2: it is not JSON, or the text is truncated"),
    "array-comma": (b'[{"id":"a"} {"id":"b"}]', "element 1: a comma must follow"),
    "array-tail": (b'[{"id":"a"}] 7', "something follows the end"),
    "array-open": (b"[", "element 1: it is not JSON"),
    "array-twice": (b'[{"id":"a"},{"id":"a"}]', "element 2: entity 'a' of type 'Thing' in / is there already"),
    "array-bad": (b'[{"id":"a"},{"id":7}]', "element 2: the entity id must be a string"),
    "zstd-cut": (_zstd(LINE * 1)[:-2], "truncated: its last zstd frame has no end"),
    "zstd-wrong": (_zstd(LINE)[:-4] + b"abcd", "zstd frames cannot be unpacked"),
    "gzip-cut": (gzip.compress(LINE)[:-9], "truncated: its last gzip member has no end"),
    "gzip-wrong": (gzip.compress(LINE) + b"tail", "gzip members cannot be unpacked"),
    "tombstone": (b'{"key":["Room","r1","/"],"tombstone":true}\n', "line 1: it must have a key and a value"),
    "other-key": (b'{"key":["Room","r2","/"],"value":{"id":"r1","type":"Room"}}\n', "line 1: its key"),
    "bad-key": (b'{"key":["Room","r2"],"value":{"id":"r1","type":"Room"}}\n', "line 1: its key must be an array"),
    "bad-path": (b'{"key":["Room","r1","x"],"value":{"id":"r1","type":"Room"}}\n', "line 1: Fiware-ServicePath 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_import_is_refused_whole_and_names_file_line_and_reason(case: str) -> None:
    file, said = REFUSALS[case]
    ports = world()
    good = ndjson(*(entity(number) for number in range(100, 120)))
    refused = imported(ports, of_files(file, good), [file, good])
    assert refused.status is SnapshotStatus.FAILED
    assert refused.failure is not None
    assert refused.failure.code == "ImportRefused"
    assert said in refused.failure.message
    collect_garbage(ports, ELSEWHERE)
    assert isinstance(ports.payloads, MemoryPayloads)
    assert [one for one in ports.payloads.objects if one.startswith(f"{ELSEWHERE}/")] == []


@pytest.mark.usefixtures("small_runs")
def test_duplicate_is_found_across_files_and_rounds_of_merging() -> None:
    files = [ndjson(*(entity(number) for number in range(start, start + 30))) for start in (0, 30, 60)]
    files[2] += ndjson(entity(17))
    ports = world()
    refused = imported(ports, of_files(*files), files)
    assert refused.failure is not None
    assert refused.failure.message == (
        "file 'f2', line 31: entity 'r17' of type 'Room' in / is there already, in file 'f0', line 18"
    )


def test_bomb_is_refused_in_bounded_memory() -> None:
    file = _zstd(bytes(64_000_000))
    assert len(file) < 10_000
    ports = world()
    refused = imported(ports, of_files(file), [file])
    assert refused.failure is not None
    assert "line 1: it has more than 1048576 bytes" in refused.failure.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"records": 61}, "all parts"),
        ({"version": 2}, "format version 2; this release reads version 1"),
        ({"version": True}, "format version True; this release reads version 1"),
        ({"format": "other"}, "'format' must be 'tidemark-export'"),
        ({"digest": "x"}, "64 hexadecimal digits"),
        ({"partCount": 9}, "all parts"),
        ({"partCount": True}, "whole number"),
        ({"parts": {}}, "'parts' must be an array"),
    ],
)
def test_manifest_that_is_none_is_refused_before_anything_is_created(change: dict[str, Any], said: str) -> None:
    here = world()
    manifest, _ = taken_away(here, layered(here))
    with pytest.raises(InvalidRequest, match=said):
        imports.parse_import({"manifest": {**manifest, **change}})


def test_import_is_refused_when_the_files_are_not_those_of_the_manifest() -> None:
    here = world()
    manifest, files = taken_away(here, layered(here))
    cases: list[tuple[Callable[[dict[str, Any]], None], str]] = [
        (lambda told: told.update(digest="0" * 64), "their manifest says 000"),
        (lambda told: told["parts"][0].update(sha256="0" * 64), "its SHA-256 is not the one in the manifest"),
    ]
    for spoil, said in cases:
        told = json.loads(json.dumps(manifest))
        spoil(told)
        refused = imported(world(), {"manifest": told}, files)
        assert refused.failure is not None
        assert said in refused.failure.message
    told = json.loads(json.dumps(manifest))
    told["parts"][0]["records"] += 1
    told["records"] += 1
    refused = imported(world(), {"manifest": told}, files)
    assert refused.failure is not None
    assert "the manifest says" in refused.failure.message


def test_start_names_the_part_that_is_missing_and_can_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "SMALLEST_PART_BYTES", 100)
    ports = world()
    file = ndjson(*(entity(number) for number in range(5)))
    wanted = imports.parse_import({"sizeBytes": len(file)})
    begun = read_import(ports, ELSEWHERE, open_import(ports, ELSEWHERE, wanted).id)
    urls = upload_urls(ports, begun, 0)
    assert len(urls) > 2
    pieces = [file[start : start + 100] for start in range(0, len(file), 100)]
    for url, piece in list(zip(urls, pieces, strict=True))[1:]:
        links_of(ports).send(url, piece)
    with pytest.raises(ImportIncomplete, match=f"part 1 of {len(urls)} of file 'upload' is missing"):
        start_import(ports, ELSEWHERE, begun.snapshot.id)
    links_of(ports).send(urls[0], pieces[0][:-1])
    with pytest.raises(ImportIncomplete, match="has 99 bytes instead of 100"):
        start_import(ports, ELSEWHERE, begun.snapshot.id)
    links_of(ports).send(urls[0], pieces[0])
    start_import(ports, ELSEWHERE, begun.snapshot.id)
    start_import(ports, ELSEWHERE, begun.snapshot.id)
    assert isinstance(ports.workflows, MemoryWorkflows)
    assert len(ports.workflows.started) == 1
    finish(ports)
    with pytest.raises(ImportNotOpen, match="completed"):
        start_import(ports, ELSEWHERE, begun.snapshot.id)
    assert ports.catalog.snapshot(ELSEWHERE, begun.snapshot.id).entity_count == 5


def test_start_is_refused_for_a_snapshot_that_is_no_import() -> None:
    ports = world()
    with pytest.raises(ImportNotOpen, match="not an import"):
        start_import(ports, TENANT, create_snapshot(ports, TENANT).id)


def test_import_can_be_deleted_while_it_waits_for_files_and_while_it_runs() -> None:
    ports = world()
    waiting = open_import(ports, ELSEWHERE, imports.parse_import({"sizeBytes": 1}))
    delete_snapshot(ports, ELSEWHERE, waiting.id)
    with pytest.raises(SnapshotNotFound, match="deleted"):
        start_import(ports, ELSEWHERE, waiting.id)
    running = opened(ports, of_files(LINE), [LINE])
    start_import(ports, ELSEWHERE, running.id)
    delete_snapshot(ports, ELSEWHERE, running.id)
    finish(ports)
    gone = ports.catalog.snapshot(ELSEWHERE, running.id)
    assert (gone.status, gone.failure and gone.failure.code) == (SnapshotStatus.DELETED, "TransferCancelled")
    collect_garbage(ports, ELSEWHERE)
    assert list(ports.payloads.list(f"{ELSEWHERE}/")) == []


def test_collection_ends_an_import_whose_files_do_not_come_within_a_day() -> None:
    ports = world()
    waiting = open_import(ports, ELSEWHERE, imports.parse_import({"sizeBytes": 1}))
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(timedelta(hours=23).total_seconds())
    collect_garbage(ports, ELSEWHERE)
    assert ports.catalog.snapshot(ELSEWHERE, waiting.id).status is SnapshotStatus.CREATING
    ports.clock.advance(timedelta(hours=2).total_seconds())
    collect_garbage(ports, ELSEWHERE)
    ended = ports.catalog.snapshot(ELSEWHERE, waiting.id)
    assert (ended.status, ended.failure and ended.failure.code) == (SnapshotStatus.FAILED, "ImportIncomplete")


def many() -> list[bytes]:
    return [
        _zstd(ndjson(*(entity(number) for number in range(9)))),
        json.dumps([entity(number) for number in range(9, 16)]).encode(),
    ]


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_import_is_whole_or_ended_when_its_execution_dies_at_any_call(after: bool) -> None:
    files = many()
    ports, counter = world(), Counter()
    start_import(ports, ELSEWHERE, opened(ports, of_files(*files), files).id)
    run_transfer(numbered(ports, counter), started(ports))
    for fatal in range(1, counter.calls + 1):
        ports = world()
        snapshot = opened(ports, of_files(*files), files)
        start_import(ports, ELSEWHERE, snapshot.id)
        with pytest.raises(Death):
            run_transfer(numbered(ports, Counter(fatal, after=after)), started(ports))
        collect_garbage(ports, ELSEWHERE)
        run_transfer(ports, replace(started(ports), attempt=2))
        whole = ports.catalog.snapshot(ELSEWHERE, snapshot.id)
        assert (whole.status, whole.entity_count) == (SnapshotStatus.COMPLETED, 16), (fatal, whole.failure)
        assert len(content(ports, snapshot.id, ELSEWHERE)) == 16


@pytest.mark.usefixtures("small_runs")
def test_collection_keeps_what_a_running_import_has_stored() -> None:
    files = many()
    ports = world()
    snapshot = opened(ports, of_files(*files), files)
    start_import(ports, ELSEWHERE, snapshot.id)
    run_transfer(collecting(ports, ELSEWHERE), started(ports))
    whole = ports.catalog.snapshot(ELSEWHERE, snapshot.id)
    assert (whole.status, whole.entity_count) == (SnapshotStatus.COMPLETED, 16), whole.failure
    assert len(content(ports, snapshot.id, ELSEWHERE)) == 16


@pytest.mark.usefixtures("small_runs")
def test_import_is_ended_by_the_collection_when_nobody_drives_it_on() -> None:
    files = many()
    ports = world()
    snapshot = opened(ports, of_files(*files), files)
    start_import(ports, ELSEWHERE, snapshot.id)
    with pytest.raises(Death):
        run_transfer(numbered(ports, Counter(30)), started(ports))
    end(ports)
    collect_garbage(ports, ELSEWHERE)
    assert ports.catalog.snapshot(ELSEWHERE, snapshot.id).status is SnapshotStatus.FAILED
    collect_garbage(ports, ELSEWHERE)
    assert list(ports.payloads.list(f"{ELSEWHERE}/")) == []


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_import_is_whole_when_aws_fails_at_any_call_of_its_execution(after: bool) -> None:
    files = many()
    ports, counter = world(), Counter()
    start_import(ports, ELSEWHERE, opened(ports, of_files(*files), files).id)
    run_transfer(numbered(ports, counter), started(ports))
    for first in range(1, counter.calls + 1):
        ports = world()
        snapshot = opened(ports, of_files(*files), files)
        start_import(ports, ELSEWHERE, snapshot.id)
        disturbed = numbered(ports, Counter(first, after=after, error=lambda: Throttled("slow down")))
        run_transfer(disturbed, started(ports), tries=3)
        whole = ports.catalog.snapshot(ELSEWHERE, snapshot.id)
        assert (whole.status, whole.entity_count) == (SnapshotStatus.COMPLETED, 16), (first, whole.failure)


def test_late_begin_leaves_the_digest_and_all_else_of_a_completed_import_alone() -> None:
    ports = world()
    snapshot = opened(ports, of_files(LINE), [LINE])
    start_import(ports, ELSEWHERE, snapshot.id)
    sealed: list[Snapshot] = []

    class Late(MemoryPayloads):
        """Begin stands still after it has read the plan, until another run has done everything."""

        def get(self, key: str) -> bytes:
            run_transfer(ports, started(ports))
            sealed.append(ports.catalog.snapshot(ELSEWHERE, snapshot.id))
            return ports.payloads.get(key)

    transfer = started(ports).subject
    transfer_phases.begin(replace(ports, payloads=Late()), ELSEWHERE, snapshot.id, transfer, attempt=1)
    assert (sealed[0].status, sealed[0].digest is None) == (SnapshotStatus.COMPLETED, False)
    assert ports.catalog.snapshot(ELSEWHERE, snapshot.id) == sealed[0]


def test_documents_are_the_same_wherever_reading_was_left() -> None:
    texts = [ndjson(*range(20)), json.dumps([{"é": [n]} for n in range(20)], ensure_ascii=False).encode()]
    for text in texts:
        for size in (1, 7, 1000):
            pieces = [text[start : start + size] for start in range(0, len(text), size)]
            form, whole = documents.form_of(iter(pieces))
            found = list(documents.documents("f", whole, documents.Place(form)))
            assert len(found) == 20
            for left in found:
                place = documents.Place(form, left.number, left.end)
                rest = list(documents.documents("f", iter(pieces), place))
                assert rest == found[left.number :]
