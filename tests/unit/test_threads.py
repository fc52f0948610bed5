"""Types that threads decode are looked into before there are threads: msgspec can crash where two do it at once."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "types"),
    [
        (
            "tidemark.adapters.dynamo_records",
            "tidemark.domain.snapshot:Snapshot tidemark.domain.schedule:Schedule tidemark.domain.restore:Restore",
        ),
        ("tidemark.engine.manifests", "tidemark.domain.manifest:PackRef"),
        ("tidemark.usecases.stored_plans", "tidemark.domain.restore_plan:Counted"),
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
