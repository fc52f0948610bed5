"""The shape of the repository: its top level, its functions and the size and names of its modules."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.repo.sources import (
    COMMAND_LINE,
    FUNCTIONS,
    ROOT,
    TESTS,
    TIDEMARK,
    files,
    function_folders,
    imports,
    product_modules,
    relative,
    tree,
)

TOP_FOLDERS = {".ci", "events", "functions", "layers", "requirements", "tests"}
TOP_FILES = {
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".python-version",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
    "samconfig.toml",
    "template.yaml",
}
HANDLER_LINES = 45
MODULE_LINES = 350
# Names that say nothing about what a thing is for.
EMPTY_WORDS = {"data", "helper", "helpers", "manager", "process", "processor", "util", "utils"}
PURE = ("domain", "engine", "usecases")
# Whoever knows the time or rolls dice does so by a port.
IMPURE_MODULES = {"random", "secrets", "time", "uuid"}


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _words(name: str) -> set[str]:
    return set(re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().strip("_").split("_"))


def test_top_level_holds_only_what_is_expected() -> None:
    own = {relative(path) for path in files()}
    assert {path.split("/")[0] for path in own if "/" in path} <= TOP_FOLDERS
    assert {path for path in own if "/" not in path} == TOP_FILES


def test_every_function_folder_holds_one_module_called_handler() -> None:
    folders = function_folders()
    assert folders, "functions/ holds no function"
    assert {relative(folder): [path.name for path in files(".py", under=folder)] for folder in folders} == {
        relative(folder): ["handler.py"] for folder in folders
    }


def test_every_handler_is_short() -> None:
    assert {
        relative(path): _lines(path) for path in files(".py", under=FUNCTIONS) if _lines(path) > HANDLER_LINES
    } == {}


def test_every_module_fits_in_a_head() -> None:
    modules = [*product_modules(), *files(".py", under=COMMAND_LINE), *files(".py", under=TESTS / "local")]
    assert {relative(path): _lines(path) for path in modules if _lines(path) > MODULE_LINES} == {}


def test_every_module_starts_by_saying_its_responsibility() -> None:
    undocumented = [path for path in files(".py") if not (ast.get_docstring(tree(path)) or "").strip()]
    assert [relative(path) for path in undocumented] == []


def test_no_name_is_empty_of_meaning() -> None:
    modules = {relative(path) for path in files(".py") if _words(path.stem) & EMPTY_WORDS}
    definitions = {
        f"{relative(path)}: {node.name}"
        for path in [*product_modules(), *files(".py", under=COMMAND_LINE)]
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.ClassDef) and _words(node.name) & EMPTY_WORDS)
        or (isinstance(node, ast.FunctionDef) and node.name.strip("_") in EMPTY_WORDS)
    }
    assert modules | definitions == set()


def test_functions_import_tidemark_and_nothing_else() -> None:
    allowed = {"tidemark"} | sys.stdlib_module_names
    foreign = {
        relative(path): sorted(found)
        for path in files(".py", under=FUNCTIONS)
        if (found := {name for name in imports(path) if name.split(".")[0] not in allowed})
    }
    assert foreign == {}


def test_boto3_is_imported_in_adapters_only() -> None:
    outside = [
        relative(path)
        for path in product_modules()
        if not path.is_relative_to(TIDEMARK / "adapters")
        and any(name.split(".")[0].startswith(("boto", "mypy_boto3", "s3transfer")) for name in imports(path))
    ]
    assert outside == []


def _reads_environment(path: Path) -> bool:
    return bool({"os.environ", "os.getenv", "os.environb"} & imports(path)) or any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in {"environ", "environb", "getenv"}
        for node in ast.walk(tree(path))
    )


def test_the_environment_is_read_in_settings_only() -> None:
    assert [relative(path) for path in product_modules() if _reads_environment(path)] == [
        relative(TIDEMARK / "settings.py")
    ]


@pytest.mark.parametrize("part", PURE)
def test_the_core_asks_ports_for_time_and_chance(part: str) -> None:
    modules = files(".py", under=TIDEMARK / part)
    assert modules, f"tidemark.{part} holds no module"
    impure = [
        f"{relative(path)}: {name}"
        for path in modules
        for name in sorted(imports(path))
        if name.split(".")[0] in IMPURE_MODULES
    ]
    clocks = [
        f"{relative(path)}:{node.lineno}"
        for path in modules
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "today", "utcnow"}
        and isinstance(node.value, ast.Name | ast.Attribute)
        and ast.unparse(node.value).split(".")[-1] in {"date", "datetime"}
    ]
    assert impure + clocks == []


def test_design_is_written_down_beside_the_layers() -> None:
    assert (ROOT / "layers" / "DESIGN.md").is_file()
