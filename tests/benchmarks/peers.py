"""The tools that are compared, on one data set: first snapshot, second with 1 % changed, restore of the second, each
restore compared with the data byte for byte.
"""

import filecmp
import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.dataset import Dataset
from tests.benchmarks.running import ENVIRONMENT, Row, Took, after, module, results, run, run_together, size_of

_CORES = len(os.sched_getaffinity(0))


def tidemark(dataset: Dataset, folder: Path) -> tuple[Row, dict[str, list[float]]]:
    """The data plane with DynamoDB's and S3's clients, and entities per second of each worker by step."""
    store = _fresh(folder / "tidemark")

    def step(name: str, workers: int = _CORES) -> Took:
        jobs = range(workers)
        return run_together([data_plane(name, dataset, store, worker, workers) for worker in jobs])

    first = step("first")
    rates = {"capture": [one["count"] / one["core_s"] for one in results(first)]}
    first = after(first, step("seal", 1))
    stored_bytes = size_of(store)
    second = step("second", 1)
    added_bytes = size_of(store) - stored_bytes
    restore = step("restore")
    rates["restore"] = [one["count"] / one["core_s"] for one in results(restore)]
    run(data_plane("check", dataset, store, 0, 1))
    return Row("Tidemark, DynamoDB's JSON in and out", first, stored_bytes, second, added_bytes, restore), rates


def data_plane(step: str, dataset: Dataset, store: Path, worker: int, workers: int) -> list[str]:
    """The command of one step of the data plane."""
    return module("worker", step, dataset.folder, dataset.entities, store, worker, workers)


def tidemark_format(dataset: Dataset, folder: Path) -> Row:
    """Engine and format alone, from and to the file that the others read."""
    store = _fresh(folder / "format")

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
    _assert_same(store / "restored.ndjson", dataset.second)
    return Row("Tidemark, engine alone, the file in and out", first, stored_bytes, second, added_bytes, restore)


def restic(dataset: Dataset, folder: Path) -> Row:
    home = _fresh(folder / "restic")
    environment = {"RESTIC_REPOSITORY": str(home / "repo"), "RESTIC_PASSWORD": "benchmark", "HOME": str(home)}
    run(["restic", "init"], environment=environment)
    return _file_tool(
        _version("restic", "version"),
        dataset,
        home,
        lambda data: run(["restic", "backup", "--quiet", "."], cwd=data, environment=environment),
        lambda out: run(["restic", "restore", "latest", "--quiet", "--target", str(out)], environment=environment),
    )


def borg(dataset: Dataset, folder: Path) -> Row:
    home = _fresh(folder / "borg")
    repository = str(home / "repo")
    environment = {"HOME": str(home), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
    run(["borg", "init", "-e", "none", repository], environment=environment)
    taken = iter(("first", "second"))
    return _file_tool(
        _version("borg", "--version") + ", zstd 3",
        dataset,
        home,
        lambda data: run(
            ["borg", "create", "-C", "zstd,3", f"{repository}::{next(taken)}", "."], cwd=data, environment=environment
        ),
        lambda out: run(["borg", "extract", f"{repository}::second"], cwd=out, environment=environment),
    )


def zstd(dataset: Dataset, folder: Path) -> Row:
    home = _fresh(folder / "zstd")
    taken = iter(("first", "second"))
    (home / "repo").mkdir()
    return _file_tool(
        "`zstd -3`, all again each time",
        dataset,
        home,
        lambda data: run(
            ["zstd", "-3", "-q", str(data / "entities.ndjson"), "-o", str(home / "repo" / f"{next(taken)}.zst")]
        ),
        lambda out: run(["zstd", "-dq", str(home / "repo" / "second.zst"), "-o", str(out / "entities.ndjson")]),
    )


def script(dataset: Dataset, folder: Path) -> Row:
    """The script a user would write, from a broker and to it."""
    home = _fresh(folder / "script")

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


def _file_tool(
    tool: str, dataset: Dataset, home: Path, backup: Callable[[Path], Took], restore: Callable[[Path], Took]
) -> Row:
    data, out, repository = home / "data", home / "out", home / "repo"
    data.mkdir()
    out.mkdir()
    empty_bytes = size_of(repository)
    shutil.copyfile(dataset.first, data / "entities.ndjson")
    first = backup(data)
    stored_bytes = size_of(repository) - empty_bytes
    shutil.copyfile(dataset.second, data / "entities.ndjson")
    second = backup(data)
    added_bytes = size_of(repository) - empty_bytes - stored_bytes
    restored = restore(out)
    (found,) = out.rglob("entities.ndjson")
    _assert_same(found, dataset.second)
    return Row(tool, first, stored_bytes, second, added_bytes, restored)


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


def _assert_same(found: Path, expected: Path) -> None:
    assert filecmp.cmp(found, expected, shallow=False), f"{found} is not {expected}"


def _version(*command: str) -> str:
    name, version, *_ = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return f"{name} {version}"


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
