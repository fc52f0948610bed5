"""Where the repository keeps what, for the tests that hold its rules."""

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
EVENTS = ROOT / "events"
TESTS = ROOT / "tests"
TIDEMARK = ROOT / "layers" / "tidemark" / "python" / "tidemark"
COMMAND_LINE = ROOT / "layers" / "cli" / "python" / "tidemark_cli"
TEMPLATE = ROOT / "template.yaml"
README = ROOT / "README.md"

# What environments, builds and tools leave in a work tree.
GENERATED = {
    ".DS_Store",
    ".aws-sam",
    ".coverage",
    ".git",
    ".hypothesis",
    ".idea",
    ".import_linter_cache",
    ".local",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    ".venv-ngsi",
    ".venv-sam",
    ".vscode",
    "__pycache__",
    "htmlcov",
}


def files(*suffixes: str, under: Path = ROOT) -> list[Path]:
    """The repository's own files with one of `suffixes` (all without any), sorted by path."""
    found = []
    for folder, folders, names in under.walk():
        folders[:] = set(folders) - GENERATED
        own = set(names) - GENERATED
        found += [folder / name for name in own if not suffixes or name.endswith(suffixes)]
    return sorted(found)


def relative(path: Path) -> str:
    """The path as it is written in the repository, from its root."""
    return path.relative_to(ROOT).as_posix()


def product_modules() -> list[Path]:
    """Every Python module that is deployed."""
    return [*files(".py", under=FUNCTIONS), *files(".py", under=TIDEMARK)]


def function_folders() -> list[Path]:
    """The folders that hold a function, which are those that hold a module."""
    return sorted({path.parent for path in files(".py", under=FUNCTIONS)})


def state_machine_files() -> list[Path]:
    """The definitions of the state machines."""
    return files(".asl.json", under=FUNCTIONS)


@cache
def tree(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=relative(path))


def imports(path: Path) -> set[str]:
    """The full names of the modules that a module imports, wherever in it; `from a import b` counts as a.b."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


class State(NamedTuple):
    """One state of a definition: `parents` are the Map and Parallel states around it, outermost first."""

    name: str
    body: dict[str, Any]
    parents: tuple[dict[str, Any], ...]


def states(definition: dict[str, Any], parents: tuple[dict[str, Any], ...] = ()) -> Iterator[State]:
    """Every state of a definition, those inside Map and Parallel states too."""
    for name, body in definition["States"].items():
        yield State(name, body, parents)
        for inner in inner_definitions(body):
            yield from states(inner, (*parents, body))


def inner_definitions(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The definitions that a Map or Parallel state runs."""
    branches: list[dict[str, Any]] = body.get("Branches", [])
    return [body["ItemProcessor"]] if "ItemProcessor" in body else branches


@cache
def definition(path: Path) -> dict[str, Any]:
    """A state machine, read."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


class _TemplateLoader(yaml.CSafeLoader):
    """YAML with CloudFormation's short tags, which become their long form."""


def _long_form(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, object]:
    value: object
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _long_form)


@cache
def template() -> dict[str, Any]:
    """template.yaml, read, with CloudFormation's functions in their long form."""
    document: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _TemplateLoader)
    return document


def resources(*types: str) -> dict[str, dict[str, Any]]:
    """The properties of the template's resources of these types (all without any), by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if not types or resource["Type"] in types
    }
