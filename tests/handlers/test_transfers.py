"""The endpoints that take snapshots elsewhere, and the phases of their state machine."""

from typing import Any

import pytest

from functions.ngsi.copy_snapshot import handler as copy_snapshot
from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.get_snapshot import handler as get_snapshot
from functions.transfer.abort.handler import handler as abort
from functions.transfer.begin.handler import handler as begin
from functions.transfer.copy_packs.handler import handler as copy_packs
from functions.transfer.seal.handler import handler as seal
from tests.fakes import MemoryWorkflows, Started
from tests.handlers.phases import TENANT, Handler, Left, run, write
from tests.handlers.rest import Answer, assert_error, call, request, sample
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports

STAGING = Tenant("staging")
SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"


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
    assert begun == {"kind": "copy", "shards": list(range(16)), "over": False}
    records = [run(copy_packs, "transfer", "copy_packs", **told, shard=shard)["records"] for shard in range(16)]
    assert sum(int(str(one)) for one in records) == 20
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


PHASES = [("begin", begin), ("copy_packs", copy_packs), ("seal", seal), ("abort", abort)]


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
