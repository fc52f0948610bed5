"""EC2's volumes and snapshots and the EBS direct APIs as the local stack serves them, through boto3, in both forms."""

import base64
import datetime as dt
import hashlib
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local import moto_ebs, volume_blocks, volumes
from tests.local.aws import REGION
from tests.local.environments import TAGS, seed_environment
from tests.local.moto_ec2 import snapshots_settle
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES, BlockFile
from tests.unit.local.conftest import TEMPLATE

ZONE = f"{REGION}a"
ZEROS = bytes(BLOCK_BYTES)


@pytest.fixture(scope="module", params=["in process", "served"])
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """The fixture application in one form, then in the other."""
    form = LocalStack.in_process if request.param == "in process" else LocalStack.serve
    with form(TEMPLATE) as running:
        yield running


@pytest.fixture
def ec2(stack: LocalStack) -> Any:
    return stack.client("ec2")


@pytest.fixture
def ebs(stack: LocalStack) -> Any:
    return stack.client("ebs")


def block_of(seed: object) -> bytes:
    return random.Random(str(seed)).randbytes(BLOCK_BYTES)


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def volume_of(ec2: Any, blocks: dict[int, bytes], size_gib: int = 1) -> str:
    volume_id: str = ec2.create_volume(AvailabilityZone=ZONE, Size=size_gib)["VolumeId"]
    for index, content in blocks.items():
        volumes.write(volume_id, index * BLOCK_BYTES, content)
    return volume_id


def snapshot_of(ec2: Any, volume_id: str) -> str:
    snapshot_id: str = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    assert state_of(ec2, snapshot_id) == "completed"
    return snapshot_id


def state_of(ec2: Any, snapshot_id: str) -> str:
    state: str = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"]
    return state


def put(ebs: Any, snapshot_id: str, index: int, content: bytes, **others: Any) -> Any:
    asked = {
        "DataLength": len(content),
        "Checksum": digest(content),
        "ChecksumAlgorithm": "SHA256",
        **others,
    }
    return ebs.put_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockData=content, **asked)


def aggregated(*contents: bytes) -> str:
    return digest(b"".join(hashlib.sha256(content).digest() for content in contents))


def complete(ebs: Any, snapshot_id: str, *contents: bytes, **others: Any) -> Any:
    asked = {
        "Checksum": aggregated(*contents),
        "ChecksumAlgorithm": "SHA256",
        "ChecksumAggregationMethod": "LINEAR",
        "ChangedBlocksCount": len(contents),
        **others,
    }
    return ebs.complete_snapshot(SnapshotId=snapshot_id, **asked)


def started(ebs: Any, blocks: dict[int, bytes], **others: Any) -> str:
    snapshot_id: str = ebs.start_snapshot(VolumeSize=1, **others)["SnapshotId"]
    for index, content in blocks.items():
        put(ebs, snapshot_id, index, content)
    complete(ebs, snapshot_id, *(content for _, content in sorted(blocks.items())))
    return snapshot_id


def content_of(ebs: Any, snapshot_id: str) -> dict[int, bytes]:
    return {
        block["BlockIndex"]: get(ebs, snapshot_id, block["BlockIndex"], block["BlockToken"])
        for block in ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    }


def get(ebs: Any, snapshot_id: str, index: int, token: str) -> bytes:
    answer = ebs.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=token)
    content: bytes = answer["BlockData"].read()
    assert answer["DataLength"] == len(content) == BLOCK_BYTES
    assert (answer["Checksum"], answer["ChecksumAlgorithm"]) == (digest(content), "SHA256")
    return content


def refusal(call: Any, *arguments: Any, **asked: Any) -> tuple[str, str | None]:
    """The code of the error, and the reason in it."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **asked)
    return caught.value.response["Error"]["Code"], caught.value.response.get("Reason")  # type: ignore[return-value]


# --- Reading a snapshot of a volume -----------------------------------------------------------------------------------


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


def test_tokens_end_when_their_time_is_over(stack: LocalStack, ec2: Any, ebs: Any) -> None:
    snapshot_id = snapshot_of(ec2, volume_of(ec2, dict.fromkeys(range(101), block_of("same"))))
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100)

    stack.clock.move_by(dt.timedelta(minutes=61))
    asked: dict[str, Any] = {"SnapshotId": snapshot_id, "NextToken": listed["NextToken"]}
    assert refusal(ebs.list_snapshot_blocks, **asked) == ("ValidationException", "INVALID_PAGE_TOKEN")
    assert get(ebs, snapshot_id, 0, listed["Blocks"][0]["BlockToken"]) == block_of("same")
    stack.clock.move_by(dt.timedelta(days=7))
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


# --- Writing a snapshot -----------------------------------------------------------------------------------------------


def test_makes_a_volume_of_a_snapshot_that_was_written_block_by_block(ec2: Any, ebs: Any) -> None:
    blocks = {index * 7: block_of(index) for index in range(24)}
    tags = [{"Key": "Name", "Value": "restored"}]
    answer = ebs.start_snapshot(VolumeSize=1, Tags=tags, Description="a restore", ClientToken="one")
    snapshot_id = answer["SnapshotId"]
    assert (answer["BlockSize"], answer["Status"], answer["Tags"]) == (524288, "pending", tags)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: put(ebs, snapshot_id, *item), blocks.items()))
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


def test_gives_up_a_snapshot_that_nobody_completes(stack: LocalStack, ec2: Any, ebs: Any) -> None:
    snapshot_id = ebs.start_snapshot(VolumeSize=1, Timeout=30)["SnapshotId"]
    stack.clock.move_by(dt.timedelta(minutes=29))
    put(ebs, snapshot_id, 0, block_of("a"))
    stack.clock.move_by(dt.timedelta(minutes=29))
    assert state_of(ec2, snapshot_id) == "pending"

    stack.clock.move_by(dt.timedelta(minutes=1))

    assert state_of(ec2, snapshot_id) == "error"
    assert refusal(put, ebs, snapshot_id, 1, block_of("b"))[0] == "ValidationException"
    ec2.delete_snapshot(SnapshotId=snapshot_id)


# --- States, volumes and images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["completed", "error"])
def test_reads_nothing_and_makes_nothing_of_a_snapshot_that_is_not_complete(ec2: Any, ebs: Any, ending: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of("a")})
    with snapshots_settle(looks=2, ending=ending):
        snapshot_id = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]

    for seen in ("pending", "pending", ending):
        if seen == "pending":
            _refuses_all(ec2, ebs, snapshot_id)
        assert state_of(ec2, snapshot_id) == seen

    if ending == "error":
        _refuses_all(ec2, ebs, snapshot_id)
    else:
        assert content_of(ebs, snapshot_id) == {0: block_of("a")}


def _refuses_all(ec2: Any, ebs: Any, snapshot_id: str) -> None:
    refused = ("ValidationException", "INVALID_SNAPSHOT_ID")
    assert refusal(ebs.list_snapshot_blocks, SnapshotId=snapshot_id) == refused
    assert refusal(ebs.list_changed_blocks, FirstSnapshotId=snapshot_id, SecondSnapshotId=snapshot_id) == refused
    assert refusal(ebs.start_snapshot, VolumeSize=1, ParentSnapshotId=snapshot_id) == refused
    assert refusal(ec2.create_volume, AvailabilityZone=ZONE, SnapshotId=snapshot_id)[0] == "IncorrectState"
    root = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
    asked = {"Name": "unfinished", "RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [root]}
    assert refusal(ec2.register_image, **asked)[0] == "IncorrectState"


def test_makes_one_volume_for_one_client_token(ec2: Any) -> None:
    asked = {"AvailabilityZone": ZONE, "Size": 1, "ClientToken": "the same"}

    first = ec2.create_volume(**asked)["VolumeId"]
    assert ec2.create_volume(**asked)["VolumeId"] == first
    assert ec2.create_volume(**{**asked, "ClientToken": "another"})["VolumeId"] != first
    assert refusal(ec2.create_volume, **{**asked, "Size": 2})[0] == "IdempotentParameterMismatch"


def test_makes_no_volume_smaller_than_its_snapshot_or_in_a_zone_that_is_not_there(ec2: Any) -> None:
    snapshot_id = snapshot_of(ec2, volume_of(ec2, {0: block_of("a")}, size_gib=3))

    asked = {"AvailabilityZone": ZONE, "SnapshotId": snapshot_id}
    assert refusal(ec2.create_volume, **asked, Size=2)[0] == "InvalidParameterValue"
    assert ec2.create_volume(**asked, Size=4)["Size"] == 4
    assert ec2.create_volume(**asked)["Size"] == 3
    assert refusal(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1)[0] == "InvalidZone.NotFound"


def test_registers_an_image_of_the_snapshot_and_keeps_that_meanwhile(ec2: Any) -> None:
    snapshot_id = snapshot_of(ec2, volume_of(ec2, {0: block_of("a")}, size_gib=2))
    asked = {
        "Name": "template",
        "RootDeviceName": "/dev/xvda",
        "Architecture": "arm64",
        "VirtualizationType": "hvm",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}],
        "TagSpecifications": [{"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b"}]}],
    }
    snapshots_before = len(ec2.describe_snapshots()["Snapshots"])

    image_id = ec2.register_image(**asked)["ImageId"]

    image = ec2.describe_images(ImageIds=[image_id])["Images"][0]
    assert image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == snapshot_id
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 2
    assert (image["Architecture"], image["RootDeviceType"]) == ("arm64", "ebs")
    assert image["Tags"] == [{"Key": "a", "Value": "b"}]
    assert len(ec2.describe_snapshots()["Snapshots"]) == snapshots_before
    assert refusal(ec2.register_image, **asked)[0] == "InvalidAMIName.Duplicate"
    assert refusal(ec2.delete_snapshot, SnapshotId=snapshot_id)[0] == "InvalidSnapshot.InUse"
    other = {**asked, "Name": "rootless", "RootDeviceName": "/dev/sda1"}
    assert refusal(ec2.register_image, **other)[0] == "InvalidBlockDeviceMapping"
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot_id)


def test_has_no_images_nor_snapshots_of_amazon(ec2: Any) -> None:
    assert ec2.describe_images(Owners=["amazon"])["Images"] == []


# --- Content ----------------------------------------------------------------------------------------------------------


def test_takes_a_snapshot_of_two_gibibytes_without_reading_them(ec2: Any, tmp_path: Path) -> None:
    image = tmp_path / "large.raw"
    with image.open("wb") as made:
        made.truncate(2 * 1024**3)
        for index in range(0, 4096, 64):
            made.seek(index * BLOCK_BYTES)
            made.write(block_of(index))
    volume_id = volume_of(ec2, {}, size_gib=2)
    volumes.fill(volume_id, image)
    kept_before = volume_blocks.FILE.kept

    snapshots = [ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"] for _ in range(10)]

    assert volumes.written_blocks(volume_id) == 64
    assert volume_blocks.FILE.kept == kept_before
    assert len(set(snapshots)) == 10


def test_saves_what_it_was_filled_with_as_a_sparse_file(ec2: Any, tmp_path: Path) -> None:
    image, saved = tmp_path / "image.raw", tmp_path / "saved.raw"
    middle = b"in the middle" * 100_000
    with image.open("wb") as made:
        made.truncate(1024**3)
        made.seek(700_000_000)
        made.write(middle)
    volume_id = volume_of(ec2, {2000: block_of("what goes")})

    volumes.fill(volume_id, image)
    volumes.save(volume_id, saved)

    with saved.open("rb") as found:
        assert os.pread(found.fileno(), len(middle) + 2, 700_000_000 - 1) == b"\0" + middle + b"\0"
        assert os.pread(found.fileno(), BLOCK_BYTES, 2000 * BLOCK_BYTES) == ZEROS
    assert saved.stat().st_size == 1024**3
    assert saved.stat().st_blocks * 512 < 4 * 1024**2
    with pytest.raises(FileExistsError):
        volumes.save(volume_id, saved)


def test_writes_and_reads_across_blocks(ec2: Any) -> None:
    volume_id = volume_of(ec2, {0: block_of(0), 1: block_of(1), 2: block_of(2)})
    expected = bytearray(block_of(0) + block_of(1) + block_of(2))
    expected[BLOCK_BYTES - 3 : 2 * BLOCK_BYTES + 4] = b"x" * (BLOCK_BYTES + 7)

    volumes.write(volume_id, BLOCK_BYTES - 3, b"x" * (BLOCK_BYTES + 7))

    assert volumes.read(volume_id, 0, 3 * BLOCK_BYTES) == bytes(expected)
    assert volumes.read(volume_id, BLOCK_BYTES - 5, 4) == bytes(expected[BLOCK_BYTES - 5 : BLOCK_BYTES - 1])
    with pytest.raises(volumes.VolumeError, match="make a larger volume"):
        volumes.write(volume_id, 1024**3 - 1, b"ab")
    with pytest.raises(volumes.VolumeError, match="vol-1 in eu-west-1: make one"):
        volumes.size_bytes("vol-1")


def test_uses_the_place_of_a_block_again_when_nobody_has_it() -> None:
    kept = BlockFile()
    first, second = kept.keep(block_of("a")), kept.keep(block_of("b"))
    place = first.place
    assert kept.keep(block_of("a")) is first

    del first
    third = kept.keep(block_of("c"))

    assert third.place == place
    assert [kept.read(block) for block in (second, third)] == [block_of("b"), block_of("c")]
    kept.close()


# --- The environment --------------------------------------------------------------------------------------------------


def test_has_the_environment_of_the_page_with_its_volume(stack: LocalStack, ec2: Any, tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(block_of("content"))
    snapshots_before = len(ec2.describe_snapshots()["Snapshots"])

    seeded = seed_environment(stack, image=image)

    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in TAGS.items()]
    found = ec2.describe_volumes(Filters=filters)["Volumes"]
    assert [volume["VolumeId"] for volume in found] == [seeded.volume_id]
    assert found[0]["Attachments"][0]["InstanceId"] == seeded.instance_id
    assert {tag["Key"]: tag["Value"] for tag in found[0]["Tags"]} == {**TAGS, "Name": "foo"}
    assert volumes.read(seeded.volume_id, 0, BLOCK_BYTES) == block_of("content")
    assert len(ec2.describe_snapshots()["Snapshots"]) == snapshots_before
