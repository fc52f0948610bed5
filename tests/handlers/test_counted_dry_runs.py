"""A dry run that its request has no time for, as the REST API tells of it and the functions of its phases run it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.capture.abort.handler import handler as abort
from functions.capture.begin.handler import handler as begin
from functions.capture.conclude.handler import handler as conclude
from functions.capture.count_shard.handler import handler as count_shard
from functions.ngsi.get_plan import handler as get_plan
from functions.ngsi.restore_snapshot import handler as restore_snapshot
from tests.driving import key, put
from tests.fakes import ManualClock, MemoryWorkflows
from tests.handlers.phases import TENANT, Handler, Left, run
from tests.handlers.rest import Answer, assert_error, call, request, sample
from tidemark import bootstrap
from tidemark.errors import CountIncomplete, InvalidRequest
from tidemark.ports import Ports
from tidemark.tasks import Result
from tidemark.usecases.create_snapshot import create_snapshot

ROOMS = [key(number) for number in range(3)]


class HurriedClock(ManualClock):
    """A clock by which every look at it takes a minute."""

    def monotonic_s(self) -> float:
        self.advance(60)
        return super().monotonic_s()


def ask(body: object) -> Answer:
    return call(restore_snapshot.handler, request("ngsi", "restore_snapshot", body=body))


@pytest.fixture
def begun(ports: Ports) -> Iterator[Answer]:
    """Of three rooms in a snapshot one was changed since, and one is new; and the request had no time."""
    put(ports, dict.fromkeys(ROOMS, 1))
    create_snapshot(ports, TENANT)
    put(ports, {ROOMS[0]: 2, key(9): 1})
    with bootstrap.use(replace(ports, clock=HurriedClock())):
        yield ask({"dryRun": True, "filter": {"type": "Room"}})


def look(plan: Answer) -> Any:
    event = request("ngsi", "get_plan")
    event["path"] = f"/v2/plans/{plan.json['plan']}"
    return call(get_plan.handler, event).json


def ids(begun: Answer) -> dict[str, Any]:
    return {"snapshotId": begun.json["plan"], "captureId": begun.json["plan"], "attempt": 1}


def count(begun: Answer, shards: int | None = None) -> Result:
    """The dry run, with its first shards counted; what Begin answered."""
    started = run(begin, "capture", "begin", **ids(begun))
    assert isinstance(started["shards"], list)
    for shard in started["shards"][:shards]:
        run(count_shard, "capture", "count_shard", planId=begun.json["plan"], token=started["token"], shard=shard)
    return started


def test_dry_run_answers_202_and_where_its_plan_will_be(ports: Ports, begun: Answer) -> None:
    assert begun.status == 202
    assert begun.headers["Location"] == f"/v2/plans/{begun.json['plan']}"
    assert {name: value for name, value in begun.json.items() if name not in {"id", "plan", "plannedAt"}} == {
        "status": "counting",
        "mode": "replace",
        "filter": {"type": "Room"},
        "percent": 0,
    }
    assert isinstance(ports.workflows, MemoryWorkflows)
    (started,) = ports.workflows.started
    assert (started.subject, started.capture_id, started.delay_s) == (begun.json["plan"], begun.json["plan"], 0)


def test_plan_tells_how_far_its_dry_run_is_and_is_refused_until_it_is_over(begun: Answer) -> None:
    started = count(begun, 4)
    assert (look(begun)["status"], look(begun)["percent"]) == ("counting", 25)
    assert_error(ask({"plan": begun.json["plan"]}), 409, "Conflict", "still being made")
    with pytest.raises(CountIncomplete, match="12 shards"):
        run(conclude, "capture", "conclude", planId=begun.json["plan"], token=started["token"])


def test_plan_counted_by_the_phases_is_shown_and_carried_out(ports: Ports, begun: Answer) -> None:
    started = count(begun)
    assert started["dryRun"] is True
    told = run(conclude, "capture", "conclude", planId=begun.json["plan"], token=started["token"])
    assert told == {"records": 4}
    plan = look(begun)
    assert (plan["status"], plan["changes"]) == (
        "planned",
        {"created": 0, "updated": 1, "deleted": 1, "unchanged": 2},
    )
    assert [one["id"] for one in plan["updated"]] == [ROOMS[0].id]
    with bootstrap.use(ports):
        assert ask({"plan": begun.json["plan"]}).status == 202


def test_plan_tells_why_its_dry_run_failed(begun: Answer) -> None:
    run(begin, "capture", "begin", **ids(begun))
    failed = run(abort, "capture", "abort", **ids(begun), error="PackCorrupt", cause="pack a is damaged")
    assert failed == {"status": "failed", "error": "PackCorrupt", "message": "pack a is damaged"}
    assert look(begun)["status"] == "failed"
    assert look(begun)["error"] == {"code": "PackCorrupt", "description": "pack a is damaged"}
    assert_error(ask({"plan": begun.json["plan"]}), 409, "Conflict", "ask for another dry run")
    assert run(begin, "capture", "begin", **ids(begun))["over"] is True


@pytest.mark.parametrize(("function", "handler"), [("count_shard", count_shard), ("conclude", conclude)])
def test_phases_refuse_what_their_state_machine_does_not_send(ports: Ports, function: str, handler: Handler) -> None:
    del ports
    event = sample("capture", function)
    for wrong in ({**event, "more": 1}, {name: event[name] for name in event if name != "planId"}):
        with pytest.raises(InvalidRequest, match="not what its state machine sends"):
            handler(wrong, Left())
