"""What tests of volumes ask of EC2 and the EBS direct APIs, through boto3's clients."""

import base64
import hashlib
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local import volumes
from tests.local.aws import REGION
from tests.local.volume_blocks import BLOCK_BYTES

ZONE = f"{REGION}a"
ZEROS = bytes(BLOCK_BYTES)


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
