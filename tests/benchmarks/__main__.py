"""Runs every benchmark: `make bench` (ENTITIES=300000). Prints Markdown, draws the plot, and fills in the README.

`python -m tests.benchmarks [--entities N] [--only tools store functions] [--folder FOLDER]`. Data and
stores lie in `.local`, unless a folder is given.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.benchmarks import peers, plot, report
from tests.benchmarks.dataset import made
from tests.benchmarks.entity_store import count_captures, count_writes, pause_in_round_trips
from tests.benchmarks.functions import cold_starts
from tests.benchmarks.plot import DAYS
from tests.benchmarks.running import Row, module, run
from tests.repo.sources import README, ROOT
from tidemark.engine.copying import MAX_DELTAS

PLOT: Final = ROOT / "tests" / "benchmarks" / "stored_bytes.svg"
RESULTS: Final = PLOT.with_name("RESULTS.md")
_STORE_ENTITIES: Final = 5000
_COLD_RUNS: Final = 5
PARTS: Final = ("tools", "store", "functions")


def tools(entities: int, folder: Path, drawing: Path) -> str:
    """All tools on one data set, and the plot."""
    dataset = made(folder, entities)
    measured, rates = peers.tidemark(dataset, folder)
    rows = [measured, peers.tidemark_format(dataset, folder)]
    drawn = [measured]
    skipped = []
    for name, command in (("restic", "restic"), ("borg", "borg"), ("zstd", "zstd")):
        if shutil.which(command) is None:
            sys.stderr.write(f"{name} is not installed: skipped (apt-get install {name})\n")
            skipped.append(name)
            continue
        row: Row = getattr(peers, name)(dataset, folder)
        rows.append(row)
        drawn += [row] if name != "zstd" else []
    rows.append(peers.script(dataset, folder))
    draw(drawn, entities, drawing)
    raw_mb = dataset.first.stat().st_size / 1e6
    return (
        f"{entities:,} entities, {raw_mb:.0f} MB as NDJSON; every restore compared with the data.\n\n"
        f"{report.tools(rows, skipped)}\n\n{report.rates(rates)}"
    )


def draw(rows: Sequence[Row], entities: int, drawing: Path) -> None:
    """The plot, from what the first and the second snapshot of each tool stored. The first row is Tidemark's."""
    lines = [
        plot.Line(
            row.tool.partition(",")[0],
            plot.daily(row.stored_bytes, row.added_bytes, whole_again_every=MAX_DELTAS + 1 if row is rows[0] else DAYS),
        )
        for row in rows
    ]
    title = f"Bytes stored by daily snapshots, computed: {entities:,} entities, 1 % changed a day"
    drawing.write_text(plot.svg(lines, title), encoding="utf-8")


def store(entities: int) -> str:
    """The entity store's requests."""
    pause = statistics.median(pause_in_round_trips() for _ in range(3))
    return report.store(count_writes(), count_captures(entities), entities, pause)


def functions(runs: int, folders: list[Path] | None = None) -> str:
    """Cold starts and answers."""
    with TemporaryDirectory() as notes:
        note = Path(notes) / "answers.json"
        run(module("functions", note))
        answers = json.loads(note.read_text(encoding="utf-8"))
    return report.functions(list(cold_starts(runs, folders)), answers)


def main(arguments: Sequence[str]) -> None:
    # The pretended AWS asks for them, and nothing of the caller's own account may be touched.
    os.environ |= {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--entities", type=int, default=300_000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, default=ROOT / ".local" / "bench")
    chosen = parser.parse_args(arguments)
    told = [_when(chosen.entities)]
    if "tools" in chosen.only:
        told.append(tools(chosen.entities, chosen.folder, PLOT))
    if "store" in chosen.only:
        told.append(store(_STORE_ENTITIES))
    if "functions" in chosen.only:
        told.append(functions(_COLD_RUNS))
    text = "\n\n".join(told)
    sys.stdout.write(f"{text}\n")
    if tuple(chosen.only) == PARTS:
        RESULTS.write_text(f"# Measured\n\n{text}\n", encoding="utf-8")
        if not report.put_into(README, text):
            sys.stderr.write(
                f"README.md has no {report.BEGIN} ... {report.END}: the tables are in {RESULTS.name} only\n"
            )


def _when(entities: int) -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make bench ENTITIES={entities}` on {cores} cores, "
        f"Python {sys.version.split()[0]}. The second snapshot has 1 % of the entities changed; peak memory is that "
        "of the largest process."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
