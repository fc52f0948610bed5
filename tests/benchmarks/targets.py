"""What the product is to reach, beside what was measured: met, or by how much not and, where it is known, why."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tests.benchmarks.blocks import Measured
from tests.benchmarks.daily import Daily
from tests.benchmarks.entity_store import Counted
from tests.benchmarks.functions import Answers, ColdStart
from tests.benchmarks.machine import WHERE_SET, Speed
from tests.benchmarks.peers import Rates
from tests.benchmarks.running import Row
from tests.repo.costs import costs_in

_CAPTURE_RATE: Final = 35_000
_RESTORE_RATE: Final = 20_000
_MEMORY_MB: Final = 128
_GROWTH_SHARE: Final = 0.1
_FEWER: Final = 50
_BLOCK_RATE: Final = 250
_BLOCKS_SHARE: Final = 1.01
_INIT_MS: Final = 350
_ANSWER_MS: Final = 5
_SHARDS: Final = 16
# What a shard that changed asks for beyond one that did not: its new items, its pack with what checks it, its sweep.
_REQUESTS_A_SHARD: Final = 10
_KEYS_A_REQUEST: Final = 100
_OF_THE_API: Final = ("authorizer", "entity_store", "ngsi/")

_SMALL_DELTAS: Final = "each of 16 shards stores a pack of its own, and few lines compress less well than many"
_LEVEL_1: Final = "each block is compressed alone, at zstd's level 1, which lets a core store 250 MB/s"
_PYTHON: Final = "an entity's key is read and its line framed in Python, one by one"
_IMPORTS: Final = "most of it is the import of botocore and of Powertools"


class Target(NamedTuple):
    """One row. `missed` says by how much; empty: met; None: could not be measured."""

    what: str
    wanted: str
    measured: str
    missed: str | None
    why: str = ""

    @property
    def verdict(self) -> str:
        if self.missed is None:
            return f"not measured: {self.why}"
        if not self.missed:
            return "**met**"
        return f"**missed** by {self.missed}" + (f": {self.why}" if self.why else "")


def at_least(what: str, wanted: str, goal: float, value: float, measured: str, why: str = "") -> Target:
    """A row whose value may not be smaller."""
    return Target(what, wanted, measured, "" if value >= goal else f"{1 - value / goal:.0%}", why)


def at_most(what: str, wanted: str, goal: float, value: float, measured: str, why: str = "") -> Target:
    """A row whose value may not be larger."""
    return Target(what, wanted, measured, "" if value <= goal else f"{value / goal - 1:.0%}", why)


def of_rates(alone: Rates, beside: Rates, workers: int, speed: Speed) -> list[Target]:
    """Entities per second of one core."""
    slower = f"a core does {speed.zstd:,.0f} MB/s of zstd here and did {WHERE_SET.zstd:,.0f} where the goal was set"
    return [
        at_least(
            f"{step}, entities a second and core",
            f"≥ {goal:,}",
            goal,
            one,
            f"{one:,.0f} by a worker alone on its core; {other:,.0f} by the slowest of {workers} side by side",
            slower if speed.zstd < WHERE_SET.zstd else "",
        )
        for step, goal, one, other in (
            ("capture", _CAPTURE_RATE, alone.capture, beside.capture),
            ("restore", _RESTORE_RATE, alone.restore, beside.restore),
        )
    ]


def of_memory(peak_mb: Mapping[int, float]) -> list[Target]:
    """Peak memory in megabytes, of few and of many entities, both in shards that fill a pack."""
    (few, small_mb), (many, large_mb) = peak_mb.items()
    growth = large_mb / small_mb - 1
    return [
        at_most(
            f"peak memory of a worker, {many:,} entities",
            f"≤ {_MEMORY_MB} MB",
            _MEMORY_MB,
            large_mb,
            f"{large_mb:.0f} MB",
        ),
        Target(
            "the same as entities grow",
            f"flat: at most {_GROWTH_SHARE:.0%} more",
            f"{small_mb:.0f} MB at {few:,}, {large_mb:.0f} MB at {many:,}: {growth:+.0%}",
            "" if growth <= _GROWTH_SHARE else f"{growth - _GROWTH_SHARE:.0%}",
        ),
    ]


def of_tools(data_plane: Row, engine: Row, tools: Mapping[str, Row], skipped: Sequence[str]) -> list[Target]:
    """Beside restic and borg. Bytes are those of the whole data plane; seconds those of the engine alone, which starts
    from the same file as the others.
    """
    rows = []
    for name in ("restic", "borg"):
        if name in skipped:
            rows.append(Target(f"beside {name}", "", "", None, f"{name} is not installed"))
            continue
        tool = tools[name]
        fewer = tool.added_bytes / data_plane.added_bytes
        rows += [
            at_least(
                f"bytes that the second snapshot adds, beside {name}",
                f"≥ {_FEWER} times fewer",
                _FEWER,
                fewer,
                f"{fewer:.0f} times: {_mb(data_plane.added_bytes)}, {name} {_mb(tool.added_bytes)}",
                _SMALL_DELTAS,
            ),
            _no_slower(f"second snapshot, beside {name}", "faster", name, engine, data_plane, tool, second=True),
        ]
        if name == "restic":
            rows.append(
                _no_slower("first snapshot, beside restic", "no slower", name, engine, data_plane, tool, second=False)
            )
    return rows


def _no_slower(what: str, wanted: str, name: str, engine: Row, data_plane: Row, tool: Row, *, second: bool) -> Target:
    own, whole, other = ((row.second if second else row.first).elapsed_s for row in (engine, data_plane, tool))
    measured = f"{own:.1f} s by the engine alone, {name} {other:.1f} s; {whole:.1f} s with DynamoDB's JSON"
    return at_most(what, wanted, other, own, measured, "" if second else _PYTHON)


def of_daily(daily: Daily) -> list[Target]:
    """What daily snapshots store. Nothing is to be reached but to show it."""
    own, *others = ((line.tool, line.stored_bytes[-1]) for line in daily.lines)
    told = [f"{tool} {_mb(stored)} ({stored / own[1]:.1f} times)" for tool, stored in others]
    days = len(daily.lines[0].stored_bytes)
    least = min(stored for _, stored in others)
    return [
        at_most(
            f"bytes of {days} daily snapshots of {daily.entities:,} entities",
            "fewer than the others",
            least,
            own[1],
            f"{_mb(own[1])}; {', '.join(told)}",
        )
    ]


def of_captures(captures: Mapping[float, Counted], entities: int) -> list[Target]:
    """Requests in proportion to what changed."""
    unchanged = captures[0.0]
    beyond = {share: counted.total - unchanged.total for share, counted in captures.items() if share}
    allowed = {share: _allowed(round(share * entities)) for share in beyond}
    over = max(beyond[share] - allowed[share] for share in beyond)
    read = all(counted.entities_read == round(share * entities) for share, counted in captures.items())
    queries = unchanged.requests["Query"] - _SHARDS
    told = ", ".join(
        f"{share:.1%}: {beyond[share]} more, {captures[share].entities_read} entities read" for share in beyond
    )
    missed = (
        f"{queries} queries"
        if queries
        else "entities read that had not changed"
        if not read
        else f"{over} requests"
        if over > 0
        else ""
    )
    return [
        Target(
            "requests of an incremental capture",
            "one query a shard, and in proportion to what changed",
            f"unchanged: {unchanged.total}, of these {unchanged.requests['Query']} queries; {told}",
            missed,
        )
    ]


def _allowed(changed: int) -> int:
    return _REQUESTS_A_SHARD * min(_SHARDS, changed) + -(-changed // _KEYS_A_REQUEST)


def of_functions(cold: Sequence[ColdStart], answers: Answers) -> list[Target]:
    """Cold starts of what answers requests, and their answers."""
    rows = []
    if of_api := [one for one in cold if one.function.startswith(_OF_THE_API)]:
        slowest = max(of_api, key=lambda one: one.elapsed_ms)
        told = f"at most {slowest.elapsed_ms:.0f} ms ({slowest.function})"
        what = "import and init of the API's functions"
        rows.append(at_most(what, f"≤ {_INIT_MS} ms", _INIT_MS, slowest.elapsed_ms, told, _IMPORTS))
    told = ", ".join(f"{name} {value:.1f} ms" for name, value in answers.core_ms.items())
    return [
        *rows,
        at_most("CPU of a list and of a get", f"≤ {_ANSWER_MS} ms", _ANSWER_MS, max(answers.core_ms.values()), told),
        Target(
            "requests to S3 of a list and of a get",
            "0",
            str(answers.s3_requests),
            "" if not answers.s3_requests else f"{answers.s3_requests} requests",
        ),
    ]


def of_blocks(found: Measured) -> list[Target]:
    """Volumes: how fast their blocks are stored, and what a snapshot of few changes adds."""
    told = f"{found.capture:,.0f} MB/s; read {found.read:,.0f}, verified {found.verify:,.0f}"
    allowed = found.changed_bytes * _BLOCKS_SHARE
    return [
        at_least(
            "blocks that are not zeros, captured by a core", f"≥ {_BLOCK_RATE} MB/s", _BLOCK_RATE, found.capture, told
        ),
        at_most(
            "bytes that a second snapshot of a volume adds",
            "the changed blocks + 1 %",
            allowed,
            found.added_bytes,
            f"{_mb(found.added_bytes)} of {_mb(found.changed_bytes)} that changed",
        ),
    ]


def of_images(own: Row, restic: Row | None) -> list[Target]:
    """What an image takes beside restic on the same file."""
    if restic is None:
        return [Target("an image, beside restic", "", "", None, "restic is not installed")]
    return [
        at_most(
            f"bytes {what}, beside restic",
            "no more",
            theirs,
            ours,
            f"{_mb(ours)}, restic {_mb(theirs)}",
            _LEVEL_1,
        )
        for what, ours, theirs in (
            ("that the first snapshot of an image takes", own.stored_bytes, restic.stored_bytes),
            ("that a second one adds, with 1 % of the blocks changed", own.added_bytes, restic.added_bytes),
        )
    ]


def of_costs(readme: str) -> list[Target]:
    """Where the cost of a million entities stands."""
    found = re.findall(r"\*\*(First snapshot|Restore, all phases)\*\* .* ([\d.]+) \|$", costs_in(readme), re.MULTILINE)
    told = ", ".join(f"{name.lower()} US$ {dollars}" for name, dollars in found)
    return [
        Target(
            "cost of a million entities, from counted requests",
            "in the README",
            f"[{told}](#what-it-costs)",
            "" if len(found) == 2 else "the figures",
        )
    ]


def table(rows: Sequence[Target]) -> str:
    """The rows in Markdown."""
    lines = ["| target | to reach | measured | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.wanted} | {row.measured} | {row.verdict} |" for row in rows]
    return "\n".join(lines)


def _mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes < 1e7 else f"{size_bytes / 1e6:,.0f} MB"
