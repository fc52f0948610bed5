"""The EBS direct APIs as the local stack serves them: reading snapshots of volumes, through boto3, in both forms."""

import datetime as dt
from typing import Any

from tests.local import moto_ebs, volumes
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tests.unit.local.ebs_calls import ZEROS, ZONE, block_of, content_of, digest, get, refusal, snapshot_of, volume_of


def test_lists_blocks_of_half_a_mebibyte_in_order_and_none_of_zeros(ec2: Any, ebs: Any) -> None:
    blocks = {2047: block_of("last"), 3: block_of("three"), 4: ZEROS, 0: block_of("first")}
    snapshot_id = snapshot_of(ec2, volume_of(ec2, blocks))

    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)

    assert (listed["BlockSize"], listed["VolumeSize"]) == (524288, 1)
    assert [block["BlockIndex"] for block in listed["Blocks"]] == [0, 3, 2047]
    assert content_of(ebs, snapshot_id) == {index: blocks[index] for index in (0, 3, 2047)}
    assert "NextToken" not in listed
    assert dt.timedelta(days=6, hours=23) < listed["ExpiryTime"] - dt.datetime.now(dt.UTC) <= dt.timedelta(days=7)


def test_snapshot_stays_as_it_was_when_its_volume_changes(ec2: Any, ebs: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of("old"), 1: block_of("same")})
    snapshot_id = snapshot_of(ec2, volume_id)

    volumes.write(volume_id, 0, block_of("new"))
    ec2.modify_volume(VolumeId=volume_id, Size=3)
    later_id = snapshot_of(ec2, volume_id)
    ec2.delete_volume(VolumeId=volume_id)

    assert content_of(ebs, snapshot_id) == {0: block_of("old"), 1: block_of("same")}
    assert content_of(ebs, later_id) == {0: block_of("new"), 1: block_of("same")}
    described = ec2.describe_snapshots(SnapshotIds=[snapshot_id, later_id])["Snapshots"]
    assert {one["SnapshotId"]: one["VolumeSize"] for one in described} == {snapshot_id: 1, later_id: 3}


def test_pages_by_token_and_never_by_fewer_than_a_hundred(ec2: Any, ebs: Any) -> None:
    snapshot_id = snapshot_of(ec2, volume_of(ec2, dict.fromkeys(range(10, 260), block_of("same"))))

    pages = [ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100, StartingBlockIndex=20)]
    while "NextToken" in pages[-1]:
        token = pages[-1]["NextToken"]
        pages.append(ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100, NextToken=token))

    assert [len(page["Blocks"]) for page in pages] == [100, 100, 40]
    assert [block["BlockIndex"] for page in pages for block in page["Blocks"]] == list(range(20, 260))
    other_id = snapshot_of(ec2, volume_of(ec2, {}))
    asked = {"SnapshotId": other_id, "NextToken": pages[0]["NextToken"]}
    assert refusal(ebs.list_snapshot_blocks, **asked) == ("ValidationException", "INVALID_PAGE_TOKEN")


def test_gives_a_block_only_for_its_own_token(ec2: Any, ebs: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of(0), 1: block_of(1)})
    first, second = snapshot_of(ec2, volume_id), snapshot_of(ec2, volume_id)
    token = ebs.list_snapshot_blocks(SnapshotId=first)["Blocks"][0]["BlockToken"]

    assert get(ebs, first, 0, token) == block_of(0)
    for snapshot_id, index, given in ((first, 1, token), (second, 0, token), (first, 0, "bm9uZQ==")):
        asked = {"SnapshotId": snapshot_id, "BlockIndex": index, "BlockToken": given}
        assert refusal(ebs.get_snapshot_block, **asked) == ("ValidationException", "INVALID_BLOCK_TOKEN")
    assert ebs.list_snapshot_blocks(SnapshotId=first)["Blocks"][0]["BlockToken"] != token


def test_tokens_end_when_their_time_is_over(either: LocalStack, ec2: Any, ebs: Any) -> None:
    snapshot_id = snapshot_of(ec2, volume_of(ec2, dict.fromkeys(range(101), block_of("same"))))
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100)

    either.clock.move_by(dt.timedelta(minutes=61))
    asked: dict[str, Any] = {"SnapshotId": snapshot_id, "NextToken": listed["NextToken"]}
    assert refusal(ebs.list_snapshot_blocks, **asked) == ("ValidationException", "INVALID_PAGE_TOKEN")
    assert get(ebs, snapshot_id, 0, listed["Blocks"][0]["BlockToken"]) == block_of("same")
    either.clock.move_by(dt.timedelta(days=7))
    asked = {"SnapshotId": snapshot_id, "BlockIndex": 0, "BlockToken": listed["Blocks"][0]["BlockToken"]}
    assert refusal(ebs.get_snapshot_block, **asked) == ("ValidationException", "INVALID_BLOCK_TOKEN")


def test_names_what_is_not_there(ec2: Any, ebs: Any) -> None:
    missing = ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
    assert refusal(ebs.list_snapshot_blocks, SnapshotId="snap-0123456789abcdef0") == missing
    assert refusal(ebs.list_snapshot_blocks, SnapshotId="vol-1") == ("ValidationException", "INVALID_SNAPSHOT_ID")
    gone = snapshot_of(ec2, volume_of(ec2, {}))
    ec2.delete_snapshot(SnapshotId=gone)
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=gone) == missing
    assert refusal(ec2.describe_snapshots, SnapshotIds=[gone])[0] == "InvalidSnapshot.NotFound"


def test_hands_out_a_damaged_block_under_its_true_checksum(ec2: Any, ebs: Any) -> None:
    snapshot_id = snapshot_of(ec2, volume_of(ec2, {5: block_of(5)}))
    token = ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][0]["BlockToken"]

    with moto_ebs.damaged_block(5):
        answer = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=5, BlockToken=token)
        content = answer["BlockData"].read()

    assert content != block_of(5)
    assert answer["Checksum"] == digest(block_of(5))
    assert get(ebs, snapshot_id, 5, token) == block_of(5)


# --- What changed -----------------------------------------------------------------------------------------------------


def test_tells_changed_blocks_with_the_tokens_of_those_that_are_there(ec2: Any, ebs: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of("a"), 1: block_of("b"), 2: block_of("c")})
    first = snapshot_of(ec2, volume_id)
    for index, content in {1: block_of("B"), 2: ZEROS, 7: block_of("d")}.items():
        volumes.write(volume_id, index * BLOCK_BYTES, content)
    second = snapshot_of(ec2, volume_id)

    listed = ebs.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)

    told = {block["BlockIndex"]: block for block in listed["ChangedBlocks"]}
    assert sorted(told) == [1, 2, 7]
    assert get(ebs, first, 1, told[1]["FirstBlockToken"]) == block_of("b")
    assert get(ebs, second, 1, told[1]["SecondBlockToken"]) == block_of("B")
    assert "SecondBlockToken" not in told[2]
    assert "FirstBlockToken" not in told[7]
    assert (listed["BlockSize"], listed["VolumeSize"]) == (524288, 1)


def test_answers_empty_pages_when_changes_are_scarce(ec2: Any, ebs: Any) -> None:
    # The example of the documents: 1000 blocks, of which the last one changed, in pages of 100.
    volume_id = volume_of(ec2, dict.fromkeys(range(1000), block_of("same")))
    first = snapshot_of(ec2, volume_id)
    volumes.write(volume_id, 999 * BLOCK_BYTES, block_of("other"))
    second = snapshot_of(ec2, volume_id)

    asked = {"FirstSnapshotId": first, "SecondSnapshotId": second, "MaxResults": 100}
    pages = [ebs.list_changed_blocks(**asked)]
    while "NextToken" in pages[-1]:
        pages.append(ebs.list_changed_blocks(**asked, NextToken=pages[-1]["NextToken"]))

    assert [len(page["ChangedBlocks"]) for page in pages] == [0] * 9 + [1]
    assert pages[-1]["ChangedBlocks"][0]["BlockIndex"] == 999


def test_compares_a_restored_volume_with_what_it_was_made_of_and_nothing_else(ec2: Any, ebs: Any) -> None:
    first = snapshot_of(ec2, volume_of(ec2, {0: block_of("a")}))
    restored = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=first)["VolumeId"]
    volumes.write(restored, BLOCK_BYTES, block_of("b"))
    later = snapshot_of(ec2, restored)
    stranger = snapshot_of(ec2, volume_of(ec2, {0: block_of("a")}))

    listed = ebs.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=later)["ChangedBlocks"]
    assert [block["BlockIndex"] for block in listed] == [1]
    asked = {"FirstSnapshotId": stranger, "SecondSnapshotId": later}
    assert refusal(ebs.list_changed_blocks, **asked) == ("ValidationException", "UNRELATED_SNAPSHOTS")
    assert refusal(ebs.list_changed_blocks, SecondSnapshotId=later)[0] == "ValidationException"


def test_lists_written_zeros_where_they_are_kept(ec2: Any, ebs: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of("a")})
    volumes.write(volume_id, 0, ZEROS, keep_zeros=True)

    assert content_of(ebs, snapshot_of(ec2, volume_id)) == {0: ZEROS}
