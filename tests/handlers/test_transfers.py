"""The endpoints that take snapshots elsewhere, and the phases of their state machine."""

import hashlib
import json
from typing import Any

import pytest

from functions.ngsi.cancel_export import handler as cancel_export
from functions.ngsi.copy_snapshot import handler as copy_snapshot
from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.export_snapshot import handler as export_snapshot
from functions.ngsi.get_import import handler as get_import
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.ngsi.open_import import handler as open_import
from functions.ngsi.start_import import handler as start_import
from functions.ngsi.undelete_snapshot import handler as undelete_snapshot
from functions.transfer.abort.handler import handler as abort
from functions.transfer.begin.handler import handler as begin
from functions.transfer.build_shard.handler import handler as build_shard
from functions.transfer.copy_packs.handler import handler as copy_packs
from functions.transfer.merge_shard.handler import handler as merge_shard
from functions.transfer.publish.handler import handler as publish
from functions.transfer.seal.handler import handler as seal
from functions.transfer.sort_file.handler import handler as sort_file
from tests.fakes import ManualClock, MemoryLinks, MemoryWorkflows, Started
from tests.fakes.links import LinkExpired
from tests.handlers.phases import TENANT, Handler, Left, run, write
from tests.handlers.rest import Answer, assert_error, call, request, sample
from tidemark.dialects.ngsi.routes import action
from tidemark.domain.api_key import Action
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer import plans, sorting
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports

STAGING = Tenant("staging")
SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"
LAYERED = "snapshot_2026-01-15T10-02-00Z"


@pytest.fixture
def source(ports: Ports) -> str:
    """A snapshot of some entities; its id, which is that in the sample events."""
    write(ports, *range(20))
    made = call(create_snapshot.handler, sample("ngsi", "create_snapshot"))
    assert made.json["id"] == SNAPSHOT
    return SNAPSHOT


def started(ports: Ports) -> list[Started]:
    assert isinstance(ports.workflows, MemoryWorkflows)
    return ports.workflows.started


def copying(body: object, held: str = "smartcity,staging") -> Answer:
    event = request("ngsi", "copy_snapshot", body=body)
    event["requestContext"]["authorizer"]["tenants"] = held
    return call(copy_snapshot.handler, event)


def ids(execution: Started) -> dict[str, Any]:
    return {
        "tenant": execution.tenant,
        "snapshotId": execution.snapshot_id,
        "transferId": execution.subject,
        "attempt": execution.attempt,
    }


def test_copy_is_accepted_and_completed_by_the_phases(ports: Ports, source: str) -> None:
    accepted = call(copy_snapshot.handler, sample("ngsi", "copy_snapshot"))
    assert (accepted.status, accepted.json["status"]) == (202, "creating")
    assert accepted.headers["Location"] == f"/v2/snapshots/{accepted.json['id']}"
    assert accepted.json["copiedFrom"] == {"service": "smartcity", "id": source}
    assert accepted.json["description"] == "Production of 15 January"
    [execution] = started(ports)
    told = ids(execution)
    begun = run(begin, "transfer", "begin", **told)
    assert begun == {"kind": "copy", "shards": list(range(16)), "files": [], "over": False}
    records, shown = [], []
    for shard in range(16):
        copied = run(copy_packs, "transfer", "copy_packs", **told, shard=shard)["records"]
        records.append(int(str(copied)))
        shown.append(call(get_snapshot.handler, request("ngsi", "get_snapshot", tenant="staging")).json["progress"])
    assert sum(records) == 20
    assert [one["done"] for one in shown] == [sum(records[: shard + 1]) for shard in range(16)]
    assert shown[-1] == {"done": 20, "total": 20, "percent": 99}
    sealed = run(seal, "transfer", "seal", **told)
    assert sealed == {"snapshotId": accepted.json["id"], "status": "completed", "entityCount": 20}
    shown = call(get_snapshot.handler, request("ngsi", "get_snapshot", tenant="staging")).json
    original = call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json
    assert shown["digest"] == original["digest"]
    assert len(shown["digest"]) == 64
    assert (shown["trigger"], shown["entityCount"], shown.get("cut")) == ("copy", 20, None)
    assert run(begin, "transfer", "begin", **told)["over"] is True


def test_copy_has_the_description_of_its_source_unless_it_is_given_another(ports: Ports, source: str) -> None:
    assert copying({"service": "staging"}).json["description"] == "Pre-deployment backup"
    assert copying({"service": "Staging", "description": "mine"}).json["description"] == "mine"
    assert [one.tenant for one in started(ports)] == [STAGING, STAGING]


@pytest.mark.parametrize("held", ["smartcity", "", "smartcity,staging2", None])
def test_copy_is_forbidden_and_creates_nothing_when_the_key_does_not_hold_the_target(
    ports: Ports, source: str, held: str
) -> None:
    assert_error(copying({"service": "staging"}, held), 403, "Forbidden", "staging", "holds both tenants")
    assert list(ports.catalog.snapshots(STAGING)) == []
    assert STAGING not in set(ports.catalog.tenants())
    assert ports.catalog.snapshot(TENANT, source).used_by == frozenset()
    assert started(ports) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'service' must name the tenant that is to have the copy; it is missing"),
        ({"service": None}, "it is null"),
        ({"service": ""}, "'service'"),
        ({"service": 7}, "a number"),
        ({"service": "no/such"}, "no/such"),
        ({"service": "x" * 51}, "not valid"),
        ({"service": "staging", "surprise": 1}, "'surprise' is unknown"),
        ({"service": "staging", "description": 7}, "'description' must be a string"),
        ([], "an array"),
    ],
)
def test_copy_writes_nothing_when_the_body_is_wrong(ports: Ports, source: str, body: object, said: str) -> None:
    assert_error(copying(body, "*"), 400, "BadRequest", said)
    assert started(ports) == []


def test_copy_is_refused_when_there_is_no_body(ports: Ports, source: str) -> None:
    answer = call(copy_snapshot.handler, request("ngsi", "copy_snapshot", text=""))
    assert_error(answer, 400, "ParseError", "empty")


def test_copy_is_not_found_when_the_snapshot_is_another_tenants(ports: Ports, source: str) -> None:
    event = request("ngsi", "copy_snapshot", tenant="staging")
    assert_error(call(copy_snapshot.handler, event), 404, "NotFound", SNAPSHOT)


def test_abort_records_the_failure_and_lets_the_source_go(ports: Ports, source: str) -> None:
    call(copy_snapshot.handler, sample("ngsi", "copy_snapshot"))
    assert ports.catalog.snapshot(TENANT, source).used_by
    [execution] = started(ports)
    told = run(abort, "transfer", "abort", **ids(execution))
    assert (told["status"], told["error"]) == ("failed", "PackCorrupt")
    failed = ports.catalog.snapshot(STAGING, execution.snapshot_id or "")
    assert failed.status is SnapshotStatus.FAILED
    assert ports.catalog.snapshot(TENANT, source).used_by == frozenset()
    assert run(begin, "transfer", "begin", **ids(execution))["over"] is True


def write_twice(ports: Ports) -> None:
    """A snapshot `LAYERED`, some of whose shards have a delta on top of their base."""
    assert isinstance(ports.clock, ManualClock)
    for numbers, value in ((range(200), 0), (range(4), 1)):
        write(ports, *numbers, value=value)
        ports.clock.advance(60)
        call(create_snapshot.handler, sample("ngsi", "create_snapshot"))


def exporting(snapshot_id: str = SNAPSHOT, **query: str) -> Answer:
    path = f"/v2/snapshots/{snapshot_id}/export"
    return call(export_snapshot.handler, request("ngsi", "export_snapshot", path=path, query=query))


def test_export_answers_a_manifest_whose_addresses_hold_the_entities(ports: Ports, source: str) -> None:
    answer = call(export_snapshot.handler, sample("ngsi", "export_snapshot"))
    told = answer.json
    assert answer.status == 200
    members = "format version tenant snapshotId createdAt records digest expiresAt partCount parts"
    assert list(told) == members.split()
    assert (told["format"], told["version"], told["tenant"], told["snapshotId"]) == (
        "tidemark-export",
        1,
        "smartcity",
        source,
    )
    assert (told["records"], sum(part["records"] for part in told["parts"])) == (20, 20)
    assert told["expiresAt"] == "2026-01-15T11:00:00.000Z"
    assert told["digest"] == call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json["digest"]
    links = ports.links
    assert isinstance(links, MemoryLinks)
    for part in told["parts"]:
        body = links.fetch(part["url"])
        assert (len(body), hashlib.sha256(body).hexdigest()) == (part["sizeBytes"], part["sha256"])
        assert part["name"] in part["url"]


def test_addresses_of_an_export_end_and_new_ones_can_be_had(ports: Ports, source: str) -> None:
    links, clock = ports.links, ports.clock
    assert isinstance(links, MemoryLinks)
    assert isinstance(clock, ManualClock)
    url = exporting(expiresIn="60").json["parts"][0]["url"]
    links.fetch(url)
    clock.advance(61)
    with pytest.raises(LinkExpired):
        links.fetch(url)
    links.fetch(exporting(expiresIn="60").json["parts"][0]["url"])


def test_parts_of_an_export_come_in_pages(ports: Ports, source: str) -> None:
    whole = exporting().json["parts"]
    paged = exporting(limit="3", offset="2").json
    assert paged["partCount"] == len(whole)
    assert [part["name"] for part in paged["parts"]] == [part["name"] for part in whole[2:5]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("expiresIn", "59"), ("expiresIn", "21601"), ("expiresIn", "1h"), ("limit", "0"), ("offset", "-1")],
)
def test_export_is_refused_when_a_parameter_is_out_of_range(ports: Ports, source: str, name: str, value: str) -> None:
    assert_error(exporting(**{name: value}), 400, "BadRequest", name, value)


def test_export_of_several_layers_answers_202_until_the_phases_have_merged_them(ports: Ports, source: str) -> None:
    write_twice(ports)
    waiting = exporting(LAYERED)
    assert (waiting.status, waiting.json["status"], waiting.headers["Retry-After"]) == (202, "preparing", "5")
    [execution] = started(ports)
    told = ids(execution)
    begun = run(begin, "transfer", "begin", **told)
    shards = begun["shards"]
    assert begun["kind"] == "export"
    assert isinstance(shards, list)
    assert shards
    for shard in shards:
        assert run(merge_shard, "transfer", "merge_shard", **told, shard=shard)["records"]
    digest = run(publish, "transfer", "publish", **told)["digest"]
    ready = exporting(LAYERED)
    assert (ready.status, ready.json["records"], ready.json["digest"]) == (200, 200, digest)
    assert run(begin, "transfer", "begin", **told)["over"] is True
    assert run(abort, "transfer", "abort", **told)["status"] == "completed"


def test_failed_export_is_a_conflict_that_says_why(ports: Ports, source: str) -> None:
    write_twice(ports)
    exporting(LAYERED)
    [execution] = started(ports)
    assert run(abort, "transfer", "abort", **ids(execution))["status"] == "failed"
    assert_error(exporting(LAYERED), 409, "Conflict", "is missing", "ask again")
    assert exporting(LAYERED).status == 202


def test_export_that_is_cancelled_is_prepared_anew(ports: Ports, source: str) -> None:
    write_twice(ports)
    exporting(LAYERED)
    path = f"/v2/snapshots/{LAYERED}/export"
    for _ in range(2):
        assert call(cancel_export.handler, request("ngsi", "cancel_export", path=path)).status == 204
    assert ports.catalog.snapshot(TENANT, LAYERED).used_by == frozenset()
    [execution] = started(ports)
    assert run(abort, "transfer", "abort", **ids(execution))["status"] == "deleted"
    assert exporting(LAYERED).status == 202
    assert len(started(ports)) == 2


def test_copy_that_is_deleted_while_it_is_made_is_stopped(ports: Ports, source: str) -> None:
    copy = call(copy_snapshot.handler, sample("ngsi", "copy_snapshot")).json["id"]
    path = f"/v2/snapshots/{copy}"
    assert call(delete_snapshot.handler, request("ngsi", "delete_snapshot", path=path, tenant="staging")).status == 204
    [execution] = started(ports)
    assert run(abort, "transfer", "abort", **ids(execution))["status"] == "deleted"
    assert run(begin, "transfer", "begin", **ids(execution))["over"] is True
    undeleted = request("ngsi", "undelete_snapshot", path=f"{path}/undelete", tenant="staging")
    back = call(undelete_snapshot.handler, undeleted).json
    assert (back["status"], back["error"]["code"]) == ("failed", "TransferCancelled")
    assert back["error"]["description"] == "It was deleted before it was completed."


def opening(body: object) -> Answer:
    return call(open_import.handler, request("ngsi", "open_import", body=body))


def starting(snapshot_id: str) -> Answer:
    path = f"/v2/snapshots/{snapshot_id}/import"
    return call(start_import.handler, request("ngsi", "start_import", path=path))


def sent(ports: Ports, told: Any, *files: bytes) -> None:
    links = ports.links
    assert isinstance(links, MemoryLinks)
    for file, body in zip(told["files"], files, strict=True):
        [url] = file["urls"]
        links.send(url, body)


def showing(snapshot_id: str, **query: str) -> Answer:
    path = f"/v2/snapshots/{snapshot_id}/import"
    return call(get_import.handler, request("ngsi", "get_import", path=path, query=query))


def test_new_addresses_can_be_had_of_the_parts_that_are_still_missing(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "SMALLEST_PART_BYTES", 10)
    links, clock = ports.links, ports.clock
    assert isinstance(links, MemoryLinks)
    assert isinstance(clock, ManualClock)
    told = opening({"files": [{"sizeBytes": 25}, {"sizeBytes": 5}]}).json
    first, second, third = told["files"][0]["urls"]
    links.send(first, b"x" * 10)
    # One that arrived in part counts as missing.
    links.send(second, b"x" * 9)
    clock.advance(3600)
    with pytest.raises(LinkExpired):
        links.send(third, b"x" * 5)
    again = showing(told["id"], expiresIn="60")
    assert again.status == 200
    assert again.json["expiresAt"] == "2026-01-15T11:01:00.000Z"
    assert {**again.json, "files": [], "expiresAt": ""} == {**told, "files": [], "expiresAt": ""}
    [large, small] = again.json["files"]
    assert [url is None for url in large["urls"]] == [True, False, False]
    for url, size in zip((*large["urls"][1:], *small["urls"]), (10, 5, 5), strict=True):
        links.send(url, b" " * size)
    assert [file["urls"] for file in showing(told["id"]).json["files"]] == [[None] * 3, [None]]
    assert starting(told["id"]).status == 202
    assert_error(showing(told["id"]), 409, "Conflict", "has begun")


def test_no_addresses_are_given_out_for_what_waits_for_no_files(ports: Ports, source: str) -> None:
    assert_error(showing(source), 409, "Conflict", "not an import")
    assert_error(showing("snapshot_2020-01-01T00-00-00Z"), 404, "NotFound")
    told = opening({"sizeBytes": 25}).json
    links = ports.links
    assert isinstance(links, MemoryLinks)
    links.uploads.clear()
    assert_error(showing(told["id"]), 409, "Conflict", "given up", "begin the import again")


def test_addresses_of_an_import_are_for_keys_that_may_make_snapshots() -> None:
    for method in ("GET", "POST"):
        assert action(method, "/v2/snapshots/{snapshotId}/import") is Action.SNAPSHOT
    assert action("GET", "/v2/snapshots/{snapshotId}/export") is Action.READ
    assert action("DELETE", "/v2/snapshots/{snapshotId}/export") is Action.SNAPSHOT


def test_import_is_opened_fed_and_completed_by_the_phases(ports: Ports) -> None:
    body = b"".join(b'{"id":"r%d","type":"Room"}\n' % number for number in range(30))
    answer = opening({"description": "From the old broker", "sizeBytes": len(body)})
    assert (answer.status, answer.json["status"], answer.json["entityCount"]) == (201, "creating", 0)
    assert answer.headers["Location"] == f"/v2/snapshots/{answer.json['id']}"
    assert answer.json["expiresAt"] == "2026-01-15T11:00:00.000Z"
    [file] = answer.json["files"]
    assert (file["name"], file["sizeBytes"]) == ("upload", len(body))
    assert_error(starting(answer.json["id"]), 409, "Conflict", "part 1 of 1", "missing")
    sent(ports, answer.json, body)
    begun = starting(answer.json["id"])
    assert (begun.status, begun.json["trigger"]) == (202, "import")
    [execution] = started(ports)
    told = ids(execution)
    assert run(begin, "transfer", "begin", **told) == {
        "kind": "import",
        "shards": list(range(16)),
        "files": [0],
        "over": False,
    }
    path = f"/v2/snapshots/{answer.json['id']}"
    shown = []
    for file in range(2):
        # Once more, late: what it went through counts once.
        assert run(sort_file, "transfer", "sort_file", **told) == {"done": True, "place": None}, file
        shown.append(call(get_snapshot.handler, request("ngsi", "get_snapshot", path=path)).json["progress"])
    assert shown == [{"done": 15}] * 2
    for shard in range(16):
        run(build_shard, "transfer", "build_shard", **told, shard=shard)
    shown.append(call(get_snapshot.handler, request("ngsi", "get_snapshot", path=path)).json["progress"])
    assert shown[-1] == {"done": 30}
    assert run(seal, "transfer", "seal", **told)["entityCount"] == 30
    shown = call(get_snapshot.handler, sample("ngsi", "get_snapshot")).json
    assert (shown["status"], shown["trigger"], len(shown["digest"])) == ("completed", "import", 64)
    assert_error(starting(answer.json["id"]), 409, "Conflict", "completed")


def test_sort_file_says_where_to_go_on_when_its_time_is_over(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN_BYTES", 100)
    body = b"".join(b'{"id":"r%d","type":"Room"}\n' % number for number in range(30))
    answer = opening({"sizeBytes": len(body)})
    sent(ports, answer.json, body)
    starting(answer.json["id"])
    [execution] = started(ports)
    told = ids(execution)
    run(begin, "transfer", "begin", **told)
    clock = ports.clock
    assert isinstance(clock, ManualClock)
    stops, place = 0, 0
    while True:
        stopped: Any = run(sort_file, "transfer", "sort_file", **told, place=place, left_ms=59_000)
        clock.advance(1)
        stops += 1
        if stopped["done"]:
            break
        place = json.loads(json.dumps(stopped["place"]))
    assert stops > 3


def test_import_takes_the_manifest_that_export_answers(ports: Ports, source: str) -> None:
    manifest = exporting().json
    answer = opening({"manifest": manifest})
    assert answer.status == 201
    assert [file["name"] for file in answer.json["files"]] == [part["name"] for part in manifest["parts"]]
    assert_error(opening({"manifest": {**manifest, "version": 2}}), 400, "BadRequest", "version 2", "version 1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "exactly one of"),
        ({"sizeBytes": 1, "files": []}, "sizeBytes' (of one file)"),
        ({"files": []}, "'files' must be an array"),
        ({"files": [7]}, "'files[0]' must be an object"),
        ({"files": [{"sizeBytes": -1}]}, "files[0].sizeBytes"),
        ({"files": [{"sizeBytes": 1, "name": "../x"}]}, "files[0].name"),
        ({"files": [{"sizeBytes": 1, "sha256": "x"}]}, "files[0].sha256"),
        ({"sizeBytes": True}, "whole number"),
        ({"sizeBytes": 10**15}, "cut it into several"),
        ({"sizeBytes": 1, "servicePath": "x"}, "Fiware-ServicePath"),
        ({"sizeBytes": 1, "servicePath": 7}, "'servicePath' must be a string"),
        ({"sizeBytes": 1, "description": 7}, "'description' must be a string"),
        ({"manifest": 7}, "'manifest' must be an object"),
        ({"manifest": {}}, "'format' must be"),
        ({"sizeBytes": 1, "surprise": 1}, "'surprise' is unknown"),
    ],
)
def test_import_creates_nothing_when_the_body_is_wrong(ports: Ports, body: object, said: str) -> None:
    assert_error(opening(body), 400, "BadRequest", said)
    assert list(ports.catalog.snapshots(TENANT)) == []


def test_start_is_a_conflict_when_the_snapshot_is_no_import(ports: Ports, source: str) -> None:
    assert_error(starting(source), 409, "Conflict", "not an import")


PHASES = [
    ("sort_file", sort_file),
    ("build_shard", build_shard),
    ("begin", begin),
    ("copy_packs", copy_packs),
    ("merge_shard", merge_shard),
    ("publish", publish),
    ("seal", seal),
    ("abort", abort),
]


@pytest.mark.parametrize(("function", "handler"), PHASES)
def test_phases_refuse_an_input_that_is_not_theirs(ports: Ports, function: str, handler: Handler) -> None:
    event = sample("transfer", function)
    for wrong in (
        {key: value for key, value in event.items() if key != "transferId"},
        {**event, "surprise": 1},
        {**event, "attempt": "1"},
    ):
        with pytest.raises(InvalidRequest, match="is not what its state machine sends"):
            handler(wrong, Left())
