"""EC2's volumes, snapshots and images as the local stack serves them, through boto3, in both forms."""

from typing import Any

import pytest

from tests.local.moto_ec2 import snapshots_settle
from tests.unit.local.ebs_calls import ZONE, block_of, content_of, refusal, snapshot_of, state_of, volume_of


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
