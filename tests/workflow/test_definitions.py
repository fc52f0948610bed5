"""The definitions and the template fit each other: time limits, rights to invoke, and what the template fills in."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.repo.sources import ROOT, definition, relative, resources, state_machine_files, states, template
from tidemark.domain.restore import Phase
from tidemark.usecases.backup_phases import GIVEN_UP_AFTER

MACHINES = state_machine_files()
FUNCTIONS = resources("AWS::Serverless::Function")
# Step Functions gives up after Lambda would have, and no later than this after it.
SLACK_S = 60
EXPRESS_LIMIT_S = 300
# What Maps select for their items: ids, numbers and key ranges.
ITEM_MEMBERS = {
    *("tenant", "snapshotId", "restoreId", "token", "shard", "part", "fromKey", "toKey", "run", "dryRun"),
    *("transferId", "attempt", "file", "place", "planId", "scheduleId", "slotAt"),
    *("environment", "taskId", "error", "cause"),
}


def _machine(path: Path) -> dict[str, Any]:
    (found,) = [
        machine
        for machine in resources("AWS::Serverless::StateMachine").values()
        if machine["DefinitionUri"] == relative(path)
    ]
    return found


def _function_of(path: Path, state: dict[str, Any]) -> str:
    """The logical id of the function that a task invokes."""
    substitution = re.fullmatch(r"\$\{(\w+)\}", state["Parameters"]["FunctionName"])
    assert substitution, state["Parameters"]["FunctionName"]
    logical_id: str = _machine(path)["DefinitionSubstitutions"][substitution[1]]["Fn::GetAtt"][0]
    return logical_id


def _tasks(path: Path) -> dict[str, dict[str, Any]]:
    """The tasks that invoke functions."""
    return {name: body for name, body in _all_tasks(path).items() if body["Resource"].endswith(":lambda:invoke")}


def _all_tasks(path: Path) -> dict[str, dict[str, Any]]:
    return {state.name: state.body for state in states(definition(path)) if state.body["Type"] == "Task"}


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_tasks_wait_a_little_longer_than_their_functions_may_run(path: Path) -> None:
    common = template()["Globals"]["Function"]["Timeout"]
    for name, task in _tasks(path).items():
        limit_s = FUNCTIONS[_function_of(path, task)].get("Timeout", common)
        assert limit_s < task["TimeoutSeconds"] <= limit_s + SLACK_S, name


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_machines_may_invoke_the_functions_that_they_name_and_no_others(path: Path) -> None:
    statements = _machine(path)["Policies"][0]["Statement"]
    (invoke,) = [statement for statement in statements if statement["Action"] == "lambda:InvokeFunction"]
    allowed = [resource["Fn::GetAtt"][0] for resource in invoke["Resource"]]
    assert sorted(allowed) == sorted({_function_of(path, task) for task in _tasks(path).values()})


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_payloads_hold_what_the_state_was_told_by_name(path: Path) -> None:
    # A whole state as payload would grow with it. What is passed on as it is was selected: by a Map for its items,
    # before anything could be added to it, or by the state itself out of its last answer.
    for state in states(definition(path)):
        if state.body["Type"] == "Task" and state.name in _tasks(path):
            whole = state.body["Parameters"].get("Payload.$")
            if state.parents:
                nearest = state.parents[-1]
                told = state.body["Parameters"].get("Payload", nearest["ItemSelector"])
                assert told.keys() <= {f"{name}.$" for name in ITEM_MEMBERS}, state.name
                # What the Map selected is whole only in the state that it begins with.
                assert whole is None or (whole, nearest["ItemProcessor"]["StartAt"]) == ("$", state.name)
            else:
                result = state.body.get("ResultPath")
                own = {f"{result}.{name.removesuffix('.$')}" for name in state.body.get("ResultSelector", {})}
                assert whole is None or whole in own, state.name


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_tasks_that_invoke_no_function_start_their_own_machine(path: Path) -> None:
    for name in _all_tasks(path).keys() - _tasks(path).keys():
        task = _all_tasks(path)[name]
        assert task["Resource"].endswith(":states:startExecution.sync:2"), name
        named = re.fullmatch(r"\$\{(\w+)\}", task["Parameters"]["StateMachineArn"])
        assert named, name
        own = _machine(path)["Name"]["Fn::Sub"]
        assert _machine(path)["DefinitionSubstitutions"][named[1]]["Fn::Sub"].endswith(f":stateMachine:{own}")
        # What is started by the machine that waits for it has to give up before that does.
        assert task["TimeoutSeconds"] > GIVEN_UP_AFTER.total_seconds() + SLACK_S


def test_states_of_restore_carry_the_names_of_its_phases() -> None:
    names = definition(ROOT / "functions/restore/restore.asl.json")["States"].keys()
    assert {phase.value for phase in Phase} <= names


def test_after_the_flip_nothing_leads_back_to_rollback() -> None:
    machine = definition(ROOT / "functions/restore/restore.asl.json")["States"]

    def following(name: str) -> set[str]:
        body = machine[name]
        rules = [*body.get("Choices", []), *body.get("Catch", []), body]
        return {rule[key] for rule in rules for key in ("Next", "Default") if key in rule}

    reached, unseen = set[str](), {"SafetyWanted", "ConfirmCutover"}
    while unseen:
        reached |= unseen
        unseen = {target for name in unseen for target in following(name)} - reached
    assert "Rollback" not in reached
    assert {"Completed", "PreserveFailed", "RetireFailed"} <= reached


def test_every_reader_has_ended_before_the_old_generation_is_deleted() -> None:
    drain_s = template()["Parameters"]["ReadDrainSeconds"]["Default"]
    behind_the_api = [function for function in FUNCTIONS.values() if "Events" in function]
    assert behind_the_api
    common = template()["Globals"]["Function"]["Timeout"]
    assert max(function.get("Timeout", common) for function in behind_the_api) < drain_s
