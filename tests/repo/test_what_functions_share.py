"""Functions that run in one process share modules (`tests.local.product`): those must keep nothing between two calls.

In Lambda each function has its own. What is shared but keeps something would tell one function what another did.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.product import STATELESS

PYTHON = Path(__file__).resolve().parents[2] / "layers" / "tidemark" / "python"
KEEPERS = {
    *("cache", "lru_cache", "Recent", "WeakKeyDictionary", "WeakValueDictionary"),
    *("ContextVar", "Lock", "RLock", "Condition", "Event", "Semaphore", "local", "Random"),
    *("count", "cycle", "iter", "deque", "defaultdict", "OrderedDict", "Counter", "bytearray", "list", "dict", "set"),
}
CHANGES = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
    *("setdefault", "update", "__setitem__"),
}


def in_common(module: str) -> bool:
    return f"{module}.".startswith(tuple(f"{name}." for name in STATELESS))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PYTHON).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {name_of(path): path for path in (PYTHON / "tidemark").rglob("*.py")}
SHARED = sorted(filter(in_common, SOURCES))


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules of the product that a module imports, at its top or when it is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tidemark"):
            parts = {f"{node.module}.{alias.name}" for alias in node.names} & SOURCES.keys()
            yield from parts or {str(node.module)}
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tidemark"))


def kept(tree: ast.Module) -> Iterator[str]:
    """What a module keeps between two calls."""
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef)):
        for node in scope.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                called = ast.unparse(node.value.func).partition("[")[0].rpartition(".")[2]
                if called in KEEPERS:
                    yield f"line {node.lineno}: {called}()"
    for found in ast.walk(tree):
        if isinstance(found, ast.Global):
            yield f"line {found.lineno}: global {', '.join(found.names)}"
        elif isinstance(found, ast.FunctionDef | ast.ClassDef):
            decorators = {ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in found.decorator_list}
            yield from (f"line {found.lineno}: @{one}" for one in sorted(decorators & KEEPERS))
    yield from changed(tree, {target.id for node in tree.body for target in targets(node)})


def targets(node: ast.stmt) -> list[ast.Name]:
    """The names that a statement gives a value."""
    found = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return [target for target in found if isinstance(target, ast.Name)]


def changed(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Where the module changes what one of the names stands for."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=change)) if change in CHANGES:
                pass
            case (
                ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del())
                | ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del())
            ):
                pass
            case _:
                continue
        if name in names:
            yield f"line {node.lineno}: {name} is changed"


@pytest.mark.parametrize("module", SHARED)
def test_a_module_that_functions_share_imports_only_others_that_they_share(module: str) -> None:
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))

    assert [one for one in imported(tree) if not in_common(one)] == []


@pytest.mark.parametrize("module", SHARED)
def test_a_module_that_functions_share_keeps_nothing_between_two_calls(module: str) -> None:
    assert list(kept(ast.parse(SOURCES[module].read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("module", ["tidemark.engine.tables", "tidemark.usecases.read_inside", "tidemark.telemetry"])
def test_what_keeps_something_is_noticed_and_not_shared(module: str) -> None:
    assert list(kept(ast.parse(SOURCES[module].read_text(encoding="utf-8")))) != []
    assert not in_common(module)
