"""The tables of a benchmark in Markdown, and their place in the README."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.entity_store import Counted
from tests.benchmarks.functions import ColdStart
from tests.benchmarks.running import Row, Took

BEGIN: Final = "<!-- bench:begin -->"
END: Final = "<!-- bench:end -->"


def tools(rows: Sequence[Row], skipped: Sequence[str]) -> str:
    """The tools beside each other."""
    lines = [
        "| s / core s / peak MB | first | stored MB | second | added MB | restore |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.tool} | {_cost(row.first)} | {row.stored_bytes / 1e6:.1f} | {_cost(row.second)} "
        f"| {row.added_bytes / 1e6:.2f} | {_cost(row.restore)} |"
        for row in rows
    ]
    lines += [f"| {tool} | not installed here: skipped | | | | |" for tool in skipped]
    return "\n".join(lines)


def rates(found: Mapping[str, Sequence[float]]) -> str:
    """What one core of a worker gets done."""
    told = [f"{step} {min(some):,.0f}" for step, some in found.items()]
    return f"Entities per second of one core, DynamoDB's JSON in or out, the slowest worker: {', '.join(told)}."


def store(
    writes: Mapping[str, Mapping[str, int]], captures: Mapping[float, Counted], entities: int, pause: float
) -> str:
    """Requests of the entity store."""
    lines = ["| the entity store | requests | |", "|---|---|---|"]
    lines += [f"| {name} | {sum(counts.values())} | {_told(counts)} |" for name, counts in writes.items()]
    lines += [
        f"| capture after {share:.1%} of {entities:,} entities changed | {sum(counted.requests.values())} "
        f"| {_told(counted.requests)}; {counted.new_bytes / 1000:.1f} kB stored |"
        for share, counted in captures.items()
    ]
    return "\n".join([*lines, f"| pause of the cut, 16 gates | {pause:.1f} round trips | |"])


def functions(cold: Sequence[ColdStart], answers: Mapping[str, float]) -> str:
    """Cold starts and answers."""
    lines = ["| function | import and init, ms | of which CPU, ms |", "|---|---|---|"]
    lines += [f"| {one.function} | {one.elapsed_ms:.0f} | {one.core_ms:.0f} |" for one in cold]
    told = [f"{name} {value:.1f} ms" for name, value in answers.items()]
    return "\n".join([*lines, "", f"CPU of one answer: {', '.join(told)}."])


def put_into(readme: Path, text: str) -> bool:
    """Replace what is between the markers; False when the file has none."""
    if not readme.exists():
        return False
    before = readme.read_text(encoding="utf-8")
    marked = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    if not marked.search(before):
        return False
    readme.write_text(marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", before), encoding="utf-8")
    return True


def _cost(took: Took) -> str:
    return f"{took.elapsed_s:.1f} / {took.core_s:.1f} / {took.peak_mb:.0f}"


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
