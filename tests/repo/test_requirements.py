"""Pinned requirement files: exact, hashed, free of addresses, and the same where they overlap."""

import re
from pathlib import Path

import pytest

from tests.repo.sources import ROOT, files, relative

LAYER = ROOT / "layers" / "dependencies" / "requirements.txt"
DEVELOPMENT = ROOT / "requirements" / "dev.txt"
PINNED = [LAYER, *files(".txt", under=ROOT / "requirements")]
SOURCES = files(".in", under=ROOT / "requirements")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; [^\\]+)? \\$")


def _pins(path: Path) -> dict[str, str]:
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            match = _PIN.match(line)
            assert match, f"{relative(path)}: {line!r} is not one exact version"
            pins[match[1]] = match[2]
    return pins


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, f"{requirement!r} names no package"
    return re.sub(r"[-_.]+", "-", match[0]).lower()


@pytest.mark.parametrize("path", PINNED, ids=relative)
def test_every_package_is_pinned_with_a_hash(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    unhashed = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if "==" in line and "--hash=sha256:" not in following
    ]
    assert _pins(path)
    assert unhashed == []


@pytest.mark.parametrize("path", [*PINNED, *SOURCES], ids=relative)
def test_requirements_name_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url\S*|--find-links\S*|\S+ @ \S+", text) == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_wanted_package_is_among_the_pinned(path: Path) -> None:
    pinned = LAYER if path.stem == "layer" else path.with_suffix(".txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = {_name(line) for line in lines if line and not line.startswith(("#", "-"))}
    assert wanted
    assert wanted <= _pins(pinned).keys(), "pin them anew: make lock"


def test_tests_run_on_the_versions_that_are_deployed() -> None:
    deployed = _pins(LAYER)
    developed = _pins(DEVELOPMENT)
    assert {name: developed.get(name) for name in deployed} == deployed


def test_functions_bring_the_time_zones_along() -> None:
    assert "tzdata" in _pins(LAYER), "a runtime may have none, and no schedule or retention could be read any more"


def test_no_lock_file_records_download_addresses() -> None:
    locks = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "package-lock.json", "yarn.lock")
    assert [relative(path) for path in files(*locks)] == []
