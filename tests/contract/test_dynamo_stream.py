"""What the stream of the catalog's table says: as DynamoDB writes it, read back as changes of records."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from tests.contract.aws import MOTO, client_of, table_on
from tests.contract.examples import ACME, TEN_O_CLOCK, api_key, restore, schedule, snapshot
from tests.local.aws import ACCOUNT_ID, REGION
from tests.local.streams import as_lambda_has_it
from tests.unit.volumes import examples as volumes
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_stream import changes
from tidemark.adapters.dynamo_volumes import DynamoVolumeCatalog
from tidemark.domain.restore import StagedPart
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.domain.task import Operation, TaskId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Table:
    """A table with a stream, its catalog, and what the stream holds."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name
        self.catalog = DynamoCatalog(client, name)
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        client.update_table(TableName=name, StreamSpecification=stream)  # type: ignore[arg-type]

    def written(self) -> dict[str, Any]:
        """All of it, as one event."""
        shard = dynamodb_backends[ACCOUNT_ID][REGION].get_table(self.name).stream_shard
        assert shard is not None
        return {"Records": [as_lambda_has_it(one.to_json()) for one in shard.items]}


@pytest.fixture
def table() -> Iterator[Table]:
    with client_of("dynamodb", MOTO) as client, table_on(client) as name:
        yield Table(client, name)


def test_changes_of_records_are_read_in_their_order(table: Table) -> None:
    catalog = table.catalog
    begun = catalog.add_snapshot(snapshot())
    done = catalog.replace_snapshot(replace(begun, status=SnapshotStatus.COMPLETED, labels={"env": "prod"}))
    back, plan = catalog.add_restore(restore()), catalog.add_schedule(schedule())
    found = changes(table.written())
    assert [(one.before, one.after) for one in found.transitions] == [
        (None, begun),
        (begun, done),
        (None, back),
        (None, plan),
    ]
    assert found.damage == []
    numbers = [one["dynamodb"]["SequenceNumber"] for one in table.written()["Records"]]
    assert [one.number for one in found.transitions] == numbers
    assert all(one.at > TEN_O_CLOCK and one.at.tzinfo for one in found.transitions)


def test_other_rows_of_the_table_say_nothing(table: Table) -> None:
    table.catalog.add_tenant(ACME)
    table.catalog.add_key(api_key())
    table.catalog.record_part(ACME, restore().id, StagedPart(0, 1, ()))
    table.catalog.note_done(ACME, "copy_1", 0, 5, until=TEN_O_CLOCK)
    found = changes(table.written())
    assert {(one.before, one.after) for one in found.transitions} <= {(None, None)}
    assert found.damage == []


def test_removed_record_says_nothing(table: Table) -> None:
    held = table.catalog.add_snapshot(snapshot())
    table.catalog.remove_snapshot(held)
    assert [one.after for one in changes(table.written()).transitions] == [held]


def test_changes_of_records_of_volumes_are_read_in_their_order(table: Table) -> None:
    catalog = DynamoVolumeCatalog(table.client, table.name)
    wanted, making = volumes.snapshot(), volumes.task(operation=Operation.CREATE)
    begun = catalog.add_volume_snapshot(wanted, making)
    failed = catalog.replace_volume_snapshot(begun.failed(volumes.FAILURE))
    into = catalog.add_task(replace(volumes.task(), id=TaskId("c2c13744-8610-4012-800a-0907bea110a6")))
    found = changes(table.written())
    assert [(one.before, one.after) for one in found.transitions if one.after] == [
        (None, begun),
        (None, replace(making, version=1)),
        (begun, failed),
        (None, into),
    ]
    assert found.damage == []


def test_other_rows_of_volumes_say_nothing(table: Table) -> None:
    catalog = DynamoVolumeCatalog(table.client, table.name)
    catalog.add_environment(volumes.environment())
    catalog.add_volume_snapshot(volumes.snapshot())
    written = [one["dynamodb"] for one in table.written()["Records"]]
    found = changes(table.written())
    assert len(written) > len([one for one in found.transitions if one.after]) == 1
    assert found.damage == []


def test_damaged_record_of_a_volume_is_named(table: Table) -> None:
    DynamoVolumeCatalog(table.client, table.name).add_task(volumes.task())
    event = table.written()
    event["Records"][0]["dynamodb"]["NewImage"]["record"]["S"] += " "
    found = changes(event)
    assert found.transitions == []
    assert found.damage == [f"the catalog's record TASK#{volumes.TASK_ID} / TASK is damaged: it has the wrong checksum"]


@pytest.mark.parametrize("image", ["OldImage", "NewImage"])
def test_damaged_record_is_named_and_the_others_are_read(table: Table, image: str) -> None:
    begun = table.catalog.add_snapshot(snapshot())
    table.catalog.replace_snapshot(replace(begun, status=SnapshotStatus.FAILED))
    other = table.catalog.add_snapshot(snapshot(1))
    event = table.written()
    event["Records"][1]["dynamodb"][image]["record"]["S"] += " "
    found = changes(event)
    assert [one.after for one in found.transitions] == [begun, other]
    [sentence] = found.damage
    assert "TENANT#acme / SNAPSHOT#2026-01-15T10-00-00Z#000001 is damaged" in sentence


def test_record_in_another_ones_place_is_damaged(table: Table) -> None:
    table.catalog.add_snapshot(snapshot())
    event = table.written()
    event["Records"][0]["dynamodb"]["NewImage"]["pk"]["S"] = "TENANT#harbour"
    found = changes(event)
    assert (found.transitions, len(found.damage)) == ([], 1)
