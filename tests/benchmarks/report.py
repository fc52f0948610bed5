"""The tables of a benchmark in Markdown, and their place in the README."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.blocks import Measured
from tests.benchmarks.daily import Daily
from tests.benchmarks.entity_store import Counted
from tests.benchmarks.functions import Answers, ColdStart
from tests.benchmarks.gated_writes import Cost
from tests.benchmarks.machine import WHERE_SET, Speed
from tests.benchmarks.peers import Rates
from tests.benchmarks.running import Row, Took
from tests.benchmarks.volume_images import Images

BEGIN: Final = "<!-- bench:begin -->"
END: Final = "<!-- bench:end -->"
_ABOUT_GATES: Final = (
    "Without gates the same items are read, and put on condition of their `rev`. DynamoDB bills transactions twice; "
    "entries of indexes that a transaction changes are counted twice as well, which is an upper bound. Not measured: "
    "how often writers at the same gate get in each other's way, which only DynamoDB can tell."
)


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


def rates(alone: Rates, beside: Rates, workers: int) -> str:
    """What one core of a worker gets done."""
    lines = ["| entities a second and core, DynamoDB's JSON in or out | capture | restore |", "|---|---|---|"]
    lines += [
        f"| {who} | {found.capture:,.0f} | {found.restore:,.0f} |"
        for who, found in (("one worker, alone", alone), (f"the slowest of {workers} side by side", beside))
    ]
    return "\n".join(lines)


def machine(speed: Speed) -> str:
    """The machine beside the one on which the goals were set."""
    return (
        f"One core of this machine does {speed.sha256:,.0f} MB/s of SHA-256 and {speed.zstd:,.0f} MB/s of zstd at "
        f"level 3; where the goals were set it did {WHERE_SET.sha256:,.0f} and {WHERE_SET.zstd:,.0f}."
    )


def memory(sizes: Mapping[int, Row], shards: int) -> str:
    """The peak of the largest process of each step, at each number of entities."""
    lines = [f"| peak memory, MB, {shards} shards | first | second | restore |", "|---|---|---|---|"]
    lines += [
        f"| {entities:,} entities | {row.first.peak_mb:.0f} | {row.second.peak_mb:.0f} | {row.restore.peak_mb:.0f} |"
        for entities, row in sizes.items()
    ]
    return "\n".join(lines)


def days(found: Daily) -> str:
    """What each tool has stored after some of the days."""
    last = len(found.lines[0].stored_bytes)
    told = sorted({1, *range(10, last + 1, 10), last})
    lines = [
        f"| MB stored, {found.entities:,} entities, day | {' | '.join(map(str, told))} |",
        "|---|" + "--:|" * len(told),
    ]
    for line in found.lines:
        values = " | ".join(f"{line.stored_bytes[day - 1] / 1e6:.2f}" for day in told)
        lines.append(f"| {line.tool} | {values} |")
    return "\n".join(lines)


def store(
    writes: Mapping[str, Mapping[str, int]], captures: Mapping[float, Counted], entities: int, pause: float
) -> str:
    """Requests of the entity store."""
    lines = ["| the entity store | requests | |", "|---|---|---|"]
    lines += [f"| {name} | {sum(counts.values())} | {_told(counts)} |" for name, counts in writes.items()]
    lines += [
        f"| capture after {share:.1%} of {entities:,} entities changed | {counted.total} | {_told(counted.requests)}; "
        f"{counted.entities_read} entities read, {counted.new_bytes / 1000:.1f} kB stored |"
        for share, counted in captures.items()
    ]
    return "\n".join([*lines, f"| pause of the cut, 16 gates | {pause:.1f} round trips | |"])


def gates(costs: Sequence[Cost]) -> str:
    """What the gates cost writers."""
    lines = ["| a change of entities of 2 KB | | requests | read units | write units |", "|---|---|--:|--:|--:|"]
    lines += [
        f"| {cost.what} | {cost.way.value} | {cost.requests} | {cost.read_units} | {cost.write_units} |"
        for cost in costs
    ]
    return "\n".join([*lines, "", _ABOUT_GATES])


def functions(cold: Sequence[ColdStart], answers: Answers) -> str:
    """Cold starts and answers."""
    lines = ["| function | import and init, ms | of which CPU, ms |", "|---|---|---|"]
    lines += [f"| {one.function} | {one.elapsed_ms:.0f} | {one.core_ms:.0f} |" for one in cold]
    told = [f"{name} {value:.1f} ms" for name, value in answers.core_ms.items()]
    return "\n".join([*lines, "", f"CPU of one answer: {', '.join(told)}; requests to S3: {answers.s3_requests}."])


def blocks(found: Measured) -> str:
    """The data plane of volumes."""
    return (
        "| MB/s of blocks that are not zeros, one core | capture | read | verify |\n|---|---|---|---|\n"
        f"| {found.raw_bytes / 1e6:,.0f} MB, stored in {found.stored_bytes / 1e6:,.0f} MB | {found.capture:,.0f} "
        f"| {found.read:,.0f} | {found.verify:,.0f} |\n\n"
        f"A second snapshot, of which {found.changed_bytes / 1e6:.1f} MB are other blocks, added "
        f"{found.added_bytes / 1e6:.2f} MB."
    )


def images(found: Images, rows: str) -> str:
    """An image stored by each tool, with `rows` for what that took."""
    return (
        f"An image of {found.blocks:,} blocks as a raw file, {found.filled_bytes / 1e6:,.0f} MB that are not zeros; in "
        f"the second {found.changed_bytes / 1e6:.1f} MB are other blocks. All read the whole file, as nobody tells "
        f"them what changed; each restore was compared with it.\n\n{rows}"
    )


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
