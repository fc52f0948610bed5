"""The EBS direct APIs as the local stack serves them: writing snapshots, through boto3, in both forms."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local import volumes
from tests.local.moto_ec2 import snapshots_settle
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tests.unit.local.ebs_calls import (
    ZEROS,
    ZONE,
    aggregated,
    block_of,
    complete,
    content_of,
    digest,
    put,
    refusal,
    snapshot_of,
    started,
    state_of,
    volume_of,
)


def test_makes_a_volume_of_a_snapshot_that_was_written_block_by_block(ec2: Any, ebs: Any) -> None:
    blocks = {index * 7: block_of(index) for index in range(24)}
    tags = [{"Key": "Name", "Value": "restored"}]
    answer = ebs.start_snapshot(VolumeSize=1, Tags=tags, Description="a restore", ClientToken="one")
    snapshot_id = answer["SnapshotId"]
    assert (answer["BlockSize"], answer["Status"], answer["Tags"]) == (524288, "pending", tags)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: put(ebs, snapshot_id, *item), reversed(blocks.items())))
    assert state_of(ec2, snapshot_id) == "pending"

    assert complete(ebs, snapshot_id, *blocks.values())["Status"] == "pending"

    described = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    assert (described["State"], described["Progress"], described["VolumeSize"]) == ("completed", "100%", 1)
    assert (described["Tags"], described["Description"]) == (tags, "a restore")
    assert content_of(ebs, snapshot_id) == blocks
    volume_id = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot_id)["VolumeId"]
    assert {index: volumes.read(volume_id, index * BLOCK_BYTES, BLOCK_BYTES) for index in blocks} == blocks
    assert volumes.read(volume_id, BLOCK_BYTES, BLOCK_BYTES) == ZEROS


def test_leaves_no_volume_behind_when_a_snapshot_is_started(ec2: Any, ebs: Any) -> None:
    before = len(ec2.describe_volumes()["Volumes"])
    ebs.start_snapshot(VolumeSize=1)

    assert len(ec2.describe_volumes()["Volumes"]) == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Checksum": digest(b"other")}, "INVALID_PARAMETER_VALUE"),
        ({"DataLength": 512}, "INVALID_BLOCK"),
        ({"index": 2048}, "INVALID_BLOCK"),
        ({"content": b"short"}, "INVALID_BLOCK"),
    ],
)
def test_refuses_a_block_that_is_not_what_it_says(ebs: Any, changed: dict[str, Any], reason: str) -> None:
    snapshot_id = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    asked = {"index": 0, "content": block_of("a"), **changed}

    assert refusal(put, ebs, snapshot_id, **asked) == ("ValidationException", reason)
    complete(ebs, snapshot_id)
    assert content_of(ebs, snapshot_id) == {}


def test_refuses_to_complete_what_is_not_what_was_written(ec2: Any, ebs: Any) -> None:
    snapshot_id = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    contents = [block_of(index) for index in range(3)]
    for index, content in enumerate(contents):
        put(ebs, snapshot_id, index, content)
    put(ebs, snapshot_id, 2, contents[2])  # again, as one does that heard no answer: it counts once

    wrong = ("ValidationException", "INVALID_PARAMETER_VALUE")
    assert refusal(complete, ebs, snapshot_id, *reversed(contents)) == wrong
    assert refusal(complete, ebs, snapshot_id, *contents[:2], Checksum=aggregated(*contents)) == wrong
    assert refusal(complete, ebs, snapshot_id, *contents, ChangedBlocksCount=4) == wrong
    assert state_of(ec2, snapshot_id) == "pending"
    complete(ebs, snapshot_id, *contents)
    assert state_of(ec2, snapshot_id) == "completed"


def test_writes_and_completes_nothing_after_it_was_completed(ec2: Any, ebs: Any) -> None:
    with snapshots_settle(looks=1):
        snapshot_id = started(ebs, {0: block_of("a")})
    refused = ("ValidationException", "INVALID_SNAPSHOT_ID")
    for _ in range(2):  # while it is pending still, and when it is complete
        assert refusal(put, ebs, snapshot_id, 1, block_of("b")) == refused
        assert refusal(complete, ebs, snapshot_id, block_of("a")) == refused
        state_of(ec2, snapshot_id)
    assert refusal(put, ebs, snapshot_of(ec2, volume_of(ec2, {})), 1, block_of("b")) == refused
    assert state_of(ec2, snapshot_id) == "completed"
    assert content_of(ebs, snapshot_id) == {0: block_of("a")}


def test_starts_one_snapshot_for_one_client_token(ebs: Any) -> None:
    asked = {"VolumeSize": 1, "ClientToken": "the same", "Description": "a"}

    first = ebs.start_snapshot(**asked)
    assert ebs.start_snapshot(**asked)["SnapshotId"] == first["SnapshotId"]
    assert ebs.start_snapshot(**{**asked, "ClientToken": "another"})["SnapshotId"] != first["SnapshotId"]
    assert refusal(ebs.start_snapshot, **{**asked, "VolumeSize": 2})[0] == "ConflictException"


def test_begins_with_what_the_parent_holds(ec2: Any, ebs: Any) -> None:
    parent = snapshot_of(ec2, volume_of(ec2, {0: block_of("a"), 1: block_of("b"), 2: block_of("c")}))

    child = started(ebs, {1: block_of("B"), 2: ZEROS}, ParentSnapshotId=parent)

    assert content_of(ebs, child) == {0: block_of("a"), 1: block_of("B")}
    listed = ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)["ChangedBlocks"]
    assert [block["BlockIndex"] for block in listed] == [1, 2]
    asked = {"VolumeSize": 1, "ParentSnapshotId": parent, "Encrypted": True}
    assert refusal(ebs.start_snapshot, **asked)[0] == "ValidationException"


def test_gives_up_a_snapshot_that_nobody_completes(either: LocalStack, ec2: Any, ebs: Any) -> None:
    snapshot_id = ebs.start_snapshot(VolumeSize=1, Timeout=30)["SnapshotId"]
    either.clock.move_by(dt.timedelta(minutes=29))
    put(ebs, snapshot_id, 0, block_of("a"))
    either.clock.move_by(dt.timedelta(minutes=29))
    assert state_of(ec2, snapshot_id) == "pending"

    either.clock.move_by(dt.timedelta(minutes=1))

    assert state_of(ec2, snapshot_id) == "error"
    assert refusal(put, ebs, snapshot_id, 1, block_of("b"))[0] == "ValidationException"
    ec2.delete_snapshot(SnapshotId=snapshot_id)
