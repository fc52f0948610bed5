"""What a tenant of a million entities asks of AWS: its snapshots, a restore, transfers and dry runs, counted on metered
ports.

One shard of such a tenant is counted, and a tenant whose shards hold few entities. The rest follows: 16 full shards
cost what 16 small ones cost, and 16 times what one full shard costs more than one small one.

An import is counted as a whole, of a file that is a part of one of a million entities, and is read and sorted in pieces
that are as much smaller: they are as many then.
"""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from itertools import batched
from typing import Any, Final, NamedTuple

import pytest

from tests.driving import TENANT, run_capture, run_restore, run_transfer, upload_urls
from tests.fakes import MemoryLinks, MemoryWorkflows
from tests.local.city import Entity, city, entity
from tests.repo.metering import Meter, metered_ports, taken
from tests.repo.sources import FUNCTIONS, definition
from tidemark.domain.keys import EntityKey, shard_of
from tidemark.domain.live import Cut, Generation, Item, ItemKey
from tidemark.domain.restore_plan import RestorePlan
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import tables
from tidemark.engine.live.leases import ensure_tenant
from tidemark.engine.live.writes import Decide, Documents, change
from tidemark.engine.transfer import plans, sorting, uploads
from tidemark.engine.transfer.plans import ImportFile
from tidemark.ports import Ports
from tidemark.usecases import read_inside
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.dry_run import dry_run
from tidemark.usecases.export_snapshot import export_snapshot
from tidemark.usecases.import_snapshot import ImportWanted, open_import, read_import, start_import
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.stored_plans import look_at_plan

ENTITIES: Final = 1_000_000
SHARDS: Final = 16
# A small shard: enough entities for some of each to change, as many as make 1 % of all with those of the full ones.
FEW: Final = 100
_TOUCH_EVERY_OF_FEW: Final = 10
_TOUCH_EVERY: Final = 100
# The entities of the file whose import is counted. Of fewer, a piece might have none for some shard.
_IMPORTED: Final = 16_000
_ELSEWHERE: Final = Tenant("elsewhere")
_NO_TIME_S: Final = -1.0
_ALL_THE_TIME_S: Final = float("inf")

# The states that an execution enters when nothing fails.
_CAPTURE: Final = ("Delay", "Begin", "StillWanted", "CopyShards", "Seal", "Completed")
_DRY_RUN: Final = ("Delay", "Begin", "StillWanted", "CountShards", "Conclude", "Completed")
_COPY: Final = ("Begin", "Kind", "CopyShards", "Seal", "Completed")
_EXPORT: Final = ("Begin", "Kind", "MergeShards", "Publish", "Completed")
_IMPORT: Final = ("Begin", "Kind", "SortFiles", "BuildShards", "Seal", "Completed")
_RESTORE: Final = {
    "Plan": ("Plan", "Resume"),
    "Stage": ("Stage",),
    "Verify": ("Verify",),
    "Cutover": ("Cutover", "SafetyWanted"),
    "Preserve": ("Preserve", "SealSafetySnapshot"),
    "Retire": ("DrainReads", "Retire", "Retired", "Completed"),
}
# What is entered for each file, in a map whose items are files: it reads on where a file takes several calls. Items of
# other maps are shards, each with one state.
_OF_FILES: Final = {"SortFiles": ("FirstPlace", "SortFile", "WholeFile", "FileSorted")}


class Run(NamedTuple):
    """What was asked of AWS by a full capture, the following one of 1 % changed, a restore of the first by phase, and
    what else can be done with the second; `live` by the entities as they came to be.
    """

    capture: Meter
    following: Meter
    restore: dict[str, Meter]
    others: dict[str, Meter]
    live: Meter


@cache
def million() -> Run:
    """A tenant of a million entities, live and in the snapshots."""
    small = count_run(SHARDS * FEW, SHARDS, touch_every=_TOUCH_EVERY_OF_FEW)
    full = count_run(ENTITIES // SHARDS, 1, touch_every=_TOUCH_EVERY)
    return scaled(small, full, count_run(FEW, 1, touch_every=_TOUCH_EVERY_OF_FEW))


def scaled(small: Run, full: Run, alone: Run, *, shards: int = SHARDS) -> Run:
    """What a tenant of full shards asks for: `small` is one of so many small shards, `full` one of a full shard, and
    `alone` one of a small shard.
    """

    def of(part: Callable[[Run], Meter]) -> Meter:
        return _scaled(part(small), part(full), part(alone), shards)

    return Run(
        of(lambda run: run.capture),
        of(lambda run: run.following),
        {name: of(lambda run, name=name: run.restore[name]) for name in small.restore},  # type: ignore[misc]
        {name: of(lambda run, name=name: run.others[name]) for name in small.others},  # type: ignore[misc]
        of(lambda run: run.live),
    )


def _scaled(small: Meter, full: Meter, alone: Meter, shards: int) -> Meter:
    return Counter(
        {
            # A record that crosses the size of a unit may cost one less with more entities; that is no saving.
            name: small[name] + shards * max(0, full[name] - alone[name])
            for name in {*small, *full, *alone}
        }
    )


def count_run(count: int, shards: int, *, touch_every: int) -> Run:
    """What a tenant of so many entities and shards asks for, of which every so manieth changes after the first
    snapshot.
    """
    meter: Meter = Counter()
    ports = metered_ports(meter, shards=shards)
    ensure_tenant(ports, TENANT)
    meter.clear()
    _load(ports, count, shards)
    live = taken(meter)
    first = create_snapshot(ports, TENANT, budget_s=_ALL_THE_TIME_S)
    assert first.entity_count == count
    capture = taken(meter, states_entered("capture", _CAPTURE, shards))
    _touch(ports, range(0, count, touch_every))
    meter.clear()
    second = create_snapshot(ports, TENANT, budget_s=_ALL_THE_TIME_S)
    following = taken(meter, states_entered("capture", _CAPTURE, shards))
    others = _transfers(ports, meter, second, shards) | _dry_runs(ports, meter, second, shards)
    return Run(capture, following, _restore(ports, meter, first, shards), others, live)


def _restore(ports: Ports, meter: Meter, snapshot: Snapshot, shards: int) -> dict[str, Meter]:
    restore = restore_snapshot(ports, TENANT, snapshot.id)
    phases: dict[str, Meter] = {}
    under_way = ["Plan"]

    def between(phase: str) -> None:
        if phase != "Plan":
            phases[under_way[-1]] = taken(meter)
        under_way.append(phase)

    assert run_restore(ports, restore.id, between=between, invoke=_cold) is None
    phases[under_way[-1]] = taken(meter)
    for phase, states in _RESTORE.items():
        phases[phase]["transitions"] = states_entered("restore", states, shards)
    # Each part of the work is a child execution: it is staged, that was all of it, and it is done.
    phases["Stage"]["transitions"] += 3 * (ports.catalog.restore(TENANT, restore.id).parts or 0)
    meter.clear()
    return phases


def _transfers(ports: Ports, meter: Meter, snapshot: Snapshot, shards: int) -> dict[str, Meter]:
    counted = {}
    copy = copy_snapshot(ports, TENANT, snapshot.id, _ELSEWHERE)
    _run_transfer(ports)
    assert ports.catalog.snapshot(_ELSEWHERE, copy.id).status is SnapshotStatus.COMPLETED
    counted["Copy"] = taken(meter, states_entered("transfer", _COPY, shards))
    assert export_snapshot(ports, TENANT, snapshot.id).parts is None, "a shard has nothing to be merged"
    _run_transfer(ports)
    counted["Export, preparing"] = taken(meter, states_entered("transfer", _EXPORT, shards))
    exported = export_snapshot(ports, TENANT, snapshot.id)
    assert exported.parts is not None
    for part in exported.parts:
        links_of(ports).fetch(ports.links.download(part.key, filename=part.name, expires_s=60))
    counted["Export, fetching"] = taken(meter)
    return counted


def _dry_runs(ports: Ports, meter: Meter, snapshot: Snapshot, shards: int) -> dict[str, Meter]:
    """Dry runs that their requests leave to the state machine at once."""
    counted = {}
    for name, selection in (("Dry run, nothing changed", None), ("Dry run with a filter", '{"type":"Streetlight"}')):
        asked = dry_run(ports, TENANT, snapshot.id, Wish(selection=selection), budget_s=_NO_TIME_S)
        run_capture(ports, asked.id, asked.id, invoke=_cold)
        counted[name] = taken(meter, states_entered("capture", _DRY_RUN, shards))
        plan = look_at_plan(ports, TENANT, asked.id)
        assert isinstance(plan, RestorePlan)
        assert not plan.changes.updated
        meter.clear()
    return counted


@cache
def imported_million() -> Meter:
    """The import of a million entities from one file, packed by gzip, in any order, into a tenant without any."""
    return count_import(_IMPORTED, ENTITIES)


def count_import(count: int, instead_of: int) -> Meter:
    """The import of a file of so many entities, in as many pieces as one of `instead_of` is."""
    meter: Meter = Counter()
    ports = metered_ports(meter, shards=SHARDS)
    body = gzip.compress("\n".join(map(_text, city(count))).encode(), 6)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((sorting, "RUN_BYTES"), (uploads, "_READ_BYTES"), (plans, "SMALLEST_PART_BYTES")):
            patch.setattr(module, name, getattr(module, name) * count // instead_of)
        snapshot = open_import(ports, _ELSEWHERE, ImportWanted((ImportFile("city.ndjson.gz", len(body)),)))
        opened = read_import(ports, _ELSEWHERE, snapshot.id)
        part_bytes = opened.files[0].part_bytes
        for number, url in enumerate(upload_urls(ports, opened, 0)):
            links_of(ports).send(url, body[number * part_bytes : (number + 1) * part_bytes])
        start_import(ports, _ELSEWHERE, snapshot.id)
        _run_transfer(ports)
    counted = taken(meter, states_entered("transfer", _IMPORT, SHARDS, files=1))
    assert ports.catalog.snapshot(_ELSEWHERE, snapshot.id).entity_count == count
    return counted


def links_of(ports: Ports) -> MemoryLinks:
    """The addresses, and what a client does with them."""
    assert isinstance(ports.links, MemoryLinks)
    return ports.links


def _run_transfer(ports: Ports) -> None:
    assert isinstance(ports.workflows, MemoryWorkflows)
    run_transfer(ports, ports.workflows.started[-1], invoke=_cold, budget_s=_ALL_THE_TIME_S)


def forget() -> None:
    """Begin as a new worker does, which has kept nothing of what others read."""
    read_inside.forget()
    tables.forget()


def _cold[T](phase: Callable[[], T]) -> T:
    forget()
    return phase()


def states_entered(machine: str, states: tuple[str, ...], shards: int = 0, *, files: int = 0) -> int:
    """How many states an execution enters, with those of its inline maps: one for each shard, some for each file."""
    known: Mapping[str, Any] = definition(FUNCTIONS / machine / f"{machine}.asl.json")["States"]
    assert set(states) <= known.keys(), f"{machine}.asl.json has no {set(states) - known.keys()}"
    entered = len(states)
    for name in states:
        items = known[name].get("ItemProcessor")
        if items is None or items["ProcessorConfig"]["Mode"] != "INLINE":
            continue
        each = _OF_FILES.get(name)
        inner = set(each or items["States"])
        assert inner <= items["States"].keys(), f"{name} has no {inner - items['States'].keys()}"
        assert each or len(inner) == 1, f"{name} has several states for each shard: say which are entered"
        entered += files * len(inner) if each else shards
    return entered


def _load(ports: Ports, count: int, shards: int) -> None:
    """Entities as writes leave them."""
    for some in batched(city(count), 1000, strict=False):
        items = []
        for one in some:
            key = _key(one)
            place = ItemKey(Generation(1), shard_of(key.id, shards), key.sort_key)
            items.append(Item(place, _text(one), rev=1, changed=Cut(1)))
        ports.table.insert(TENANT, items)


def _touch(ports: Ports, numbers: range) -> None:
    """Change these entities."""
    for one in map(entity, numbers):
        key = _key(one)
        text = _text(one | {"touched": {"type": "Boolean", "value": True, "metadata": {}}})
        change(ports, TENANT, [key], _becomes({key: text}))


def _key(one: Entity) -> EntityKey:
    return EntityKey(one["type"], one["id"], "/")


def _text(one: Entity) -> str:
    return json.dumps(one, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _becomes(docs: Documents) -> Decide:
    return lambda _old: docs
