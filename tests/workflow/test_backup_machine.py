"""backup.asl.json: the way that a slot takes, and that of all tenants' slot, whatever the phases answer."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.repo.sources import resources
from tests.workflow.scripted import Machines, Script
from tidemark.domain.schedule import SCHEDULED_TIME, STACK_SCHEDULE_ID
from tidemark.errors import AwsFailure, BackupOverdue, InvalidRequest, PackCorrupt, Throttled

MACHINE = "BackupStateMachine"
SLOT = {"tenant": "smartcity", "scheduleId": "schedule_9f86d081884c7d65", "slotAt": "2026-01-15T10:00:00Z"}
ALL = {"slotAt": "2026-01-15T04:40:00Z"}
KEY = "work-lists/backups/run/tenants.json"
TENANTS = ["acme", "harbour", "smartcity"]
SNAPSHOT = "snapshot_2026-01-15T10-00-02Z"
MADE = {"state": "made", "snapshotId": SNAPSHOT, "reason": "", "waitSeconds": 0}
COMPLETED = {"status": "completed", "snapshotId": SNAPSHOT, "error": "", "cause": ""}
FAILED = {"status": "failed", "snapshotId": "", "error": "PackCorrupt", "cause": "pack 3 is not what was written"}
REPORT: dict[str, Any] = {"begun": True, "message": "", "tenants": 3, "completed": 3, "failedTenants": []}


def _waits(state: str) -> dict[str, Any]:
    return {"state": state, "snapshotId": "", "reason": "something goes on", "waitSeconds": 5}


@pytest.fixture
def script(machines: Machines) -> Script:
    """Phases in which all goes well."""
    script = Script(
        {
            "run_slot": MADE,
            "conclude_slot": COMPLETED,
            "list_due": {"tenantsKey": KEY, "tenants": 3, "scheduleId": STACK_SCHEDULE_ID},
            "report_backups": REPORT,
        }
    )
    machines.put(KEY, [{"tenant": tenant} for tenant in TENANTS])
    machines.use(script)
    return script


# --- one slot


def test_slot_is_run_and_concluded_when_all_goes_well(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, SLOT)
    assert run.path == ["ForWhom", "RunSlot", "SlotState", "ConcludeSlot", "Outcome", "BackedUp"]
    assert run.status == "SUCCEEDED"
    assert run.output["conclusion"] == COMPLETED
    [asked], [concluded] = script.calls["run_slot"], script.calls["conclude_slot"]
    assert {name: asked[name] for name in SLOT} == SLOT
    assert asked["owner"] == concluded["owner"]
    assert concluded == {**SLOT, "owner": asked["owner"]}


def test_owner_and_beginning_are_those_of_the_execution_each_time_it_asks(machines: Machines, script: Script) -> None:
    script.say("run_slot", _waits("waiting"), _waits("creating"), _waits("creating"), MADE)
    run = machines.run(MACHINE, SLOT)
    assert run.path.count("Pause") == 3
    assert run.status == "SUCCEEDED"
    calls = script.calls["run_slot"]
    assert calls == [calls[0]] * 4
    assert calls[0]["begunAt"].startswith("20")
    machines.run(MACHINE, SLOT)
    assert script.calls["run_slot"][-1]["owner"] != calls[0]["owner"]


@pytest.mark.parametrize("state", ["over", "skipped"])
def test_nothing_is_concluded_when_there_is_nothing_to_do(machines: Machines, script: Script, state: str) -> None:
    script.say("run_slot", {**_waits(state), "reason": "the slot was delivered before"})
    run = machines.run(MACHINE, SLOT)
    assert (run.status, run.path[-1]) == ("SUCCEEDED", "SlotOver")
    assert run.output["slot"]["reason"] == "the slot was delivered before"
    assert script.calls["conclude_slot"] == []


def test_execution_fails_and_says_why_when_the_snapshot_is_no_good(machines: Machines, script: Script) -> None:
    script.say("conclude_slot", FAILED)
    run = machines.run(MACHINE, SLOT)
    assert (run.status, run.error, run.cause) == ("FAILED", FAILED["error"], FAILED["cause"])


def test_slot_that_another_execution_took_over_is_no_failure(machines: Machines, script: Script) -> None:
    script.say("conclude_slot", {"status": "lost", "snapshotId": "", "error": "", "cause": ""})
    assert machines.run(MACHINE, SLOT).path[-1] == "SlotOver"


@pytest.mark.parametrize("error", [BackupOverdue("half a day"), PackCorrupt("pack 3"), RuntimeError("no luck")])
def test_failure_of_a_run_is_concluded_as_one(machines: Machines, script: Script, error: Exception) -> None:
    script.say("run_slot", error)
    script.say("conclude_slot", FAILED)
    run = machines.run(MACHINE, SLOT)
    assert run.path == ["ForWhom", "RunSlot", "ConcludeFailure", "Outcome", "BackupFailed"]
    assert (run.status, run.error) == ("FAILED", FAILED["error"])
    [told] = script.calls["conclude_slot"]
    assert told["error"] == type(error).__name__
    assert str(error) in told["cause"]


def test_failure_of_the_conclusion_is_concluded_as_one(machines: Machines, script: Script) -> None:
    script.say("conclude_slot", RuntimeError("no luck"), FAILED)
    run = machines.run(MACHINE, SLOT)
    assert run.path[-4:] == ["ConcludeSlot", "ConcludeFailure", "Outcome", "BackupFailed"]
    assert run.status == "FAILED"


def test_slot_that_was_concluded_well_though_its_answer_was_lost_is_backed_up(
    machines: Machines, script: Script
) -> None:
    script.say("conclude_slot", RuntimeError("the answer was lost"), COMPLETED)
    assert machines.run(MACHINE, SLOT).path[-1] == "BackedUp"


def test_execution_fails_when_not_even_the_failure_can_be_noted(machines: Machines, script: Script) -> None:
    script.say("conclude_slot", InvalidRequest("the catalog is gone"))
    run = machines.run(MACHINE, SLOT)
    assert (run.path[-1], run.error) == ("NotConcluded", "InvalidRequest")


@pytest.mark.parametrize(
    ("told", "phase"),
    [(SLOT, "run_slot"), (SLOT, "conclude_slot"), (ALL, "list_due"), (ALL, "report_backups")],
)
@pytest.mark.parametrize("error", [Throttled("slow down"), AwsFailure("503")])
def test_phase_is_tried_again_when_a_failure_may_pass(
    machines: Machines, script: Script, told: Mapping[str, str], phase: str, error: Exception
) -> None:
    well = script.answer(phase)
    script.say(phase, error, error, well)
    assert machines.run(MACHINE, told).status == "SUCCEEDED"
    assert len(script.calls[phase]) >= 3


# --- all tenants


def test_slot_of_all_tenants_is_run_by_an_execution_for_each(machines: Machines, script: Script) -> None:
    run = machines.run(MACHINE, ALL)
    assert run.path == ["ForWhom", "ListDue", "AnyDue", "BackUpTenants", "Report", "AllBegun", "TenantsBackedUp"]
    assert run.output["outcome"]["report"] == REPORT
    calls = sorted(script.calls["run_slot"], key=lambda call: str(call["tenant"]))
    assert [call["tenant"] for call in calls] == TENANTS
    assert {(call["scheduleId"], call["slotAt"]) for call in calls} == {(STACK_SCHEDULE_ID, ALL["slotAt"])}
    assert len({call["owner"] for call in calls}) == 3
    [listed], [reported] = script.calls["list_due"], script.calls["report_backups"]
    assert listed == reported == {**ALL, "run": listed["run"]}


def test_others_are_backed_up_when_tenants_fail(machines: Machines, script: Script) -> None:
    script.say("run_slot", RuntimeError("no luck"), MADE)
    script.say("conclude_slot", FAILED, COMPLETED)
    script.say("report_backups", {**REPORT, "completed": 2, "failedTenants": ["acme"]})
    run = machines.run(MACHINE, ALL)
    assert run.path[-1] == "TenantsBackedUp"
    assert run.output["outcome"]["report"]["failedTenants"] == ["acme"]
    assert {call["tenant"] for call in script.calls["run_slot"]} == set(TENANTS)


def test_run_fails_when_a_tenant_was_never_begun(machines: Machines, script: Script) -> None:
    script.say("report_backups", {**REPORT, "begun": False, "message": "not begun: harbour"})
    run = machines.run(MACHINE, ALL)
    assert (run.status, run.error, run.cause) == ("FAILED", "NotAllBegun", "not begun: harbour")


@pytest.mark.parametrize("phase", ["list_due", "report_backups"])
def test_run_fails_and_says_why_when_it_cannot_go_on(machines: Machines, script: Script, phase: str) -> None:
    script.say(phase, RuntimeError("no luck"))
    run = machines.run(MACHINE, ALL)
    assert run.path[-1] == "RunFailed"
    assert "no luck" in (run.cause or "")


def test_run_fails_when_the_list_of_tenants_is_gone(machines: Machines, script: Script) -> None:
    gone = {"tenantsKey": "work-lists/backups/none.json", "tenants": 3, "scheduleId": STACK_SCHEDULE_ID}
    script.say("list_due", gone)
    assert machines.run(MACHINE, ALL).path[-1] == "RunFailed"
    assert script.calls["run_slot"] == []


def test_run_maps_over_no_empty_list_when_no_tenant_is_due(machines: Machines, script: Script) -> None:
    # It is not even looked for.
    none = {"tenantsKey": "work-lists/backups/none.json", "tenants": 0, "scheduleId": STACK_SCHEDULE_ID}
    script.say("list_due", none)
    run = machines.run(MACHINE, ALL)
    assert run.path == ["ForWhom", "ListDue", "AnyDue", "Report", "AllBegun", "TenantsBackedUp"]
    assert script.calls["run_slot"] == []


def test_schedule_of_the_template_starts_the_machine_with_the_slot() -> None:
    schedule = resources("AWS::Scheduler::Schedule")["AllTenantsSchedule"]
    assert json.loads(schedule["Target"]["Input"]) == {"slotAt": SCHEDULED_TIME}
    assert schedule["Target"]["Arn"] == {"Ref": MACHINE}
    assert schedule["ScheduleExpression"] == {"Ref": "BackupSchedule"}


def test_role_of_schedules_may_start_the_machine_and_keep_dead_letters_and_nothing_else() -> None:
    role = resources("AWS::IAM::Role")["BackupScheduleRole"]
    granted = [
        (statement["Action"], statement["Resource"])
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    dead_letters = {"Fn::GetAtt": ["BackupDeadLetters", "Arn"]}
    assert granted == [("states:StartExecution", {"Ref": MACHINE}), ("sqs:SendMessage", dead_letters)]
