"""The state machines: complete, readable in the console, and in step with the error classes and the template."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from tests.repo.sources import ROOT, State, definition, relative, resources, state_machine_files, states
from tidemark import errors

MACHINES = state_machine_files()
# Errors that Step Functions and Lambda name themselves.
FOREIGN = ("States.", "Lambda.", "Runtime.", "Sandbox.", "StepFunctions.")
_STATE_MACHINE = "AWS::Serverless::StateMachine"


def _states(path: Path) -> list[State]:
    return list(states(definition(path)))


def _working(path: Path) -> list[State]:
    """The states that do something and can therefore fail."""
    return [state for state in _states(path) if state.body["Type"] in {"Task", "Map", "Parallel"}]


def _error_classes() -> dict[str, type[errors.TidemarkError]]:
    """The errors that can be raised: the leaves of the taxonomy."""
    classes = inspect.getmembers(errors, inspect.isclass)
    return {
        name: found for name, found in classes if issubclass(found, errors.TidemarkError) and not found.__subclasses__()
    }


def _error_names(state: State, clause: str) -> set[str]:
    return {name for rule in state.body.get(clause, []) for name in rule["ErrorEquals"]}


def _own(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith(FOREIGN)}


def test_state_machines_are_there() -> None:
    assert {"functions/capture/capture.asl.json", "functions/restore/restore.asl.json"} <= {
        relative(path) for path in MACHINES
    }


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_every_state_says_what_it_is_for(path: Path) -> None:
    assert definition(path).get("Comment")
    assert [state.name for state in _states(path) if not state.body.get("Comment")] == []


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_every_task_ends_in_time_and_retries(path: Path) -> None:
    tasks = [state for state in _states(path) if state.body["Type"] == "Task"]
    assert tasks
    assert [state.name for state in tasks if not {"TimeoutSeconds", "TimeoutSecondsPath"} & state.body.keys()] == []
    assert [state.name for state in tasks if not state.body.get("Retry")] == []
    # How Lambda's process may end: killed for its memory or dead of a fault, without a word, or too late.
    ends = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"}
    calling = [state for state in tasks if state.body["Resource"].endswith(":lambda:invoke")]
    assert [state.name for state in calling if not ends <= _error_names(state, "Retry")] == []


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_every_failure_is_caught(path: Path) -> None:
    # A task inside a Map or Parallel state that catches fails that state, which is where its failure is dealt with.
    uncaught = [
        state.name
        for state in _working(path)
        if not any(
            "States.ALL" in rule["ErrorEquals"] for body in (state.body, *state.parents) for rule in _catch(body)
        )
    ]
    assert uncaught == []


def _catch(body: dict[str, Any]) -> list[dict[str, Any]]:
    catchers: list[dict[str, Any]] = body.get("Catch", [])
    return catchers


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_every_named_error_is_one_that_is_raised(path: Path) -> None:
    known = _error_classes().keys()
    named = {
        f"{state.name}: {name}"
        for state in _working(path)
        for clause in ("Retry", "Catch")
        for name in _own(_error_names(state, clause)) - known
    }
    assert named == set()


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_only_errors_that_may_pass_are_retried(path: Path) -> None:
    classes = _error_classes()
    hopeless = {
        f"{state.name}: {name}"
        for state in _working(path)
        for name in _own(_error_names(state, "Retry"))
        if name in classes and not classes[name].retryable
    }
    assert hopeless == set()


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_no_state_results_in_null(path: Path) -> None:
    # The States Language does not say that this differs from no Result at all, which passes the whole input on.
    assert [state.name for state in _states(path) if state.body.get("Result", 0) is None] == []


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_children_of_distributed_maps_pass_next_to_nothing_on(path: Path) -> None:
    # All results together are the result of the map, before ResultPath drops it: beyond 256 KiB the execution ends, and
    # no Catch sees it.
    ends = {
        f"{state.name}: {name}": (body.get("Result"), body.get("OutputPath", "$"))
        for state in _states(path)
        if state.body.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
        for name, body in state.body["ItemProcessor"]["States"].items()
        if body.get("End") or body["Type"] == "Succeed"
    }
    assert {end: passed for end, passed in ends.items() if passed not in {(1, "$"), (None, None)}} == {}


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_state_names_read_as_titles(path: Path) -> None:
    names = [state.name for state in _states(path)]
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]*(?: [A-Za-z]+)*\??", name)] == []
    assert len(names) == len(set(names)), "the console tells states apart by their names"


@pytest.mark.parametrize("path", MACHINES, ids=relative)
def test_every_state_is_reached(path: Path) -> None:
    def targets(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {
                item for key, item in value.items() if key in {"StartAt", "Next", "Default"} and isinstance(item, str)
            }
            return own.union(*(targets(item) for item in value.values()))
        return set().union(*(targets(item) for item in value)) if isinstance(value, list) else set()

    assert {state.name for state in _states(path)} == targets(definition(path))


def test_template_takes_every_definition_from_its_file_and_fills_it() -> None:
    machines = resources(_STATE_MACHINE)
    assert {properties["DefinitionUri"] for properties in machines.values()} == {relative(path) for path in MACHINES}
    for name, properties in machines.items():
        text = (ROOT / properties["DefinitionUri"]).read_text(encoding="utf-8")
        assert set(re.findall(r"\$\{(\w+)\}", text)) == set(properties.get("DefinitionSubstitutions", {})), name
        assert "Definition" not in properties, name
