"""What is compared, on one data set: first snapshot, second with 1 % changed, restore of the second, each restore
compared with the data byte for byte. The tools that keep versions of a file are in `file_tools`.
"""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tests.benchmarks.dataset import Dataset, made
from tests.benchmarks.file_tools import assert_same
from tests.benchmarks.running import (
    ENVIRONMENT,
    Row,
    Took,
    after,
    fresh,
    module,
    results,
    run,
    run_together,
    size_of,
)

SCRIPT_ENTITIES: Final = 50_000
_CORES: Final = len(os.sched_getaffinity(0))


class Rates(NamedTuple):
    """Entities per second of one core; of the slowest worker where there are several."""

    capture: float
    restore: float

    def best(self, other: "Rates") -> "Rates":
        """Each at its fastest."""
        return Rates(max(self.capture, other.capture), max(self.restore, other.restore))


def tidemark(dataset: Dataset, folder: Path, *, checked: bool = True) -> tuple[Row, Rates]:
    """The data plane with DynamoDB's and S3's clients, a worker for each core."""
    store = fresh(folder / "tidemark")

    def step(name: str, workers: int = _CORES) -> Took:
        jobs = range(workers)
        return run_together([data_plane(name, dataset, store, worker, workers) for worker in jobs])

    first = step("first")
    capture = _rate(first)
    first = after(first, step("seal", 1))
    stored_bytes = size_of(store)
    second = step("second", 1)
    added_bytes = size_of(store) - stored_bytes
    restore = step("restore")
    if checked:
        run(data_plane("check", dataset, store, 0, 1))
    row = Row("Tidemark, DynamoDB's JSON in and out", first, stored_bytes, second, added_bytes, restore)
    return row, Rates(capture, _rate(restore))


def alone(dataset: Dataset, folder: Path) -> Rates:
    """The same by one worker that has a core for itself and no neighbour."""
    store = fresh(folder / "alone")

    def step(name: str) -> Took:
        return run_together([data_plane(name, dataset, store, 0, 1)], pinned=True)

    capture = _rate(step("first"))
    step("second")
    return Rates(capture, _rate(step("restore")))


def _rate(took: Took) -> float:
    return float(min(one["count"] / one["core_s"] for one in results(took)))


def data_plane(step: str, dataset: Dataset, store: Path, worker: int, workers: int) -> list[str]:
    """The command of one step of the data plane."""
    return module("worker", step, dataset.folder, dataset.entities, dataset.shards, store, worker, workers)


def tidemark_format(dataset: Dataset, folder: Path) -> Row:
    """Engine and format alone, from and to the file that the others read."""
    store = fresh(folder / "format")

    def step(name: str) -> Took:
        return run_together(
            [
                module("format_alone", name, dataset.folder, dataset.entities, store, worker, _CORES)
                for worker in range(_CORES)
            ]
        )

    first = step("first")
    stored_bytes = size_of(store)
    second = step("second")
    added_bytes = size_of(store) - stored_bytes
    restore = step("restore")
    with (store / "restored.ndjson").open("wb") as whole:
        for worker in range(_CORES):
            with (store / f"restored-{worker}.ndjson").open("rb") as part:
                shutil.copyfileobj(part, whole)
    assert_same(store / "restored.ndjson", dataset.second)
    return Row("Tidemark, engine alone, the file in and out", first, stored_bytes, second, added_bytes, restore)


def script(dataset: Dataset, folder: Path) -> Row:
    """The script a user would write, from a broker and to it."""
    home = fresh(folder / "script")

    def snapshot(source: Path, name: str) -> Took:
        with _broker(source) as url:
            return run(module("user_script", "save", url, home / name))

    first = snapshot(dataset.first, "first.json.gz")
    second = snapshot(dataset.second, "second.json.gz")
    with _broker(dataset.second) as url:
        restore = run(module("user_script", "load", url, home / "second.json.gz"))
    with gzip.open(home / "second.json.gz") as file, dataset.second.open("rb") as lines:
        for entity, line in zip(json.load(file), lines, strict=True):
            assert msgspec.json.encode(entity, order="sorted") + b"\n" == line
    sizes = [(home / name).stat().st_size for name in ("first.json.gz", "second.json.gz")]
    return Row("a script: page through, `json.dump`, gzip", first, sizes[0], second, sizes[1], restore)


def scaled_script(entities: int, folder: Path) -> Row:
    """The script on a share of the entities, since it is slow, and from that what it would take for all."""
    share = min(entities, SCRIPT_ENTITIES)
    row = script(made(folder, share), folder)
    if share == entities:
        return row
    factor = entities / share
    return row.times(factor)._replace(tool=f"{row.tool}; measured on {share:,}, times {factor:g}")


@contextmanager
def _broker(source: Path) -> Iterator[str]:
    with subprocess.Popen(
        module("broker", source), stdout=subprocess.PIPE, env={**os.environ, **ENVIRONMENT}, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
