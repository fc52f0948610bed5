"""Runs every benchmark: `make bench` (ENTITIES=300000). Prints Markdown, draws the plot, and fills in the README.

`python -m tests.benchmarks [--entities N] [--memory-entities N] [--daily-entities N] [--rounds N] [--only PART...]
[--folder FOLDER]`. Data and stores lie in `.local`, unless a folder is given. The README gets the targets, the tools
and the plot; RESULTS.md all else.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.benchmarks import blocks as blocks_alone
from tests.benchmarks import daily, file_tools, gated_writes, machine, peers, plot, report, targets, volume_images
from tests.benchmarks.dataset import Dataset, made
from tests.benchmarks.entity_store import count_captures, count_writes, pause_in_round_trips
from tests.benchmarks.functions import Answers, cold_starts
from tests.benchmarks.machine import Speed
from tests.benchmarks.peers import Rates
from tests.benchmarks.running import Row, fastest, fresh, module, results, run
from tests.benchmarks.targets import Target
from tests.repo.sources import README, ROOT

PLOT: Final = ROOT / "tests" / "benchmarks" / "stored_bytes.svg"
RESULTS: Final = PLOT.with_name("RESULTS.md")
_STORE_ENTITIES: Final = 5000
_COLD_RUNS: Final = 5
# How many times as many entities the second reading of memory is taken on: a million where the others are usual. Both
# are in few shards, so that each shard fills a pack: it is full packs that bound a worker's memory.
_MEMORY_TIMES: Final = 10 / 3
_MEMORY_SHARDS: Final = 4
_ROUNDS: Final = 3
_DAILY_ENTITIES: Final = 50_000
# 400 MiB: some packs, and a second of work.
_BLOCKS: Final = 800
_PACKAGES: Final = {"borg": "borgbackup"}


class Sizes(NamedTuple):
    """How many entities each part works on."""

    entities: int
    memory: int
    daily: int
    rounds: int = _ROUNDS

    @property
    def command(self) -> str:
        return f"make bench ENTITIES={self.entities} MEMORY_ENTITIES={self.memory} DAILY_ENTITIES={self.daily}"


class Part(NamedTuple):
    """What a part of the benchmark says: for the README, for RESULTS.md, and of the targets."""

    shown: str = ""
    details: str = ""
    reached: Sequence[Target] = ()


class _Round(NamedTuple):
    """What one round measured of the data plane (by a worker for each core), of one worker alone, of the engine alone,
    of the other tools, and of the machine.
    """

    data_plane: Row
    beside: Rates
    alone: Rates
    engine: Row
    others: Mapping[str, Row]
    speed: Speed


def tools(sizes: Sizes, folder: Path) -> Part:
    """All tools on one data set, round by round; and the memory of the data plane on few and on many entities."""
    workers = len(os.sched_getaffinity(0))
    with _told(f"data set of {sizes.entities:,} entities"):
        dataset = made(folder, sizes.entities)
    skipped = [name for name in file_tools.TOOLS if not file_tools.is_there(name)]
    for name in skipped:
        _tell_skipped(name)
    rounds = [_round(dataset, folder, number, skipped) for number in range(1, sizes.rounds + 1)]
    with _told("the script"):
        script = peers.scaled_script(sizes.entities, folder)
    memory = {}
    for entities in (sizes.entities, sizes.memory):
        with _told(f"memory at {entities:,} entities in {_MEMORY_SHARDS} shards"):
            shards = made(folder, entities, _MEMORY_SHARDS, compared=False)
            memory[entities], _ = peers.tidemark(shards, folder, checked=False)
    data_plane, engine = (fastest(rows) for rows in zip(*((one.data_plane, one.engine) for one in rounds), strict=True))
    others = {name: fastest([one.others[name] for one in rounds]) for name in rounds[0].others}
    alone, beside = (
        reduce(Rates.best, (one.alone for one in rounds)),
        reduce(Rates.best, (one.beside for one in rounds)),
    )
    speed = reduce(Speed.best, (one.speed for one in rounds))
    raw_mb = dataset.first.stat().st_size / 1e6
    return Part(
        f"{sizes.entities:,} entities, {raw_mb:.0f} MB as NDJSON; every restore compared with the data. Of "
        f"{sizes.rounds} rounds the fastest of each. restic, borg and zstd read that file; so does Tidemark's engine "
        "alone, which for the second snapshot is told what changed, as DynamoDB's index tells it.\n\n"
        + report.tools([data_plane, engine, *others.values(), script], skipped),
        f"{report.rates(alone, beside, workers)}\n\n{report.machine(speed)}\n\n{report.memory(memory, _MEMORY_SHARDS)}",
        [
            *targets.of_rates(alone, beside, workers, speed),
            *targets.of_memory({entities: row.peak_mb for entities, row in memory.items()}),
            *targets.of_tools(data_plane, engine, others, skipped),
        ],
    )


def _round(dataset: Dataset, folder: Path, number: int, skipped: Collection[str]) -> _Round:
    """One after the other, so that a time in which the machine is slow does not meet one of them in all rounds."""
    with _told(f"round {number}: data plane"):
        data_plane, beside = peers.tidemark(dataset, folder, checked=number == 1)
    with _told("one worker alone"):
        alone = peers.alone(dataset, folder)
    with _told("engine alone"):
        engine = peers.tidemark_format(dataset, folder)
    others: dict[str, Row] = {}
    for name, make in file_tools.TOOLS.items():
        if name not in skipped:
            with _told(name):
                others[name] = file_tools.measured(make(fresh(folder / name)), dataset)
    return _Round(data_plane, beside, alone, engine, others, machine.measured(dataset))


def days(sizes: Sizes, folder: Path, drawing: Path, count: int = daily.DAYS) -> Part:
    """A snapshot a day, and the plot."""
    with _told(f"{count} daily snapshots"):
        found = daily.stored_daily(folder, sizes.daily, count)
    title = (
        f"{count} daily snapshots of {found.entities:,} entities ({found.raw_bytes / 1e6:.0f} MB), 1 % changed a day"
    )
    drawing.write_text(plot.svg(found.lines, title), encoding="utf-8")
    shown = f"![{title}](tests/benchmarks/{PLOT.name})"
    return Part(shown, report.days(found), targets.of_daily(found))


def store(entities: int) -> Part:
    """The entity store's requests."""
    with _told("requests of the entity store"):
        pause = statistics.median(pause_in_round_trips() for _ in range(3))
        captures = count_captures(entities)
        requests = report.store(count_writes(), captures, entities, pause)
        gates = report.gates(gated_writes.costs())
    return Part(details=f"{requests}\n\n{gates}", reached=targets.of_captures(captures, entities))


def functions(runs: int, folders: list[Path] | None = None) -> Part:
    """Cold starts and answers."""
    with _told("functions"), TemporaryDirectory() as notes:
        note = Path(notes) / "answers.json"
        run(module("functions", note))
        answers = Answers(*json.loads(note.read_text(encoding="utf-8")))
        cold = list(cold_starts(runs, folders))
    return Part(details=report.functions(cold, answers), reached=targets.of_functions(cold, answers))


def blocks(count: int = _BLOCKS, rounds: int = _ROUNDS) -> Part:
    """The data plane of volumes, each rate as in the round in which it was best."""
    with _told("blocks"):
        found = [blocks_alone.Measured(**results(run(module("blocks", count)))[0]) for _ in range(rounds)]
    best = reduce(blocks_alone.Measured.best, found)
    return Part(details=report.blocks(best), reached=targets.of_blocks(best))


def images(folder: Path, count: int = _BLOCKS) -> Part:
    """What an image takes, and a second one, beside restic on the same file."""
    with _told(f"image of {count:,} blocks"):
        made_of = volume_images.made(folder, count)
        own = volume_images.tidemark(made_of, folder)
        other = volume_images.restic(made_of, folder)
    if other is None:
        _tell_skipped("restic")
    rows, skipped = ([own], ["restic"]) if other is None else ([own, other], [])
    return Part(details=report.images(made_of, report.tools(rows, skipped)), reached=targets.of_images(own, other))


def costs() -> Part:
    """Where the README tells what AWS bills."""
    return Part(reached=targets.of_costs(README.read_text(encoding="utf-8")))


PARTS: Final = ("tools", "days", "store", "functions", "blocks", "images")


def main(arguments: Sequence[str]) -> None:
    # The pretended AWS asks for them, and nothing of the caller's own account may be touched.
    os.environ |= {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--entities", type=int, default=300_000)
    parser.add_argument(
        "--memory-entities", type=int, help="for the second reading of memory; 10/3 as many if not given"
    )
    parser.add_argument("--daily-entities", type=int, default=_DAILY_ENTITIES)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, default=ROOT / ".local" / "bench")
    chosen = parser.parse_args(arguments)
    memory = chosen.memory_entities or round(chosen.entities * _MEMORY_TIMES)
    sizes = Sizes(chosen.entities, memory, chosen.daily_entities, chosen.rounds)
    whole = set(chosen.only) == set(PARTS)
    drawing = PLOT if whole else chosen.folder / PLOT.name
    runs: dict[str, Callable[[], Part]] = {
        "tools": lambda: tools(sizes, chosen.folder),
        "days": lambda: days(sizes, chosen.folder, drawing),
        "store": lambda: store(_STORE_ENTITIES),
        "functions": lambda: functions(_COLD_RUNS),
        "blocks": blocks,
        "images": lambda: images(chosen.folder),
    }
    parts = [*(runs[name]() for name in PARTS if name in chosen.only), costs()]
    reached = targets.table([target for part in parts for target in part.reached])
    shown = "\n\n".join([_when(sizes), reached, *(part.shown for part in parts if part.shown)])
    details = "\n\n".join([_when(sizes), *(part.details for part in parts if part.details)])
    sys.stdout.write(f"{shown}\n\n{details}\n")
    if whole:
        RESULTS.write_text(f"# Measured in detail\n\n{details}\n", encoding="utf-8")
        if not report.put_into(README, shown):
            sys.stderr.write(f"README.md has no {report.BEGIN} ... {report.END}: the tables above are in no file\n")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say on standard error what is under way and how long it took."""
    started_s = time.perf_counter()
    sys.stderr.write(f"{what} ... ")
    sys.stderr.flush()
    yield
    sys.stderr.write(f"{time.perf_counter() - started_s:.0f} s\n")


def _tell_skipped(tool: str) -> None:
    sys.stderr.write(f"{tool} is not installed: skipped (apt-get install {_PACKAGES.get(tool, tool)})\n")


def _when(sizes: Sizes) -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `{sizes.command}` on {cores} cores, "
        f"Python {sys.version.split()[0]}. The second snapshot has 1 % of the entities changed; peak memory is that "
        "of the largest process."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
