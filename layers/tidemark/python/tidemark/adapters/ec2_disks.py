"""Volumes, their snapshots and machine images: EC2 of one region.

Sources: Amazon EC2 API Reference, CreateSnapshot, CreateVolume, RegisterImage, AvailabilityZone, "Error codes for the
Amazon EC2 API".
CreateSnapshot and RegisterImage take no client token, so what they made is found again by its tags, or its name.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import code_of, message_of
from tidemark.adapters.ec2_errors import (
    IN_USE,
    NAME_TAKEN,
    NO_IMAGE,
    NO_SNAPSHOT,
    NO_VOLUME,
    NOT_READY,
    UNAUTHORIZED,
    ec2_named,
)
from tidemark.errors import Throttled
from tidemark.errors.volumes import DiskSnapshotInUse, DiskSnapshotNotFound, VolumeNotFound
from tidemark.ports.volumes import Disk, DiskSnapshot, DiskState, Instance, MachineImage, matching

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

_ATTACHED: Final = "VolumeInUse"
# Of a zone; that of local zones and the like which nobody has asked for.
_CLOSED: Final = "unavailable"
_NOT_OURS: Final = "not-opted-in"
_STATES: Final = {"pending": DiskState.PENDING, "completed": DiskState.COMPLETED}
# How many values a filter may have.
_FILTER_VALUES: Final = 200
_DEVICE: Final = "/dev/sda1"


class Ec2Disks:
    """See `tidemark.ports.volumes.Disks`. Safe to share between threads, as its client is."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def volumes(self, tags: Mapping[str, str]) -> Iterator[Disk]:
        pages = self._client.get_paginator("describe_volumes").paginate(Filters=_filters(tags))
        with ec2_named("listing volumes"):
            for page in pages:
                yield from (one for one in map(_disk, page["Volumes"]) if matching(one.tags, tags))

    def volume(self, volume_id: str) -> Disk:
        with ec2_named(f"looking for volume {volume_id}", volume_id=volume_id):
            found = self._client.describe_volumes(VolumeIds=[volume_id])["Volumes"]
        if not found:
            raise VolumeNotFound(f"there is no volume {volume_id}")
        return _disk(found[0])

    def zones(self) -> Collection[str]:
        with ec2_named("listing the zones"):
            found = self._client.describe_availability_zones()["AvailabilityZones"]
        # Of one that is constrained EC2 itself says whether it has room left.
        usable = (one for one in found if one["State"] != _CLOSED and one.get("OptInStatus") != _NOT_OURS)
        return sorted(one["ZoneName"] for one in usable)

    def instances(self, instance_ids: Collection[str]) -> Iterator[Instance]:
        for some in batched(sorted(instance_ids), _FILTER_VALUES, strict=False):
            # By a filter: asked for by their ids, one that is gone would hide the others.
            wanted: Any = [{"Name": "instance-id", "Values": list(some)}]
            pages = self._client.get_paginator("describe_instances").paginate(Filters=wanted)
            with ec2_named("listing instances"):
                for page in pages:
                    for reservation in page["Reservations"]:
                        yield from map(_instance, reservation["Instances"])

    def snapshots(self, tags: Mapping[str, str]) -> Iterator[DiskSnapshot]:
        pages = self._client.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=_filters(tags))
        with ec2_named("listing disk snapshots"):
            for page in pages:
                yield from (one for one in map(_snapshot, page["Snapshots"]) if matching(one.tags, tags))

    def snapshot(self, snapshot_id: str) -> DiskSnapshot:
        with ec2_named(f"looking for disk snapshot {snapshot_id}", snapshot_id=snapshot_id):
            found = self._client.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
        if not found:
            raise DiskSnapshotNotFound(f"there is no disk snapshot {snapshot_id}")
        return _snapshot(found[0])

    def create_snapshot(self, volume_id: str, *, description: str, tags: Mapping[str, str]) -> DiskSnapshot:
        for found in self.snapshots(tags):
            if found.volume_id == volume_id:
                return found
        with ec2_named(f"making a disk snapshot of volume {volume_id}", volume_id=volume_id):
            answer = self._client.create_snapshot(
                VolumeId=volume_id,
                Description=description,
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": _tags(tags)}],
            )
        return _snapshot(answer)

    def delete_snapshot(self, snapshot_id: str) -> None:
        with ec2_named(f"deleting disk snapshot {snapshot_id}"):
            try:
                self._client.delete_snapshot(SnapshotId=snapshot_id)
            except ClientError as error:
                if code_of(error) == IN_USE:
                    raise DiskSnapshotInUse(
                        f"EC2 keeps its snapshot {snapshot_id}, as an image is made of it ({message_of(error)}); "
                        "deregister that first"
                    ) from error
                if code_of(error) not in NO_SNAPSHOT and not self._refused_as_gone(
                    error, lambda: self.snapshot(snapshot_id)
                ):
                    raise

    def create_volume(self, snapshot_id: str, *, zone: str, kind: str, token: str, tags: Mapping[str, str]) -> Disk:
        asked: dict[str, Any] = {
            "SnapshotId": snapshot_id,
            "AvailabilityZone": zone,
            "VolumeType": kind,
            "ClientToken": token,
        }
        if tags:
            asked["TagSpecifications"] = [{"ResourceType": "volume", "Tags": _tags(tags)}]
        with ec2_named(f"making a volume of disk snapshot {snapshot_id}", snapshot_id=snapshot_id):
            answer = self._client.create_volume(**asked)
        return _disk(answer)

    def delete_volume(self, volume_id: str) -> bool:
        with ec2_named(f"deleting volume {volume_id}"):
            try:
                self._client.delete_volume(VolumeId=volume_id)
            except ClientError as error:
                if code_of(error) == _ATTACHED:
                    return False
                if code_of(error) in NOT_READY:
                    raise Throttled(f"deleting volume {volume_id}: EC2 is still making it; try again later") from error
                if code_of(error) not in NO_VOLUME and not self._refused_as_gone(error, lambda: self.volume(volume_id)):
                    raise
        return True

    def images(self, tags: Mapping[str, str]) -> Iterator[MachineImage]:
        pages = self._client.get_paginator("describe_images").paginate(Owners=["self"], Filters=_filters(tags))
        with ec2_named("listing images"):
            for page in pages:
                yield from (one for one in map(_image, page["Images"]) if matching(one.tags, tags))

    def image_named(self, name: str) -> MachineImage | None:
        # A name may hold the wildcards of filters.
        with ec2_named(f"looking for image {name!r}"):
            found = self._images_with("name", name)
        return next((one for one in found if one.name == name), None)

    def deregister_image(self, image_id: str) -> None:
        with ec2_named(f"deregistering image {image_id}"):
            try:
                self._client.deregister_image(ImageId=image_id)
            except ClientError as error:
                if code_of(error) not in NO_IMAGE and not self._refused_as_gone(
                    error, lambda: self._images_with("image-id", image_id)
                ):
                    raise

    def register_image(self, snapshot_id: str, *, name: str, description: str, tags: Mapping[str, str]) -> str:
        found = self._image_of(name, snapshot_id)
        if found is not None:
            return found
        asked: dict[str, Any] = {}
        if tags:
            asked["TagSpecifications"] = [{"ResourceType": "image", "Tags": _tags(tags)}]
        with ec2_named(f"registering image {name!r}", snapshot_id=snapshot_id):
            try:
                answer = self._client.register_image(
                    Name=name,
                    Description=description,
                    Architecture="x86_64",
                    VirtualizationType="hvm",
                    EnaSupport=True,
                    RootDeviceName=_DEVICE,
                    BlockDeviceMappings=[{"DeviceName": _DEVICE, "Ebs": {"SnapshotId": snapshot_id}}],
                    **asked,
                )
            except ClientError as error:
                if code_of(error) != NAME_TAKEN:
                    raise
                # An earlier call may have made it, of which nobody heard.
                found = self._image_of(name, snapshot_id)
                if found is None:
                    raise
                return found
        return answer["ImageId"]

    def _refused_as_gone(self, error: ClientError, find: Callable[[], object]) -> bool:
        """Where the right hangs on tags, EC2 may refuse to delete what is gone, and so has none, as not allowed. `find`
        gives what there is of it.
        """
        if code_of(error) != UNAUTHORIZED:
            return False
        try:
            return not find()
        except (VolumeNotFound, DiskSnapshotNotFound):
            return True

    def _images_with(self, attribute: str, value: str) -> list[MachineImage]:
        wanted: Any = [{"Name": attribute, "Values": [value]}]
        return [_image(one) for one in self._client.describe_images(Owners=["self"], Filters=wanted)["Images"]]

    def _image_of(self, name: str, snapshot_id: str) -> str | None:
        """The image of that name, if it is made of the disk snapshot."""
        found = self.image_named(name)
        return found.id if found is not None and snapshot_id in found.snapshot_ids else None


def _disk(found: Any) -> Disk:  # noqa: ANN401 - two shapes of botocore with the same members
    attached = found.get("Attachments") or [{}]
    return Disk(
        id=found["VolumeId"],
        size_gib=found["Size"],
        zone=found["AvailabilityZone"],
        state=found["State"],
        kind=found["VolumeType"],
        created_at=found["CreateTime"],
        snapshot_id=found.get("SnapshotId") or None,
        instance_id=attached[0].get("InstanceId"),
        device=attached[0].get("Device"),
        tags=_from_tags(found),
    )


def _instance(found: Any) -> Instance:  # noqa: ANN401 - as above
    return Instance(found["InstanceId"], found.get("RootDeviceName") or None, _from_tags(found))


def _snapshot(found: Any) -> DiskSnapshot:  # noqa: ANN401 - as above
    percent = str(found.get("Progress") or "0%").removesuffix("%")
    return DiskSnapshot(
        id=found["SnapshotId"],
        volume_id=found.get("VolumeId"),
        size_gib=found["VolumeSize"],
        state=_STATES.get(found["State"], DiskState.FAILED),
        percent=int(percent) if percent.isdigit() else 0,
        reason=found.get("StateMessage", ""),
        tags=_from_tags(found),
    )


def _image(found: Any) -> MachineImage:  # noqa: ANN401 - as above
    made_of = (one.get("Ebs", {}).get("SnapshotId") for one in found.get("BlockDeviceMappings", []))
    return MachineImage(
        id=found["ImageId"],
        name=found.get("Name", ""),
        state=found.get("State", ""),
        snapshot_ids=tuple(one for one in made_of if one),
        tags=_from_tags(found),
    )


def _from_tags(found: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}


def _tags(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _filters(tags: Mapping[str, str]) -> list[Any]:
    # A value may hold the wildcards of filters, so what is found is compared once more.
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
