"""The drawing of state machines, on definitions made for the purpose."""

import re

import pytest

from tests.repo import mermaid
from tests.repo.mermaid import diagram, diagrams_in
from tests.repo.sources import README, definition, relative, state_machine_files


def test_draws_every_way_out_when_states_choose_catch_and_fail() -> None:
    machine = {
        "StartAt": "Plan",
        "States": {
            "Plan": {
                "Type": "Task",
                "Next": "Ready?",
                "Catch": [
                    {"ErrorEquals": ["LeaseLost"], "Next": "Failed"},
                    {"ErrorEquals": ["PackCorrupt"], "Next": "Failed"},
                    {"ErrorEquals": ["States.ALL"], "Next": "Rollback"},
                ],
            },
            "Ready?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.plan.ready", "BooleanEquals": True, "Next": "Done"},
                    {"Comment": "nothing to do", "Variable": "$.plan.count", "NumericEquals": 0, "Next": "Done"},
                ],
                "Default": "Plan",
            },
            "Rollback": {"Type": "Task", "End": True},
            "Done": {"Type": "Succeed"},
            "Failed": {"Type": "Fail", "Error": "RestoreFailed"},
        },
    }
    assert diagram(machine).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> Plan",
        "    Plan --> Ready_",
        "    Plan --> Failed: LeaseLost, PackCorrupt",
        "    Plan --> Rollback: any error",
        '    state "Ready?" as Ready_',
        "    Ready_ --> Done: plan.ready is true",
        "    Ready_ --> Done: nothing to do",
        "    Ready_ --> Plan: otherwise",
        "    Rollback --> [*]",
        "    Done --> [*]",
        "    Failed --> [*]: fails with RestoreFailed",
    ]


def test_draws_states_inside_when_a_state_is_a_map_or_parallel() -> None:
    machine = {
        "StartAt": "Stage",
        "States": {
            "Stage": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "StageBatch", "States": {"StageBatch": {"Type": "Task", "End": True}}},
                "Next": "Both",
            },
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}},
                    {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}},
                ],
                "End": True,
            },
        },
    }
    assert diagram(machine).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> Stage",
        '    state "Stage, for each item" as Stage {',
        "        [*] --> StageBatch",
        "        StageBatch --> [*]",
        "    }",
        "    Stage --> Both",
        '    state "Both" as Both {',
        "        [*] --> A",
        "        A --> [*]",
        "        --",
        "        [*] --> B",
        "        B --> [*]",
        "    }",
        "    Both --> [*]",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.a", "StringEquals": "x: y"}, "a is x y"),
        ({"Variable": "$.a", "NumericGreaterThanEqualsPath": "$.b"}, "a is at least b"),
        ({"Variable": "$.a", "IsPresent": False}, "a is not present"),
        ({"Not": {"Variable": "$.a", "BooleanEquals": False}}, "not (a is false)"),
        (
            {"And": [{"Variable": "$.a", "IsNull": True}, {"Variable": "$.b", "StringMatches": "c*"}]},
            "a is null and b matches c*",
        ),
    ],
)
def test_says_the_condition_in_words_when_a_choice_has_no_comment(rule: dict[str, object], words: str) -> None:
    machine = {
        "StartAt": "Choose",
        "States": {"Choose": {"Type": "Choice", "Choices": [rule | {"Next": "End"}]}, "End": {"Type": "Succeed"}},
    }
    assert f"    Choose --> End: {words}\n" in diagram(machine)


def test_names_the_rule_when_its_operator_is_unknown() -> None:
    machine = {
        "StartAt": "C",
        "States": {"C": {"Type": "Choice", "Choices": [{"Variable": "$.a", "Smells": "b", "Next": "C"}]}},
    }
    with pytest.raises(ValueError, match=re.escape("'Smells': 'b'")):
        diagram(machine)


def test_rewrites_only_the_diagram_when_a_document_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    monkeypatch.setattr(mermaid, "definition", lambda _: machine)
    document = "# T\n<!-- state-machine: a.asl.json -->\n\n```mermaid\nold\n```\nText\n```sh\nls\n```\n"
    expected = document.replace("old\n", diagram(machine))
    assert mermaid.updated(document) == expected
    assert diagrams_in(expected) == {"a.asl.json": diagram(machine)}


def test_readme_shows_every_state_machine_as_it_is() -> None:
    shown = diagrams_in(README.read_text(encoding="utf-8"))
    assert shown == {relative(path): diagram(definition(path)) for path in state_machine_files()}, (
        "draw them anew: python -m tests.repo.mermaid --update README.md"
    )
