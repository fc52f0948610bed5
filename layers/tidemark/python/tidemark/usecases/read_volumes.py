"""List and get the volumes of an environment, as EC2 has them at this moment."""

from tidemark.domain.environment import Environment
from tidemark.domain.instance import instance_id, zone_id
from tidemark.domain.volume import (
    InstanceId,
    Volume,
    VolumeId,
    VolumeKind,
    VolumeState,
    volume_id,
)
from tidemark.errors import VolumeNotFound
from tidemark.ports import Ports
from tidemark.ports.volumes import Disk, Disks, Instance

_NAME = "Name"


def list_volumes(
    ports: Ports, environment_id: str, *, kind: VolumeKind | None = None, instance: InstanceId | None = None
) -> list[Volume]:
    """The volumes that have the environment's tags, oldest first: all, or those of a kind and of an instance.

    Raises EnvironmentNotFound.
    """
    environment = ports.volumes.environment(environment_id)
    disks = ports.region(environment.region).disks
    found = [disk for disk in disks.volumes(environment.tags) if environment.has(disk.tags)]
    shown = _shown(environment, disks, found)
    wanted = [one for one in shown if kind in {None, one.kind} and (instance is None or one.instance_id == instance)]
    return sorted(wanted, key=lambda one: (one.created_at, one.id))


def get_volume(ports: Ports, environment_id: str, identity: VolumeId) -> Volume:
    """One volume of the environment. Raises EnvironmentNotFound, and VolumeNotFound, for one of another environment
    too.
    """
    environment = ports.volumes.environment(environment_id)
    disks = ports.region(environment.region).disks
    for disk in disks.volumes(environment.tags):
        if environment.has(disk.tags) and volume_id(environment.region, disk.id) == identity:
            return _shown(environment, disks, [disk])[0]
    raise VolumeNotFound(f"no volume {identity} in environment {environment_id}")


def _shown(environment: Environment, disks: Disks, found: list[Disk]) -> list[Volume]:
    wanted = {disk.instance_id for disk in found if disk.instance_id is not None}
    instances = {one.id: one for one in disks.instances(wanted)} if wanted else {}
    return [_volume(environment, disk, instances.get(disk.instance_id or "")) for disk in found]


def _volume(environment: Environment, disk: Disk, instance: Instance | None) -> Volume:
    region = environment.region
    root = instance is not None and disk.device is not None and disk.device == instance.root_device
    return Volume(
        environment=environment.id,
        id=volume_id(region, disk.id),
        source_id=disk.id,
        name=disk.tags.get(_NAME) or disk.id,
        kind=VolumeKind.ROOT if root else VolumeKind.DATA,
        # A state that EC2 comes to know later is none that a snapshot could be taken in.
        state=VolumeState(disk.state) if disk.state in set(VolumeState) else VolumeState.ERROR,
        size_bytes=disk.size_gib * 1024**3,
        created_at=disk.created_at,
        zone_id=zone_id(region, disk.zone),
        zone=disk.zone,
        source_kind=disk.kind,
        instance_id=None if disk.instance_id is None else instance_id(region, disk.instance_id),
        instance_source_id=disk.instance_id,
        instance_name=None if instance is None else instance.tags.get(_NAME) or instance.id,
    )
