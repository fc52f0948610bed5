"""README.md: its tables are those of template.yaml and of the code, and every command it names exists."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from moto.events.models import EventPattern
from typer.main import get_command

from tests.repo.sources import EVENTS, README, ROOT, resources, template
from tidemark.dialects import wire
from tidemark.dialects.cloudca import routes as cloudca
from tidemark.dialects.ngsi import snapshots
from tidemark.dialects.ngsi.batch import MAX_ENTITIES
from tidemark.dialects.ngsi.parameters import DEFAULT_LIMIT, MAX_LIMIT
from tidemark.dialects.ngsi.routes import OPEN, action
from tidemark.dialects.ngsi.syntax import MAX_IDENTIFIER_CHARS, MAX_NESTING
from tidemark.domain.announcements import Kind
from tidemark.domain.api_key import Action
from tidemark.domain.live import Layout
from tidemark.engine.live.writes import MAX_ENTITY_BYTES, MAX_TRANSACTION_ACTIONS
from tidemark_cli.app import app


class Route(NamedTuple):
    """A method (or ANY) and a path, which may be greedy: `/v2/entities/{proxy+}`."""

    method: str
    path: str

    def serves(self, other: "Route") -> bool:
        """Whether requests of the other route arrive here."""
        prefix, greedy, _ = self.path.partition("{proxy+}")
        fits = other.path.startswith(prefix) and other.path != prefix if greedy else other.path == self.path
        return fits and self.method in {"ANY", other.method}


def _template_routes() -> set[Route]:
    return {
        Route(event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for properties in resources("AWS::Serverless::Function").values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    }


def _readme_routes() -> set[Route]:
    return {Route(method, path) for method, path, *_ in _table("Endpoints", "Method")}


def _section(title: str) -> str:
    """What stands below a heading of the second level."""
    text = README.read_text(encoding="utf-8")
    section = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, f'README.md has no section "## {title}"'
    return section[1]


def _table(title: str, first: str) -> list[list[str]]:
    """The rows of the section's table whose first column has that name, without its head; cells without backticks."""
    table = re.search(rf"^\| {first} \|.*\n\|[-|: ]+\n((?:\|.*\n)+)", _section(title), re.MULTILINE)
    assert table, f'the section "{title}" has no table that begins with {first}'
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_readme_lists_every_route_and_no_other() -> None:
    built, documented = _template_routes(), _readme_routes()
    assert built, "template.yaml has no route"
    assert {row for row in documented if not any(route.serves(row) for route in built)} == set(), "not in template.yaml"
    assert {route for route in built if not any(route.serves(row) for row in documented)} == set(), "not in README.md"


def test_readme_lists_every_parameter_with_its_default() -> None:
    rows = _table("Deploy", "Parameter")
    documented = {row[0]: "" if row[1] == "(empty)" else row[1] for row in rows}
    assert documented == {name: str(body["Default"]) for name, body in template()["Parameters"].items()}


def test_readme_names_every_output_of_the_stack() -> None:
    missing = {name for name in template()["Outputs"] if f"`{name}`" not in _section("Deploy")}
    assert missing == set()


def test_readme_names_every_log_group() -> None:
    made = {group["LogGroupName"]["Fn::Sub"] for group in resources("AWS::Logs::LogGroup").values()}
    logs = re.search(r"^- \*\*Logs\*\*.*?(?=^- )", _section("Operate"), re.MULTILINE | re.DOTALL)
    assert logs
    named: set[str] = set()
    prefix = ""
    for word in re.findall(r"`([^`]+)`", logs[0]):
        if word.startswith("/"):
            prefix = word
        named.add(word if word.startswith("/") and not word.endswith("/") else f"{prefix}{word}" if prefix else word)
    assert {name.replace("${AWS::StackName}", "tidemark") for name in made} <= named


def test_readme_lists_every_action_of_a_key() -> None:
    assert [row[0] for row in _table("API keys", "Action")] == list(Action)


def test_readme_says_which_action_each_route_needs() -> None:
    stated = {(method, path): needed for method, path, needed, *_ in _table("Endpoints", "Method")}
    assert stated == {
        (method, path): "none" if f"{method} {path}" in OPEN else _action(method, path).value for method, path in stated
    }


def _action(method: str, path: str) -> Action:
    return cloudca.action(method, path) if cloudca.serves(path) else action(method, path)


def test_readme_lists_every_event_and_every_alarm() -> None:
    assert [row[0] for row in _table("Being told", "Event")] == list(Kind)
    named = {name for row in _table("Being told", "Alarm") for name in re.findall(r"tidemark-[a-z-]+", row[0])}
    alarms = resources("AWS::CloudWatch::Alarm").values()
    assert named == {alarm["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}", "tidemark") for alarm in alarms}


def test_readme_shows_a_rule_that_hears_what_it_says() -> None:
    [pattern] = re.findall(r"--event-pattern '(.*)'", _section("Being told"))
    heard = {
        path.stem
        for path in (EVENTS / "announcements").glob("*.json")
        if EventPattern.load(pattern).matches_event(json.loads(path.read_text(encoding="utf-8")))
    }
    assert heard == {"backup_failed", "backup_missed", "snapshot_failed"}


def test_readme_lists_every_command_and_no_other() -> None:
    assert {row[0] for row in _table("Command line", "Command")} == set(_commands())


def test_readme_names_only_options_that_its_commands_have() -> None:
    commands = _commands()
    for name, does, *_ in _table("Command line", "Command"):
        assert set(re.findall(r"`(--[a-z-]+)", f"`{does}`")) <= commands[name], name
    every = set().union(*commands.values())
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", _section("Command line"))) <= every


def test_readme_states_the_limits_that_the_code_has() -> None:
    stated = {row[0]: row[1] for row in _table("Limits", "What")}
    small_kb = snapshots.MAX_BODY_BYTES >> 10
    together = MAX_TRANSACTION_ACTIONS - Layout().gates
    expected = {
        "an entity": f"{MAX_ENTITY_BYTES:,} bytes of JSON, nested {MAX_NESTING} deep",
        "a request body": f"{wire.MAX_BODY_BYTES >> 20} MB; {small_kb} KB for snapshots, restores and schedules",
        "a batch": f"{MAX_ENTITIES:,} entities; one transaction up to {together}, beyond that split",
        "a page of a list": f"{MAX_LIMIT:,}; {DEFAULT_LIMIT} unless asked for",
        "ids, types and attribute names": f"1 to {MAX_IDENTIFIER_CHARS} ASCII characters",
    }
    assert {what: stated.get(what) for what in expected} == expected


def test_readme_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", " ".join(_code(README.read_text(encoding="utf-8")))))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "up"} <= named
    assert named <= targets


def _code(markdown: str) -> list[str]:
    """What is set as code, in fences or in line."""
    return re.findall(r"```.*?```|`[^`\n]+`", markdown, re.DOTALL)


def _commands() -> dict[str, set[str]]:
    """The options of each command, with those that may stand before it."""
    root: Any = get_command(app)
    return {
        name: {
            option
            for parameter in [*root.params, *command.params]
            for option in parameter.opts + parameter.secondary_opts
        }
        for name, command in _below("tidemark", root)
    }


def _below(name: str, group: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a group and of the groups in it."""
    for own, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(f"{name} {own}", command)
        else:
            yield f"{name} {own}", command
