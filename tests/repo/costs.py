"""What AWS bills for a snapshot, a restore and a write, from the requests that they make.

`python -m tests.repo.costs` prints the tables of README.md; with `--update DOCUMENT` it rewrites them there, between
the comments `<!-- costs -->` and `<!-- /costs -->`.

One shard of a tenant of a million entities is captured and restored on metered ports. The rest follows: a tenant of 16
shards costs what an empty one costs, and 16 times what one full shard costs more than an empty one; what is done once
for every snapshot that stores something is counted once.
"""

import argparse
import contextlib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import batched, islice
from pathlib import Path
from typing import Final, NamedTuple

from tests.driving import TENANT, run_restore
from tests.handlers.entities_client import EntitiesClient
from tests.local.city import Entity, city
from tests.repo.metering import ENTITY_BYTES, READ_UNITS, STORED_BYTES, WRITE_UNITS, Meter, metered_ports
from tests.repo.sources import FUNCTIONS, definition
from tidemark import bootstrap
from tidemark.domain.keys import EntityKey, shard_of
from tidemark.domain.live import Cut, Generation, Item, ItemKey
from tidemark.engine.live.leases import ensure_tenant
from tidemark.engine.live.writes import Decide, Documents, change
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot

ENTITIES: Final = 1_000_000
SHARDS: Final = 16
# List prices of AWS in US dollars, region us-east-1, on-demand, without free tier, as published since November 2024:
# aws.amazon.com/dynamodb/pricing/on-demand, aws.amazon.com/s3/pricing, aws.amazon.com/step-functions/pricing.
PRICES_AS_OF: Final = "November 2024"
_PER_MILLION: Final = {
    READ_UNITS: 0.125,
    WRITE_UNITS: 0.625,
    "PutObject": 5.0,
    "GetObject": 0.4,
    "HeadObject": 0.4,
    "transitions": 25.0,
}
_GB: Final = 1 << 30
_TABLE_GB_MONTH: Final = 0.25
_RECOVERY_GB_MONTH: Final = 0.20
_BUCKET_GB_MONTH: Final = 0.023
_BLOCK: Final = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)

# The states that an execution enters when nothing fails, by how often: once, or once for each shard or part.
_CAPTURE_STATES: Final = ("Delay", "Begin", "StillWanted", "CopyShards", "Seal", "Completed")
_RESTORE_STATES: Final = {
    "Plan": ("Plan", "Resume"),
    "Stage": ("Stage",),
    "Verify": ("Verify",),
    "Cutover": ("Cutover", "SafetyWanted"),
    "Preserve": ("Preserve", "SealSafetySnapshot"),
    "Retire": ("DrainReads", "Retire", "Retired", "Completed"),
}
# Seal reads the manifest again, before it removes tombstones, where something was stored.
ONCE: Final[Meter] = Counter({"GetObject": 1})
_TOUCH_EVERY = 100
_PER_SHARD: Final = {"CopyShards", "Verify", "Preserve"}


class Run(NamedTuple):
    """What was asked of AWS by a full capture, the following one of 1 % changed, and a restore, by phase."""

    capture: Meter
    following: Meter
    restore: dict[str, Meter]
    live: Meter


@cache
def million() -> Run:
    """A tenant of a million entities, live and in the snapshot."""
    empty, shard, empty_shard = count_run(0, SHARDS), count_run(ENTITIES // SHARDS, 1), count_run(0, 1)
    return Run(
        scaled(empty.capture, shard.capture, empty_shard.capture, ONCE),
        scaled(empty.following, shard.following, empty_shard.following, ONCE),
        {
            phase: scaled(empty.restore[phase], shard.restore[phase], empty_shard.restore[phase])
            for phase in empty.restore
        },
        scaled(empty.live, shard.live, empty_shard.live),
    )


def scaled(empty: Meter, shard: Meter, empty_shard: Meter, once: Meter | None = None, *, shards: int = SHARDS) -> Meter:
    """What full shards cost in all. `once` is in the cost of a full shard, but not in that of each."""
    part = once or Counter()
    return Counter(
        {
            # A record that crosses the size of a unit may cost one less with entities than without; that is no saving.
            name: empty[name] + part[name] + shards * max(0, shard[name] - part[name] - empty_shard[name])
            for name in {*empty, *shard, *empty_shard}
        }
    )


def count_run(count: int, shards: int) -> Run:
    """What a tenant of so many entities and shards asks for."""
    meter: Meter = Counter()
    ports = metered_ports(meter, shards=shards)
    ensure_tenant(ports, TENANT)
    meter.clear()
    _load(ports, count, shards)
    live = _taken(meter)
    snapshot = create_snapshot(ports, TENANT, budget_s=float("inf"))
    assert snapshot.entity_count == count
    capture = _taken(meter)
    capture["transitions"] = _transitions("capture", _CAPTURE_STATES, shards)
    _touch(ports, count)
    meter.clear()
    create_snapshot(ports, TENANT, budget_s=float("inf"))
    following = _taken(meter)
    following["transitions"] = capture["transitions"]
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    phases: dict[str, Meter] = {}
    under_way = ["Plan"]

    def between(phase: str) -> None:
        if phase != "Plan":
            phases[under_way[-1]] = _taken(meter)
        under_way.append(phase)

    assert run_restore(ports, restore.id, between=between) is None
    phases[under_way[-1]] = _taken(meter)
    for phase, states in _RESTORE_STATES.items():
        phases[phase]["transitions"] = _transitions("restore", states, shards)
    # Each part of the work is a child execution of one state.
    phases["Stage"]["transitions"] += ports.catalog.restore(TENANT, restore.id).parts or 0
    return Run(capture, following, phases, live)


def _taken(meter: Meter) -> Meter:
    taken = Counter(meter)
    meter.clear()
    return taken


def _transitions(machine: str, states: tuple[str, ...], shards: int) -> int:
    known = definition(FUNCTIONS / machine / f"{machine}.asl.json")["States"]
    assert set(states) <= known.keys(), f"{machine}.asl.json has no {set(states) - known.keys()}"
    return len(states) + shards * len(_PER_SHARD & set(states))


def _load(ports: Ports, count: int, shards: int) -> None:
    """Entities as writes leave them."""
    for some in batched(city(count), 1000, strict=False):
        items = []
        for entity in some:
            key = EntityKey(entity["type"], entity["id"], "/")
            text = json.dumps(entity, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            place = ItemKey(Generation(1), shard_of(key.id, shards), key.sort_key)
            items.append(Item(place, text, rev=1, changed=Cut(1)))
        ports.table.insert(TENANT, items)


def _touch(ports: Ports, count: int) -> None:
    """Change some of the entities."""
    for entity in islice(city(count), 0, None, _TOUCH_EVERY):
        key = EntityKey(entity["type"], entity["id"], "/")
        changed = entity | {"touched": {"type": "Boolean", "value": True, "metadata": {}}}
        text = json.dumps(changed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        change(ports, TENANT, [key], _becomes({key: text}))


def _becomes(docs: Documents) -> Decide:
    return lambda _old: docs


@cache
def requests() -> dict[str, Meter]:
    """What requests for single entities of 2 KB, and for a batch of 80, ask of the entity table."""
    meter: Meter = Counter()
    ports = metered_ports(meter, shards=SHARDS)
    client = EntitiesClient(TENANT)
    one, *rest = city(81)
    before, after = ({"actionType": "append", "entities": [*_with_note(rest, note)]} for note in ("a", "b"))
    change = {"status": {"type": "Text", "value": "changed"}}
    counted: dict[str, Meter] = {}

    def call(what: str, line: str, body: object = None) -> None:
        meter.clear()
        answer = client.call(line, body)
        assert answer.status < 300, answer.text
        counted[what] = _taken(meter)

    with bootstrap.use(ports), contextlib.redirect_stdout(io.StringIO()):
        client.create({"id": "urn:ngsi-ld:Room:first", "type": "Room"})
        call("create an entity", "POST /v2/entities", one)
        call("change an attribute", f"PATCH /v2/entities/{one['id']}/attrs", change)
        call("create 80 entities in a batch", "POST /v2/op/update", before)
        call("change 80 entities in a batch", "POST /v2/op/update", after)
        call("read an entity by its id", f"GET /v2/entities/{one['id']}")
        create_snapshot(ports, TENANT)
        change["status"]["value"] = "changed again"
        call("change an attribute, first time since a snapshot", f"PATCH /v2/entities/{one['id']}/attrs", change)
        call("delete an entity", f"DELETE /v2/entities/{one['id']}")
    return counted


def _with_note(batch: list[Entity], note: str) -> Iterator[Entity]:
    for entity in batch:
        yield entity | {"note": {"type": "Text", "value": note, "metadata": {}}}


def dollars(meter: Meter) -> float:
    """The price of what was counted, storage aside."""
    return sum(meter[name] * price for name, price in _PER_MILLION.items()) / 1e6


def tables() -> str:
    """The tables as Markdown, ending in a line break."""
    run, singles = million(), requests()
    whole: Meter = sum(run.restore.values(), Counter())
    rows = [
        ("**First snapshot**", run.capture),
        ("**Next one, 1 % changed**", run.following),
        *run.restore.items(),
        ("**Restore, all phases**", whole),
    ]
    lines = [
        "| | read units | write units | S3 requests | state transitions | US$ |",
        "|---|--:|--:|--:|--:|--:|",
        *(
            f"| {name} | {_count(meter[READ_UNITS])} | {_count(meter[WRITE_UNITS])} | {_count(_s3(meter))} "
            f"| {meter['transitions']} | {dollars(meter):.2f} |"
            for name, meter in rows
        ),
        "",
        "| kept | GB | US$ a month |",
        "|---|--:|--:|",
        _kept("the million entities in DynamoDB", run.live[ENTITY_BYTES], _TABLE_GB_MONTH),
        _kept("the same in point-in-time recovery (a parameter)", run.live[ENTITY_BYTES], _RECOVERY_GB_MONTH),
        _kept("the first snapshot in S3", run.capture[STORED_BYTES], _BUCKET_GB_MONTH),
        _kept("the next one, 1 % changed", run.following[STORED_BYTES], _BUCKET_GB_MONTH),
        "",
        "| request | read units | write units | US$ a million |",
        "|---|--:|--:|--:|",
        *(
            f"| {name} | {meter[READ_UNITS]} | {meter[WRITE_UNITS]} | {1e6 * dollars(meter):.2f} |"
            for name, meter in singles.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _s3(meter: Meter) -> int:
    return meter["PutObject"] + meter["GetObject"] + meter["HeadObject"]


def _count(number: int) -> str:
    """Three digits that matter: what a shard more or less would not change."""
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1e3:.0f} k" if number >= 1e4 else str(number)


def _kept(what: str, size_bytes: int, price: float) -> str:
    return f"| {what} | {size_bytes / _GB:.2f} | {size_bytes / _GB * price:.3f} |"


def costs_in(document: str) -> str:
    """The tables that a Markdown document shows."""
    match = _BLOCK.search(document)
    return match[0] if match else ""


def updated(document: str) -> str:
    """The Markdown document with the tables as they are now."""
    return _BLOCK.sub(lambda _: tables(), document)


def main(arguments: list[str]) -> None:
    """Prints or updates the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.repo.costs", description="Counts what AWS bills.")
    parser.add_argument("--update", type=Path, metavar="DOCUMENT", help="a Markdown file whose tables are made anew")
    options = parser.parse_args(arguments)
    if options.update:
        options.update.write_text(updated(options.update.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tables(), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
