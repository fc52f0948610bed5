"""The environment of the documented page, `compute-on/test_area`, as AWS sees it: a region, and volumes with its tags.

Names are those of the page's example: an instance `i-douglas-ADM` with a volume `foo`.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from tests.local import ext4, volume_blocks, volumes
from tests.local.aws import REGION
from tests.local.product import find_product
from tests.local.volume_blocks import GIB_BYTES

SERVICE_CODE = "compute-on"
ENVIRONMENT_NAME = "test_area"
TAGS = {"service_code": SERVICE_CODE, "environment_name": ENVIRONMENT_NAME}
"""What the environment's volumes carry, and others do not."""
DECLARATION = f"{SERVICE_CODE}/{ENVIRONMENT_NAME}@{REGION}?{urlencode(TAGS)}"
"""How the stack's parameter Environments declares it."""
INSTANCE_NAME = "i-douglas-ADM"
VOLUME_NAME = "foo"
_ZONE = f"{REGION}a"
_DEVICE = "/dev/sdf"


@dataclass(frozen=True)
class Seeded:
    """What was made."""

    volume_id: str
    instance_id: str
    region: str = REGION
    tags: dict[str, str] = field(default_factory=lambda: dict(TAGS))

    @property
    def shown_as(self) -> str:
        """What the API calls the volume."""
        find_product()
        # Imported here, when the product is found.
        from tidemark.domain.volume import volume_id  # noqa: PLC0415

        return str(volume_id(self.region, self.volume_id))


class HasClients(Protocol):
    """A stack, in this process or another."""

    def client(self, service: str) -> Any:
        """A boto3 client of the pretended AWS."""
        ...


def seed_environment(stack: HasClients, *, size_gib: int = 1, image: Path | None = None) -> Seeded:
    """Make the environment's volume, attached to its instance, and fill it with a raw image file if one is given.

    Raises:
        VolumeError: the image is larger than the volume.
        OSError: the image can't be read.
    """
    ec2 = stack.client("ec2")
    volume_id = ec2.create_volume(
        AvailabilityZone=_ZONE,
        Size=size_gib,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": _tags(VOLUME_NAME)}],
    )["VolumeId"]
    if image is not None:
        volumes.fill(volume_id, image)
    instance_id = _instance(ec2)
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=_DEVICE)
    return Seeded(volume_id, instance_id)


def seed_with_files(stack: HasClients) -> tuple[Seeded, str]:
    """Make the environment's volume with an ext4 file system in it; or an empty one, and tell why, without e2fsprogs.

    Raises:
        ImageError: the file system can't be made.
        OSError: there is no room for it.
    """
    missing = ext4.missing_tools()
    if missing is not None:
        return seed_environment(stack), missing
    with tempfile.TemporaryDirectory(dir=volume_blocks.directory()) as place:
        files, image = Path(place) / "files", Path(place) / "image.raw"
        files.mkdir()
        (files / "README").write_text("A file in a volume of the local stack.\n", encoding="utf-8")
        ext4.make(image, GIB_BYTES, files)
        return seed_environment(stack, image=image), "ext4"


def _instance(ec2: Any) -> str:
    """A running instance, of an image that is gone afterwards: nothing else of EC2's is left in the region."""
    blank_id = ec2.create_volume(AvailabilityZone=_ZONE, Size=1)["VolumeId"]
    snapshot_id = ec2.create_snapshot(VolumeId=blank_id)["SnapshotId"]
    ec2.describe_snapshots(SnapshotIds=[snapshot_id])
    root = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
    image_id = ec2.register_image(
        Name="blank", RootDeviceName="/dev/xvda", BlockDeviceMappings=[root], Architecture="arm64"
    )["ImageId"]
    made = ec2.run_instances(
        ImageId=image_id,
        InstanceType="t4g.micro",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(INSTANCE_NAME)}],
    )
    ec2.deregister_image(ImageId=image_id)
    ec2.delete_snapshot(SnapshotId=snapshot_id)
    ec2.delete_volume(VolumeId=blank_id)
    return str(made["Instances"][0]["InstanceId"])


def _tags(name: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in {**TAGS, "Name": name}.items()]
