"""Tools that keep versions of a file: of entities as lines, which is what a dump writes, or of a disk's image."""

import filecmp
import shutil
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from tests.benchmarks.running import Row, Took, fresh, run, size_of

FILE: Final = "versioned"


class Versions(Protocol):
    """Two versions of a file."""

    @property
    def first(self) -> Path:
        """The earlier one."""
        ...

    @property
    def second(self) -> Path:
        """The later one."""
        ...


class FileTool(NamedTuple):
    """Backs up the folder that it is given, and restores the last backup into another."""

    name: str
    home: Path
    repository: Path
    backup: Callable[[Path], Took]
    restore: Callable[[Path], Took]


def restic(home: Path) -> FileTool:
    repository = fresh(home) / "repo"
    environment = {"RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD": "benchmark", "HOME": str(home)}
    run(["restic", "init"], environment=environment)
    return FileTool(
        _version("restic", "version"),
        home,
        repository,
        lambda folder: run(["restic", "backup", "--quiet", "."], cwd=folder, environment=environment),
        lambda folder: run(
            ["restic", "restore", "latest", "--quiet", "--target", str(folder)], environment=environment
        ),
    )


def borg(home: Path) -> FileTool:
    repository = fresh(home) / "repo"
    environment = {"HOME": str(home), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
    run(["borg", "init", "-e", "none", str(repository)], environment=environment)
    taken = _Counting()
    return FileTool(
        _version("borg", "--version") + ", zstd 3",
        home,
        repository,
        lambda folder: run(
            ["borg", "create", "-C", "zstd,3", f"{repository}::{taken.next()}", "."],
            cwd=folder,
            environment=environment,
        ),
        lambda folder: run(["borg", "extract", f"{repository}::{taken.last}"], cwd=folder, environment=environment),
    )


def zstd(home: Path) -> FileTool:
    repository = fresh(home) / "repo"
    repository.mkdir()
    taken = _Counting()
    return FileTool(
        "`zstd -3`, all again each time",
        home,
        repository,
        lambda folder: run(["zstd", "-3", "-q", str(folder / FILE), "-o", str(repository / f"{taken.next()}.zst")]),
        lambda folder: run(["zstd", "-dq", str(repository / f"{taken.last}.zst"), "-o", str(folder / FILE)]),
    )


class _Counting:
    """Names for one backup after another."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.last = ""

    def next(self) -> str:
        self.last = f"backup-{next(self._numbers)}"
        return self.last


TOOLS: Final[dict[str, Callable[[Path], FileTool]]] = {"restic": restic, "borg": borg, "zstd": zstd}


def is_there(name: str) -> bool:
    """Whether the tool is installed."""
    return shutil.which(name) is not None


def measured(tool: FileTool, versions: Versions) -> Row:
    """Both versions backed up, the second restored and compared."""
    data = tool.home / "data"
    data.mkdir()
    empty_bytes = size_of(tool.repository)
    shutil.copyfile(versions.first, data / FILE)
    first = tool.backup(data)
    stored_bytes = size_of(tool.repository) - empty_bytes
    shutil.copyfile(versions.second, data / FILE)
    second = tool.backup(data)
    added_bytes = size_of(tool.repository) - empty_bytes - stored_bytes
    return Row(tool.name, first, stored_bytes, second, added_bytes, restored(tool, versions.second))


def restored(tool: FileTool, expected: Path) -> Took:
    """What a restore of the last backup took. Raises AssertionError when it is not the file that is expected."""
    out = fresh(tool.home / "out")
    took = tool.restore(out)
    (found,) = out.rglob(FILE)
    assert_same(found, expected)
    return took


def assert_same(found: Path, expected: Path) -> None:
    """Raises AssertionError when the files differ in any byte."""
    assert filecmp.cmp(found, expected, shallow=False), f"{found} is not {expected}"


def _version(*command: str) -> str:
    name, version, *_ = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return f"{name} {version}"
