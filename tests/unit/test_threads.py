"""Types that threads decode are looked into before there are threads: msgspec can crash where two do it at once."""

import ast
import builtins
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.sources import product_modules, tree


@pytest.mark.parametrize(
    ("module", "types"),
    [
        (
            "tidemark.adapters.dynamo_records",
            "tidemark.domain.snapshot:Snapshot tidemark.domain.restore:Restore",
        ),
        ("tidemark.adapters.dynamo_schedules", "tidemark.domain.schedule:Schedule"),
        ("tidemark.adapters.dynamo_volumes", "tidemark.domain.volume:VolumeSnapshot tidemark.domain.task:Task"),
        ("tidemark.engine.manifests", "tidemark.domain.manifest:PackRef"),
        ("tidemark.usecases.stored_plans", "tidemark.domain.restore_plan:Counted"),
        ("tidemark.engine.transfer.plans", "tidemark.engine.transfer.plans:ImportPlan"),
    ],
)
def test_types_are_looked_into_while_the_module_that_decodes_them_is_imported(module: str, types: str) -> None:
    # What msgspec has found out about a dataclass it keeps in the class.
    code = (
        f"import sys; sys.path[:0] = ['layers/tidemark/python']; import importlib; importlib.import_module({module!r});"
        f"print(all('__msgspec_cache__' in vars(getattr(sys.modules[place], name))"
        f" for place, name in (one.split(':') for one in {types!r}.split())))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "True"


def _calls(module: Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            yield node


def _types(expression: ast.expr) -> set[str]:
    """What a type is made of that is not Python's own."""
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)} - {"Any", *vars(builtins)}


def test_no_type_is_looked_into_where_something_is_decoded() -> None:
    late = set[str]()
    for module in product_modules():
        looked_into = {name for made in _calls(module, "msgspec.json.Decoder") for name in _types(made.args[0])}
        decoded = [word.value for call in _calls(module, "msgspec.json.decode") for word in call.keywords]
        converted = [call.args[1] for call in _calls(module, "msgspec.convert")]
        late |= {f"{module.name}: {name}" for one in decoded for name in _types(one)}
        late |= {f"{module.name}: {name}" for one in converted for name in _types(one) - looked_into}
    assert sorted(late) == []
