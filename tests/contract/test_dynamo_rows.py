"""What rows look like: other programs, and people in the console, read them too."""

from typing import TYPE_CHECKING

import pytest

from tests.contract.aws import table_on
from tests.contract.examples import ACME, TEN_O_CLOCK, api_key, item, key, restore, snapshot, state
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_rows import Row, gate_row, item_row, state_row
from tidemark.domain.live import Anchor, Base, Cut, FencingToken, Gate, Generation, Item, Latecomers, Lease, LeaseKind
from tidemark.domain.snapshot import SnapshotId

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

PLACE = {"pk": {"S": "acme#1#0"}, "sk": {"S": "Room\x1fa\x1f/"}}


@pytest.mark.parametrize(
    ("stored", "row"),
    [
        (item("a"), {**PLACE, "rev": {"N": "1"}, "doc": {"S": "{}"}, "id": {"S": "a"}}),
        (
            item("a", changed=Cut(5), prev="[]", prev_cut=Cut(3)),
            {
                **PLACE,
                "rev": {"N": "1"},
                "doc": {"S": "{}"},
                "id": {"S": "a"},
                "changed": {"N": "5"},
                "prev": {"S": "[]"},
                "prevCut": {"N": "3"},
            },
        ),
        (
            item("a", None, rev=3, changed=Cut(4)),
            {**PLACE, "rev": {"N": "3"}, "deleted": {"BOOL": True}, "changed": {"N": "4"}},
        ),
        (
            item("a", changed=Cut(9), anchors=(Anchor(Cut(2), None), Anchor(Cut(6), "9g-_QPEA"))),
            {
                **PLACE,
                "rev": {"N": "1"},
                "doc": {"S": "{}"},
                "id": {"S": "a"},
                "changed": {"N": "9"},
                "anchors": {"S": "2: 6:9g-_QPEA"},
            },
        ),
    ],
    ids=["staged", "written", "deleted", "anchored"],
)
def test_item_row_has_only_what_the_item_has(stored: Item, row: Row) -> None:
    assert item_row(ACME, stored) == row


def test_item_row_lies_in_the_partition_of_its_generation_and_shard() -> None:
    row = item_row(ACME, item(key("x", generation=12, shard=63)))
    assert row["pk"] == {"S": "acme#12#63"}


def test_gate_row_is_open_when_nobody_closed_it() -> None:
    row = gate_row(Gate(ACME, 7, Generation(2), Cut(3), rev=4))
    assert row == {
        "pk": {"S": "acme#gate#7"},
        "sk": {"S": "gate"},
        "generation": {"N": "2"},
        "cut": {"N": "3"},
        "rev": {"N": "4"},
    }
    assert gate_row(Gate(ACME, 7, Generation(2), Cut(3), closed_by=FencingToken(9)))["closedBy"] == {"N": "9"}


def test_state_row_is_flat() -> None:
    lease = Lease(LeaseKind.CAPTURE, "c-1", "snapshot_x", FencingToken(6), 2)
    latecomers = Latecomers(Cut(3), TEN_O_CLOCK)
    row = state_row(state(base=Base(SnapshotId("snapshot_y"), Cut(0)), lease=lease, latecomers=latecomers))
    assert {name: value for name, value in row.items() if name.startswith(("pk", "sk", "lease", "base", "late"))} == {
        "pk": {"S": "acme#state"},
        "sk": {"S": "state"},
        "baseSnapshotId": {"S": "snapshot_y"},
        "baseCut": {"N": "0"},
        "leaseKind": {"S": "capture"},
        "leaseOwner": {"S": "c-1"},
        "leaseSubject": {"S": "snapshot_x"},
        "leaseToken": {"N": "6"},
        "leaseAttempt": {"N": "2"},
        "latecomersSince": {"N": "3"},
        "latecomersGoneAt": {"S": "2026-01-15T10:00:00.123456+00:00"},
    }


def test_catalog_rows_show_status_and_version_beside_the_record(dynamodb: "DynamoDBClient") -> None:
    with table_on(dynamodb) as name:
        catalog = DynamoCatalog(dynamodb, name)
        catalog.add_snapshot(snapshot(0, 12))
        catalog.add_restore(restore())
        catalog.add_key(api_key())
        rows = dynamodb.scan(TableName=name)["Items"]
    shown = {(row["pk"]["S"], row["sk"]["S"]): (row.get("status"), row["version"]) for row in rows}
    assert shown == {
        ("TENANT#acme", "SNAPSHOT#2026-01-15T10-00-00Z#000012"): ({"S": "creating"}, {"N": "1"}),
        ("TENANT#acme", "RESTORE#2026-01-15T10-00-00Z#000001"): ({"S": "restoring"}, {"N": "1"}),
        (f"KEY#{api_key().id}", "KEY"): (None, {"N": "1"}),
    }
