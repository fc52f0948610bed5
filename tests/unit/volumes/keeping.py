"""What must hold of the stored images of an environment, whatever was collected: each is whole, nothing else stays."""

from tests.fakes import MemoryPayloads
from tests.unit.volumes.backing import Content, World, body
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.collection import Collection
from tidemark.domain.environment import image_owner
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.engine import manifests
from tidemark.engine.blocks import images
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.usecases.collect_images import collect_images
from tidemark.usecases.volume_phases import backup

OWNER = image_owner(TEST_AREA)
GIVEN_UP = Failure("Unavailable", "AWS did not let a phase come to its end")


def objects_of(world: World) -> dict[str, bytes]:
    assert isinstance(world.ports.payloads, MemoryPayloads)
    return world.ports.payloads.objects


def keys_of(world: World) -> set[str]:
    """What is stored, without lists of work, which expire."""
    return {key for key in objects_of(world) if not key.startswith("work-lists/")}


def snapshots_of(world: World) -> list[VolumeSnapshot]:
    return [one for one in world.ports.volumes.volume_snapshots(TEST_AREA) if isinstance(one, VolumeSnapshot)]


def manifest_of(world: World, snapshot: VolumeSnapshot) -> Manifest:
    assert snapshot.image is not None
    return manifests.read(world.ports.payloads, snapshot.image.manifest)


def all_whole(world: World, *moments: Content) -> None:
    """Every stored snapshot verifies byte by byte, and holds what the volume held at one of the moments."""
    for snapshot in snapshots_of(world):
        if snapshot.state is State.STORED:
            manifest = check_manifest(world.ports.payloads, snapshot)
            for shard in manifest.shards:
                images.check_shard(world.ports, manifest, shard, lambda: None)
            assert world.content(snapshot) in moments, snapshot


def needed(world: World) -> set[str]:
    """The keys of all objects that a stored snapshot needs."""
    keys: set[str] = set()
    for snapshot in snapshots_of(world):
        if snapshot.state is State.STORED:
            manifest = manifest_of(world, snapshot)
            keys |= {manifests.manifest_key(OWNER, manifest.snapshot_id), *(pack.key for pack in manifest.packs)}
    return keys


def collect(world: World) -> Collection:
    """A collection that comes to its end without a problem."""
    report = collect_images(world.ports, TEST_AREA)
    assert (report.problems, report.done) == ((), True)
    return report


def nothing_but_what_is_needed(world: World) -> None:
    """One more collection leaves no object that no stored snapshot names, and no record of what is gone."""
    collect(world)
    assert keys_of(world) == needed(world)
    assert {one.state for one in snapshots_of(world)} <= {State.STORED, State.FAILED}


def fail_after_storing(world: World) -> VolumeSnapshotId:
    """A snapshot that failed when its shards were stored."""
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    for shard in backup.await_source(world.ports, TEST_AREA, snapshot_id).shards:
        backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard)
    backup.abort(world.ports, TEST_AREA, snapshot_id, GIVEN_UP)
    return snapshot_id


def three(world: World) -> list[VolumeSnapshot]:
    """Snapshots upon each other, of a volume that changes by one block between them, and what it held then."""
    made = [world.take()]
    for number in (1, 2):
        world.change(b7=body(f"change {number}"))
        made.append(world.take())
    return made


def damage(world: World, snapshot: VolumeSnapshot) -> list[str]:
    """Flip a bit in each pack that a snapshot has stored itself; their keys."""
    keys = [key for key in objects_of(world) if f"/packs/{snapshot.id}/" in key and key.endswith(".pack")]
    assert keys
    for key in keys:
        stored = objects_of(world)[key]
        objects_of(world)[key] = bytes([stored[0] ^ 1]) + stored[1:]
    return keys
