"""Runs commands and says what they took."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from tests.repo.sources import ROOT

LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
ENVIRONMENT: Final = {
    "PYTHONPATH": os.pathsep.join((str(ROOT / "layers/tidemark/python"), str(ROOT))),
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Took(NamedTuple):
    """Seconds from start to end, seconds of one core, and the largest process's memory."""

    elapsed_s: float
    core_s: float
    peak_mb: float
    output: str = ""

    def times(self, factor: float) -> "Took":
        """So many times as long, on so many times the memory."""
        return Took(self.elapsed_s * factor, self.core_s * factor, self.peak_mb * factor)


class Row(NamedTuple):
    """One tool: a first snapshot, a second one with 1 % changed, a restore of the second."""

    tool: str
    first: Took
    stored_bytes: int
    second: Took
    added_bytes: int
    restore: Took

    @property
    def peak_mb(self) -> float:
        """Of the largest process of all three."""
        return max(took.peak_mb for took in (self.first, self.second, self.restore))

    def times(self, factor: float) -> "Row":
        """What so many times as many entities take, where every second and byte is for an entity."""
        return Row(
            self.tool,
            self.first.times(factor),
            round(self.stored_bytes * factor),
            self.second.times(factor),
            round(self.added_bytes * factor),
            self.restore.times(factor),
        )


def fastest(rounds: Sequence[Row]) -> Row:
    """Each step as it went in the round in which it took least time, on the most memory of any."""
    return rounds[0]._replace(
        first=_fastest([row.first for row in rounds]),
        second=_fastest([row.second for row in rounds]),
        restore=_fastest([row.restore for row in rounds]),
    )


def _fastest(rounds: Sequence[Took]) -> Took:
    least = min(rounds, key=lambda took: took.elapsed_s)
    return least._replace(peak_mb=max(took.peak_mb for took in rounds))


def run(command: Sequence[str], *, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> Took:
    """Run one command to its end. Raises SystemExit with what it said when it fails."""
    return run_together([command], cwd=cwd, environment=environment)


def run_together(
    commands: Sequence[Sequence[str]],
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    pinned: bool = False,
) -> Took:
    """Run commands side by side, each on a core of its own when there are several or it is `pinned`."""
    cores = sorted(os.sched_getaffinity(0))
    outputs, core_s, peak_mb = [], 0.0, 0.0
    with TemporaryDirectory() as notes:
        started_s = time.perf_counter()
        running = []
        for number, command in enumerate(commands):
            place = ["taskset", "-c", str(cores[number % len(cores)])] if pinned or len(commands) > 1 else []
            running.append(
                subprocess.Popen(
                    [sys.executable, "-I", "-S", LAUNCH, f"{notes}/{number}", *place, *command],
                    cwd=cwd,
                    env={**os.environ, **ENVIRONMENT, **(environment or {})},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        for process, command in zip(running, commands, strict=True):
            output, said = process.communicate()
            if process.returncode:
                sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
            outputs.append(output)
        elapsed_s = time.perf_counter() - started_s
        for number in range(len(commands)):
            used_s, used_mb = Path(notes, str(number)).read_text().split()
            core_s, peak_mb = core_s + float(used_s), max(peak_mb, float(used_mb))
    return Took(elapsed_s, core_s, peak_mb, "\n".join(outputs))


def module(name: str, *arguments: object) -> list[str]:
    """The command that runs a module of this package."""
    return [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)]


def after(first: Took, then: Took) -> Took:
    """One after the other."""
    return Took(first.elapsed_s + then.elapsed_s, first.core_s + then.core_s, max(first.peak_mb, then.peak_mb))


def results(took: Took) -> list[dict[str, Any]]:
    """What the processes printed, as JSON."""
    return [json.loads(line) for line in took.output.splitlines() if line]


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
