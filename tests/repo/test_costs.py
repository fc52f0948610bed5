"""The cost tables of README.md are what is counted today, and what is counted is what the adapters ask of AWS."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.contract.ports_on_aws import moto_clients, ports_on
from tests.driving import TENANT, run_capture, run_restore, run_transfer, upload_urls
from tests.fakes import ManualClock, MemoryLinks, MemoryWorkflows, SeededEntropy, Serial
from tests.handlers.entities_client import EntitiesClient
from tests.local.city import city
from tests.repo import costs, counting, counting_backups
from tests.repo.metering import S3_READING, S3_STORING, Meter, metered_ports
from tests.repo.sources import README
from tests.repo.units import index_units, read_units, size_of, write_units
from tidemark import bootstrap
from tidemark.domain.live import Cut, Generation, Item, ItemKey
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer.plans import ImportFile
from tidemark.ports import Ports
from tidemark.usecases.copy_snapshot import copy_snapshot
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.dry_run import dry_run
from tidemark.usecases.export_snapshot import export_snapshot
from tidemark.usecases.import_snapshot import ImportWanted, open_import, read_import, start_import
from tidemark.usecases.restore_snapshot import Wish, restore_snapshot
from tidemark.usecases.stack_schedule import kept_in_step
from tidemark.usecases.stored_plans import read_plan
from tidemark.usecases.watch_backups import watch_backups

S3_REQUESTS = {*S3_STORING, *S3_READING}
# What clients PUT to addresses is not asked by the adapters.
SENT = "UploadPart"
OPERATIONS = {
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactWriteItems",
    *S3_REQUESTS - {SENT},
}
ELSEWHERE = Tenant("elsewhere")

type Send = Callable[[str, bytes], None]


def _item(doc: str | None, changed: int | None) -> Item:
    return Item(ItemKey(Generation(1), 0, "Room\x1fR1\x1f/"), doc, 1, None if changed is None else Cut(changed))


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Ports, Meter]]:
    """The adapters on moto, and a count of the requests that reach it."""
    counted: Meter = Counter()
    with (
        moto_clients() as (dynamodb, s3),
        ports_on(dynamodb, s3, clock=ManualClock(), entropy=SeededEntropy(), parallel=Serial()) as ports,
    ):

        def count(model: Any, **_: Any) -> None:
            counted[model.name] += 1

        for client in (dynamodb, s3):
            client.meta.events.register("before-call", count)
        yield ports, counted


def _play(ports: Ports, send: Send) -> None:
    """A story in which every kind of request occurs."""
    client = EntitiesClient(TENANT)
    entities = list(city(130))
    # What another story read has the same names.
    counting.forget()
    with bootstrap.use(ports), redirect_stdout(io.StringIO()):
        client.create(*entities)
        snapshot = create_snapshot(ports, TENANT, budget_s=float("inf"))
        line = f"/v2/entities/{entities[0]['id']}"
        assert client.call(f"PATCH {line}/attrs", {"status": {"type": "Text", "value": "other"}}).status == 204
        _move(ports, create_snapshot(ports, TENANT, budget_s=float("inf")).id, send)
        assert client.call(f"DELETE {line}").status == 204
        asked = dry_run(ports, TENANT, snapshot.id, Wish(), budget_s=-1)
        run_capture(ports, asked.id, asked.id)
        assert read_plan(ports, TENANT, asked.id).changes.created == 1
        restore = restore_snapshot(ports, TENANT, snapshot.id)
        assert run_restore(ports, restore.id) is None
        assert client.call(f"GET {line}").status == 200
        _back_up(ports)


def _back_up(ports: Ports) -> None:
    """A backup, which asks for what is there again, and a look at it."""
    kept_in_step(ports, TENANT, counting_backups.HOURLY)
    counting_backups.back_up(ports, ports.clock.now() + timedelta(hours=1))
    assert [found.age_s for found in watch_backups(ports, counting_backups.HOURLY)].count(0) == 1


def _move(ports: Ports, snapshot_id: str, send: Send) -> None:
    """A copy, an export of several layers, and an import."""
    workflows = ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    copy_snapshot(ports, TENANT, snapshot_id, ELSEWHERE)
    run_transfer(ports, workflows.started[-1])
    assert export_snapshot(ports, TENANT, snapshot_id).parts is None
    run_transfer(ports, workflows.started[-1])
    assert export_snapshot(ports, TENANT, snapshot_id).parts
    text = b'{"id":"R1","type":"Room"}'
    begun = open_import(ports, ELSEWHERE, ImportWanted((ImportFile("rooms.ndjson", len(text)),)))
    [url] = upload_urls(ports, read_import(ports, ELSEWHERE, begun.id), 0)
    send(url, text)
    start_import(ports, ELSEWHERE, begun.id)
    run_transfer(ports, workflows.started[-1])
    assert {one.status for one in ports.catalog.snapshots(ELSEWHERE)} == {SnapshotStatus.COMPLETED}


def _put(url: str, body: bytes) -> None:
    requests.put(url, data=body, timeout=10).raise_for_status()


@pytest.mark.slow
def test_readme_shows_the_costs_as_they_are_counted() -> None:
    shown = costs.costs_in(README.read_text(encoding="utf-8"))
    assert shown == costs.tables(), "make them anew: python -m tests.repo.costs --update README.md"


def test_meter_counts_the_requests_that_the_adapters_make(asked: tuple[Ports, Meter]) -> None:
    ports, counted = asked
    _play(ports, _put)
    meter: Meter = Counter()
    metered = metered_ports(meter, shards=16)
    assert isinstance(metered.links, MemoryLinks)
    _play(metered, metered.links.send)
    assert {name: meter[name] for name in OPERATIONS} == {name: counted[name] for name in OPERATIONS}
    assert min(counted[name] for name in OPERATIONS) > 0, "the story leaves a kind of request out"
    assert set(counted) <= OPERATIONS, "the adapters make requests that the meter does not know"
    assert meter[SENT] == 1


def test_full_shards_cost_what_is_counted_on_one() -> None:
    # Few enough entities for one pack a shard.
    whole = counting.count_run(1600, 4, touch_every=10)
    small, full, alone = (counting.count_run(count, n, touch_every=10) for count, n in ((400, 4), (400, 1), (100, 1)))
    expected = counting.scaled(small, full, alone, shards=4)
    for part in ("capture", "following"):
        assert _to_s3(getattr(whole, part)) == _to_s3(getattr(expected, part))
    for part in ("restore", "others"):
        counted, computed = getattr(whole, part), getattr(expected, part)
        assert {name: _to_s3(counted[name]) for name in counted} == {name: _to_s3(computed[name]) for name in computed}


def _to_s3(meter: Meter) -> dict[str, int]:
    return {name: meter[name] for name in (*S3_REQUESTS, "transitions") if meter[name]}


def test_machine_enters_a_state_for_each_shard_and_four_for_each_file() -> None:
    run = counting.count_run(400, 4, touch_every=10)
    entered = {name: meter["transitions"] for name, meter in run.others.items() if meter["transitions"]}
    assert entered == {
        "Copy": 5 + 4,
        "Export, preparing": 5 + 4,
        "Dry run, nothing changed": 6 + 4,
        "Dry run with a filter": 6 + 4,
    }
    assert counting.count_import(500, 500)["transitions"] == 6 + counting.SHARDS + 4


def test_look_at_a_tenant_costs_no_more_with_many_snapshots() -> None:
    few, many = (counting_backups.count_backups(days, shards=1) for days in (1, 4))
    assert many.records > 2 * few.records
    assert many.look == few.look
    assert many.slot["transitions"] == 6


def test_small_file_is_imported_in_as_many_pieces_as_the_large_one_that_it_stands_for() -> None:
    small, larger = counting.count_import(2_000, 50_000), counting.count_import(4_000, 50_000)
    assert _to_s3(small) == _to_s3(larger)
    assert small["PutObject"] > counting.count_import(2_000, 2_000)["PutObject"]


def test_item_size_counts_names_and_values_as_dynamodb_does() -> None:
    assert size_of({"pk": {"S": "abc"}, "rev": {"N": "1234"}, "deleted": {"BOOL": True}}) == (2 + 3) + (3 + 3) + (7 + 1)
    assert size_of({"a": {"S": "高"}}) == 1 + 3


@pytest.mark.parametrize(("size_bytes", "reads", "writes"), [(0, 1, 1), (1024, 1, 1), (1025, 1, 2), (4097, 2, 5)])
def test_units_are_rounded_up(size_bytes: int, reads: int, writes: int) -> None:
    assert (read_units(size_bytes), write_units(size_bytes)) == (reads, writes)


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        pytest.param(None, _item("{}", 1), 2, id="created"),
        pytest.param(None, _item("{}", None), 1, id="staged"),
        pytest.param(_item("{}", 1), _item("{}", 1), 0, id="changed in the same cut"),
        pytest.param(_item("{}", 1), _item("{}", 2), 2, id="changed in another cut"),
        pytest.param(_item("{}", None), _item("{}", 2), 1, id="changed since it was staged"),
        pytest.param(_item("{}", 2), _item(None, 2), 1, id="deleted, with a tombstone"),
        pytest.param(_item("{}", 2), None, 2, id="removed"),
    ],
)
def test_sparse_indexes_cost_what_enters_and_leaves_them(before: Item | None, after: Item | None, units: int) -> None:
    assert index_units(before, after) == units
