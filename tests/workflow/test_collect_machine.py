"""collect.asl.json: the way that a collection takes through all tenants, whatever its phases answer."""

import json
from typing import Any

import pytest

from tests.repo.sources import resources
from tests.workflow.scripted import Machines, Script
from tidemark.errors import AwsFailure, Throttled

MACHINE = "CollectStateMachine"
TOLD = {"dryRun": False}
KEY = "work-lists/collections/run/tenants.json"
TENANTS = ["acme", "harbour", "smartcity"]
REPORT: dict[str, Any] = {"whole": True, "message": "", "tenants": 3, "finished": 3, "deletedObjects": 7}


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "list_tenants": {"run": "run", "tenantsKey": KEY, "tenants": 3, "environments": 0},
            "collect_garbage": {"done": True},
            "report_collection": REPORT,
        }
    )
    machines.put(KEY, [{"tenant": tenant} for tenant in TENANTS])
    machines.use(script)
    return script


def test_collection_looks_at_every_tenant_and_reports_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["ListTenants", "AnyTenants", "CollectTenants", "Report", "Outcome", "Collected"]
    assert run.status == "SUCCEEDED"
    assert run.output["outcome"]["report"] == REPORT
    assert len(script.calls["list_tenants"][0]["run"]) > 3
    called = sorted(script.calls["collect_garbage"], key=lambda call: str(call["tenant"]))
    assert called == [{"tenant": tenant, "run": "run", "dryRun": False} for tenant in TENANTS]
    assert script.calls["report_collection"] == [{"run": "run"}]


def test_collection_says_that_it_is_dry(machines: Machines, script: Script) -> None:
    machines.run(MACHINE, {"dryRun": True})
    assert {call["dryRun"] for call in script.calls["collect_garbage"]} == {True}


def test_collection_calls_again_until_a_tenant_is_done(machines: Machines, script: Script) -> None:
    script.say("collect_garbage", {"done": False}, {"done": False}, {"done": True})
    assert machines.run(MACHINE, TOLD).status == "SUCCEEDED"
    calls = script.calls["collect_garbage"]
    assert len(calls) == 5
    assert [call.keys() for call in calls] == [{"tenant", "run", "dryRun"}] * 5


def test_collection_goes_on_with_the_others_when_tenants_fail_and_fails_at_the_end(
    machines: Machines, script: Script
) -> None:
    script.say("collect_garbage", RuntimeError("no luck"), {"done": True})
    script.say("report_collection", {**REPORT, "whole": False, "message": "tenant acme was not finished"})
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["ListTenants", "AnyTenants", "CollectTenants", "Report", "Outcome", "NotAllCollected"]
    assert (run.status, run.error, run.cause) == ("FAILED", "NotAllCollected", "tenant acme was not finished")
    assert {call["tenant"] for call in script.calls["collect_garbage"]} == set(TENANTS)


@pytest.mark.parametrize("phase", ["list_tenants", "collect_garbage", "report_collection"])
@pytest.mark.parametrize("error", [Throttled("slow down"), AwsFailure("503")])
def test_collection_tries_again_when_a_failure_may_pass(
    machines: Machines, script: Script, phase: str, error: Exception
) -> None:
    well = script.answer(phase)
    script.say(phase, error, error, well)
    assert machines.run(MACHINE, TOLD).status == "SUCCEEDED"


@pytest.mark.parametrize("phase", ["list_tenants", "report_collection"])
def test_collection_fails_and_says_why_when_it_cannot_go_on(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, RuntimeError("no luck"))
    run = machines.run(MACHINE, TOLD)
    assert run.path[-1] == "CollectionFailed"
    assert "no luck" in (run.cause or "")


def test_collection_fails_when_the_list_of_tenants_is_gone(machines: Machines, script: Script) -> None:
    gone = "work-lists/collections/none.json"
    script.say("list_tenants", {"run": "run", "tenantsKey": gone, "tenants": 3, "environments": 0})
    run = machines.run(MACHINE, TOLD)
    assert run.path[-1] == "CollectionFailed"
    assert script.calls["collect_garbage"] == []


def test_collection_maps_over_no_empty_list_when_there_is_no_tenant(machines: Machines, script: Script) -> None:
    # It is not even looked for.
    none = "work-lists/collections/none.json"
    script.say("list_tenants", {"run": "run", "tenantsKey": none, "tenants": 0, "environments": 0})
    run = machines.run(MACHINE, TOLD)
    assert run.path == ["ListTenants", "AnyTenants", "Report", "Outcome", "Collected"]
    assert script.calls["collect_garbage"] == []


def test_collection_looks_at_environments_when_there_is_no_tenant(machines: Machines, script: Script) -> None:
    script.say("list_tenants", {"run": "run", "tenantsKey": KEY, "tenants": 0, "environments": 3})
    assert "CollectTenants" in machines.run(MACHINE, TOLD).path
    assert len(script.calls["collect_garbage"]) == 3


def test_only_the_collector_may_delete_packs_and_manifests_and_others_no_more_than_parts_of_uploaded_images() -> None:
    deleting = {
        (name, json.dumps(statement["Resource"]))
        for name, function in resources("AWS::Serverless::Function").items()
        for policy in function["Policies"]
        for said in policy["Statement"]
        for statement in said.get("Fn::If", ["", said])[1:]
        if "s3:DeleteObject" in json.dumps(statement.get("Action"))
    }
    wanted = json.dumps([{"Fn::Sub": "${Bucket.Arn}/*/packs/*"}, {"Fn::Sub": "${Bucket.Arn}/*/manifests/*"}])
    uploaded = json.dumps({"Fn::Sub": "${Bucket.Arn}/transfer-imports/volume-images/*"})
    assert {one for one in deleting if one[1] != uploaded} == {("CollectGarbageFunction", wanted)}
    assert ("CollectGarbageFunction", uploaded) in deleting


def test_schedule_starts_the_machine_with_what_it_takes() -> None:
    schedule = resources("AWS::Scheduler::Schedule")["CollectionsSchedule"]
    assert json.loads(schedule["Target"]["Input"]) == TOLD
    assert schedule["Target"]["Arn"] == {"Ref": MACHINE}
    assert schedule["ScheduleExpression"] == {"Ref": "CollectSchedule"}
