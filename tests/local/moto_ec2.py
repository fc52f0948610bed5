"""Makes moto's volumes, snapshots and images of EC2 hold something, and behave as documented where they do not.

What is wrong with the original (5.2.5), and what is done:

- Volumes and snapshots hold nothing: here they have content (`volume_blocks.py`), of which a snapshot takes a copy, and
  a volume made of a snapshot another. The size of a snapshot stays when its volume grows.
- Snapshots are complete at once: here they are pending until somebody has looked, as long as `snapshots_settle` says,
  and may end in error. Nothing is made of one that is not complete.
- CreateVolume ignores its client token, takes a size below the snapshot's and any zone: as the documents say here.
- RegisterImage ignores its block devices: here the image is of the snapshot that was given, its name is unique, and the
  snapshot can't be deleted while the image is there.
- A new region gets over 1,000 images of Amazon, with a volume and a snapshot each, which takes seconds: here none.

Source: Amazon EC2 API Reference, CreateSnapshot, CreateVolume, RegisterImage, "Ensuring idempotency", "Error codes".
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import moto.settings
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotInUse
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from tests.local.patching import replace
from tests.local.volume_blocks import Content

type Ending = Literal["completed", "error"]

LOCK = threading.RLock()
"""Held while the state of a snapshot changes."""


@dataclass
class Settling:
    """How long a snapshot will be pending, and how that ends."""

    looks: int = 0
    ending: Ending = "completed"


_next = Settling()


@contextlib.contextmanager
def snapshots_settle(*, looks: int = 0, ending: Ending = "completed") -> Iterator[None]:
    """Let snapshots that are made or completed meanwhile be seen pending so often, and then end like this."""
    before = (_next.looks, _next.ending)
    _next.looks, _next.ending = looks, ending
    try:
        yield
    finally:
        _next.looks, _next.ending = before


def begin_settling(snapshot: Any) -> None:
    """All that a snapshot needs has been said: now it takes its time."""
    snapshot.status, snapshot.settling = "pending", Settling(_next.looks, _next.ending)


def look(snapshot: Any, *, counts: bool = False) -> str:
    """The status of a snapshot now; a look that counts brings it nearer to its end."""
    with LOCK:
        settling: Settling | None = getattr(snapshot, "settling", None)
        expires_at = getattr(snapshot, "expires_at", None)
        if snapshot.status != "pending":
            pass
        elif settling is None:
            if expires_at is not None and utcnow() >= expires_at:
                snapshot.status = "error"
        elif settling.looks == 0:
            snapshot.status = settling.ending
        elif counts:
            settling.looks -= 1
        return str(snapshot.status)


def content_of(resource: Any) -> Content:
    """What a volume or a snapshot holds."""
    with LOCK:
        if "content" not in vars(resource):
            resource.content = Content(lineage=resource.id)
        content: Content = resource.content
        return content


def refuse(code: str, message: str) -> EC2ClientError:
    """An error as EC2 words it."""
    return EC2ClientError(code, message)


def require_complete(snapshot: Any) -> None:
    """Raise unless the snapshot can be used."""
    if look(snapshot) != "completed":
        raise refuse("IncorrectState", f"Snapshot {snapshot.id} is {snapshot.status}, not completed")


def _create_volume(
    self: Any, size: int | None, zone_name: str, snapshot_id: str | None = None, **others: Any
) -> Any:  # the original's signature
    content = None
    if snapshot_id:
        snapshot = self.get_snapshot(snapshot_id)
        require_complete(snapshot)
        size = size or snapshot.volume_size
        if size < snapshot.volume_size:
            raise refuse(
                "InvalidParameterValue",
                f"The size {size} GiB is smaller than snapshot {snapshot_id} of {snapshot.volume_size} GiB",
            )
        content = content_of(snapshot).copy()
    volume = _original_create_volume(self, size, zone_name, snapshot_id, **others)
    volume.content = content or Content(lineage=volume.id)
    return volume


def _idempotent(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_volume(self: Any) -> Any:
        asked = {name: value for name, value in self.params.items() if name != "ClientToken"}
        zone, token = asked.get("AvailabilityZone"), self.params.get("ClientToken")
        if self.ec2_backend.get_zone_by_name(zone) is None:
            raise refuse("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
        with LOCK:
            answered = vars(self.ec2_backend).setdefault("volumes_by_token", {})
            if token not in answered:
                result = original(self)
                answered[token] = (asked, result)
            before, result = answered[token]
        if before != asked:
            raise refuse("IdempotentParameterMismatch", f"Client token {token} was used with other parameters")
        return result

    return create_volume


def _create_snapshot(
    self: Any, volume_id: str, description: str, owner_id: str | None = None, from_ami: str | None = None
) -> Any:
    snapshot = _original_create_snapshot(self, volume_id, description, owner_id, from_ami)
    snapshot.size_gib = snapshot.volume.size
    snapshot.content = content_of(snapshot.volume).copy()
    if from_ami is None:
        begin_settling(snapshot)
    return snapshot


def _copy_snapshot(self: Any, source_snapshot_id: str, source_region: str, *others: Any, **named: Any) -> Any:
    copied = _original_copy_snapshot(
        self, *others, source_snapshot_id=source_snapshot_id, source_region=source_region, **named
    )
    # As the original finds it: in any region of the account.
    from moto.ec2.models import ec2_backends  # noqa: PLC0415 - these two modules import one another

    source = ec2_backends[self.account_id][source_region].get_snapshot(source_snapshot_id)
    require_complete(source)
    copied.size_gib, copied.content = source.volume_size, content_of(source).copy()
    begin_settling(copied)
    return copied


def _looking(original: Callable[..., Any]) -> Callable[..., Any]:
    def describe_snapshots(self: Any, snapshot_ids: list[str] | None = None, filters: Any = None) -> Any:
        for snapshot in list(self.snapshots.values()):
            look(snapshot, counts=not snapshot_ids or snapshot.id in snapshot_ids)
        return original(self, snapshot_ids, filters)

    return describe_snapshots


def _unless_in_use(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_snapshot(self: Any, snapshot_id: str) -> Any:
        for image in list(self.amis.values()):
            if any(device["Ebs"]["SnapshotId"] == snapshot_id for device in image.block_device_mappings):
                raise InvalidSnapshotInUse(snapshot_id, image.id)
        return original(self, snapshot_id)

    return delete_snapshot


def _register_image(self: Any) -> ActionResult:
    self.error_on_dryrun()
    backend, name, root = self.ec2_backend, self._get_param("Name"), self._get_param("RootDeviceName")
    devices = [_device(backend, asked) for asked in self._get_param("BlockDeviceMappings", [])]
    if not any(device["DeviceName"] == root for device in devices):
        raise refuse("InvalidBlockDeviceMapping", "No root snapshot specified in device mapping.")
    if any(image.name == name for image in backend.amis.values()):
        raise refuse("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by another AMI")
    image = backend.register_image(name, self._get_param("Description", ""))
    del backend.snapshots[image.ebs_snapshot.id]  # the original's, of nothing
    image.devices = devices
    image.root_device_name, image.root_device_type = root, "ebs"
    image.architecture = self._get_param("Architecture", "i386")
    image.virtualization_type = self._get_param("VirtualizationType", "paravirtual")
    image.boot_mode = self._get_param("BootMode")
    image.ena_support = self._get_param("EnaSupport", False)
    for given in self._get_param("TagSpecifications", []):
        image.add_tags({tag["Key"]: tag["Value"] for tag in given["Tags"]})
    return ActionResult({"ImageId": image.id})


def _device(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    snapshot = backend.get_snapshot(asked.get("Ebs", {}).get("SnapshotId"))
    require_complete(snapshot)
    defaults = {"VolumeSize": snapshot.volume_size, "DeleteOnTermination": True, "VolumeType": "gp2"}
    return {"DeviceName": asked["DeviceName"], "Ebs": {**defaults, **asked["Ebs"], "Encrypted": snapshot.encrypted}}


def _block_device_mappings(image: Any) -> Any:
    return vars(image).get("devices") or _original_mappings.__get__(image)


def _no() -> bool:
    return False


def _volume_size(snapshot: Any) -> Any:
    return vars(snapshot).get("size_gib", snapshot.volume.size)


def _progress(snapshot: Any) -> str:
    return "100%" if snapshot.status == "completed" else "0%"


replace(moto.settings, "ec2_load_default_amis", _no)
_original_create_volume = replace(EBSBackend, "create_volume", _create_volume)
_original_create_snapshot = replace(EBSBackend, "create_snapshot", _create_snapshot)
_original_copy_snapshot = replace(EBSBackend, "copy_snapshot", _copy_snapshot)
_original_mappings: Any = replace(Ami, "block_device_mappings", property(_block_device_mappings))
replace(EBSBackend, "describe_snapshots", _looking(EBSBackend.describe_snapshots))
replace(EBSBackend, "delete_snapshot", _unless_in_use(EBSBackend.delete_snapshot))
replace(Snapshot, "volume_size", property(_volume_size))
replace(Snapshot, "progress", property(_progress))
replace(ElasticBlockStore, "create_volume", _idempotent(ElasticBlockStore.create_volume))
replace(AmisResponse, "register_image", _register_image)
