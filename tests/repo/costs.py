"""What AWS bills for a snapshot, a restore and a write, from the requests that they make.

`python -m tests.repo.costs` prints the tables of README.md; with `--update DOCUMENT` it rewrites them there, between
the comments `<!-- costs -->` and `<!-- /costs -->`.

`counting.py` and `counting_backups.py` say how the requests are counted.
"""

import argparse
import contextlib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.driving import TENANT
from tests.handlers.entities_client import EntitiesClient
from tests.local.city import Entity, city
from tests.repo.counting import SHARDS, imported_million, million
from tests.repo.counting_backups import LOOKS_A_MONTH, SLOTS_A_MONTH, count_backups, times
from tests.repo.metering import (
    ENTITY_BYTES,
    READ_UNITS,
    S3_READING,
    S3_STORING,
    STORED_BYTES,
    WRITE_UNITS,
    Meter,
    metered_ports,
    taken,
)
from tidemark import bootstrap
from tidemark.usecases.create_snapshot import create_snapshot

# List prices of AWS in US dollars, region us-east-1, on-demand, without free tier, as published since November 2024:
# aws.amazon.com/dynamodb/pricing/on-demand, aws.amazon.com/s3/pricing, aws.amazon.com/step-functions/pricing.
PRICES_AS_OF: Final = "November 2024"
_PER_MILLION: Final = {
    READ_UNITS: 0.125,
    WRITE_UNITS: 0.625,
    **dict.fromkeys(S3_STORING, 5.0),
    **dict.fromkeys(S3_READING, 0.4),
    "transitions": 25.0,
}
_SMALLEST: Final = 0.01
_GB: Final = 1 << 30
_TABLE_GB_MONTH: Final = 0.25
_RECOVERY_GB_MONTH: Final = 0.20
_BUCKET_GB_MONTH: Final = 0.023
_BLOCK: Final = re.compile(r"(?<=<!-- costs -->\n).*?(?=<!-- /costs -->)", re.DOTALL)


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
        counted[what] = taken(meter)

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
    run, singles, backups = million(), requests(), count_backups()
    whole: Meter = sum(run.restore.values(), Counter())
    rows = [
        ("**First snapshot**", run.capture),
        ("**Next one, 1 % changed**", run.following),
        *run.restore.items(),
        ("**Restore, all phases**", whole),
        *run.others.items(),
        ("Import of one file", imported_million()),
        ("A month of hourly backups, nothing changed", times(backups.slot, SLOTS_A_MONTH)),
        ("A month of the watch over its tenant", times(backups.look, LOOKS_A_MONTH)),
    ]
    lines = [
        "| | read units | write units | S3 requests | state transitions | US$ |",
        "|---|--:|--:|--:|--:|--:|",
        *(
            f"| {name} | {_count(meter[READ_UNITS])} | {_count(meter[WRITE_UNITS])} | {_count(_s3(meter))} "
            f"| {_count(meter['transitions'])} | {_cents(dollars(meter))} |"
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
    return sum(meter[name] for name in (*S3_STORING, *S3_READING))


def _count(number: int) -> str:
    """Three digits that matter: what a shard more or less would not change."""
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1e3:.0f} k" if number >= 1e4 else str(number)


def _cents(price: float) -> str:
    return f"{price:.2f}" if price >= _SMALLEST else f"< {_SMALLEST}"


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
