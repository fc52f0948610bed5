"""The cost tables of README.md are what is counted today, and what is counted is what the adapters ask of AWS."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.aws import MOTO, bucket_on, client_of, table_on
from tests.driving import TENANT, run_restore
from tests.fakes import ManualClock, SeededEntropy, Serial, memory_ports
from tests.handlers.entities_client import EntitiesClient
from tests.local.city import city
from tests.repo import costs
from tests.repo.metering import Meter, index_units, metered_ports, read_units, size_of, write_units
from tests.repo.sources import README
from tidemark import bootstrap
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.domain.live import Cut, Generation, Item, ItemKey
from tidemark.ports import Ports
from tidemark.usecases.create_snapshot import create_snapshot
from tidemark.usecases.restore_snapshot import restore_snapshot

OPERATIONS = (
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "GetItem",
    "GetObject",
    "HeadObject",
    "PutItem",
    "PutObject",
    "Query",
    "TransactWriteItems",
)
S3_REQUESTS = ("GetObject", "HeadObject", "PutObject")


def _item(doc: str | None, changed: int | None) -> Item:
    return Item(ItemKey(Generation(1), 0, "Room\x1fR1\x1f/"), doc, 1, None if changed is None else Cut(changed))


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Ports, Meter]]:
    """The adapters on moto, and a count of the requests that reach it."""
    counted: Meter = Counter()
    with ExitStack() as stack:
        dynamodb = stack.enter_context(client_of("dynamodb", MOTO))
        s3 = stack.enter_context(client_of("s3", MOTO))
        clock, entropy, parallel = ManualClock(), SeededEntropy(), Serial()
        ports = replace(
            memory_ports(),
            catalog=DynamoCatalog(dynamodb, stack.enter_context(table_on(dynamodb))),
            table=DynamoEntityTable(
                dynamodb, stack.enter_context(table_on(dynamodb)), clock=clock, entropy=entropy, parallel=parallel
            ),
            payloads=S3Payloads(s3, stack.enter_context(bucket_on(s3)), clock=clock, entropy=entropy),
        )

        def count(model: Any, **_: Any) -> None:
            counted[model.name] += 1

        for client in (dynamodb, s3):
            client.meta.events.register("before-call", count)
        yield ports, counted


def _play(ports: Ports) -> None:
    """A story in which every kind of request occurs."""
    client = EntitiesClient(TENANT)
    entities = list(city(130))
    with bootstrap.use(ports), redirect_stdout(io.StringIO()):
        client.create(*entities)
        snapshot = create_snapshot(ports, TENANT, budget_s=float("inf"))
        line = f"/v2/entities/{entities[0]['id']}"
        assert client.call(f"PATCH {line}/attrs", {"status": {"type": "Text", "value": "other"}}).status == 204
        assert client.call(f"DELETE {line}").status == 204
        restore = restore_snapshot(ports, TENANT, snapshot.id)
        assert run_restore(ports, restore.id) is None
        assert client.call(f"GET {line}").status == 200


@pytest.mark.slow
def test_readme_shows_the_costs_as_they_are_counted() -> None:
    shown = costs.costs_in(README.read_text(encoding="utf-8"))
    assert shown == costs.tables(), "make them anew: python -m tests.repo.costs --update README.md"


def test_meter_counts_the_requests_that_the_adapters_make(asked: tuple[Ports, Meter]) -> None:
    ports, counted = asked
    _play(ports)
    meter: Meter = Counter()
    _play(metered_ports(meter, shards=16))
    assert {name: meter[name] for name in OPERATIONS} == {name: counted[name] for name in OPERATIONS}
    assert min(counted[name] for name in OPERATIONS) > 0, "the story leaves a kind of request out"
    assert set(counted) <= set(OPERATIONS), "the adapters make requests that the meter does not know"


def test_full_shards_cost_what_is_counted_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # Few enough entities for one pack a shard, and enough for none to be empty.
    monkeypatch.setattr(costs, "_TOUCH_EVERY", 1)
    whole, empty, shard, empty_shard = (costs.count_run(*size) for size in ((400, 4), (0, 4), (100, 1), (0, 1)))
    for what in ("capture", "following"):
        counted, nothing, full, none = (getattr(one, what) for one in (whole, empty, shard, empty_shard))
        expected = costs.scaled(nothing, full, none, costs.ONCE, shards=4)
        assert {name: counted[name] for name in S3_REQUESTS} == {name: expected[name] for name in S3_REQUESTS}


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
