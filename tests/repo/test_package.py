"""What `pip install .` installs: the command line, with the service's code beside it, and nothing of the repository."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.repo.sources import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from a copy, by the pinned builder."""
    place = tmp_path_factory.mktemp("package")
    source = place / "source"
    shutil.copytree(ROOT / "layers", source / "layers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", place, source),
        ],
        check=True,
        timeout=100,
    )
    (built,) = place.glob("*.whl")
    return built


def test_package_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"tidemark", "tidemark_cli", f"tidemark-{PROJECT['version']}.dist-info"}
    sources = {
        f"{root.name}/{path.relative_to(root).as_posix()}"
        for root in (ROOT / "layers/cli/python/tidemark_cli", ROOT / "layers/tidemark/python/tidemark")
        for path in root.rglob("*.py")
    }
    assert sources <= set(names)


def test_installed_command_says_its_version(wheel: Path, tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--no-index", "--target", tmp_path, wheel),
        ],
        check=True,
        timeout=100,
    )
    done = subprocess.run(
        [tmp_path / "bin" / "tidemark", "--version"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == f"tidemark {PROJECT['version']}\n"


def test_extra_for_keys_is_what_the_functions_are_deployed_with() -> None:
    lines = (ROOT / "requirements" / "layer.in").read_text(encoding="utf-8").splitlines()
    assert PROJECT["optional-dependencies"]["keys"] == [line for line in lines if line and not line.startswith("#")]


def test_layers_carry_nothing_of_the_command_line() -> None:
    pinned = (ROOT / "layers" / "dependencies" / "requirements.txt").read_text(encoding="utf-8")
    assert not [name for name in ("typer", "rich", "hatchling") if f"\n{name}==" in f"\n{pinned}"]
    assert "layers/cli" not in (ROOT / "template.yaml").read_text(encoding="utf-8")
