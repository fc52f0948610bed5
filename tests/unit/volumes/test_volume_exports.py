"""What somebody is given of a stored image, and that it stays there while he can read it."""

from datetime import timedelta

import pytest

from tests.fakes import ManualClock
from tests.unit.engine.disturbed import Counter, Death
from tests.unit.volumes.backing import FIRST, World, body
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.environment import image_owner
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.engine.blocks import collection, images
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.engine.collect import list_objects
from tidemark.errors import ManifestCorrupt, VolumeSnapshotNotFound, WrongState
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.export_volume_image import ImageExport, export_volume_image

HOUR = timedelta(hours=1)


def exported(world: World, snapshot_id: str, good_for: timedelta = HOUR) -> ImageExport:
    until = world.ports.clock.now() + good_for
    return export_volume_image(world.ports, TEST_AREA, snapshot_id, until=until)


def collected(world: World) -> None:
    """What the collector removes."""
    listed = list_objects(world.ports, image_owner(TEST_AREA))
    snapshots = [one for one in world.ports.volumes.volume_snapshots(TEST_AREA) if isinstance(one, VolumeSnapshot)]
    named = collection.read_manifests(world.ports, snapshots)
    for one in collection.garbage(listed, snapshots, named):
        world.ports.payloads.delete(one.key)


def readable(world: World, export: ImageExport) -> bool:
    keys = {export.manifest.key, *(pack.key for pack in export.packs)}
    there = {one.key for one in world.ports.payloads.list("volume-images/")}
    return keys <= there


def advance(world: World, by: timedelta) -> None:
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(by / timedelta(seconds=1))


def test_export_names_the_manifest_and_every_pack_of_it() -> None:
    world = World()
    world.take()
    world.change(b7=body("later"))
    taken = world.take()
    export = exported(world, taken.id)
    assert taken.image is not None
    assert (export.manifest, export.digest) == (taken.image.manifest, taken.image.digest)
    assert (export.image.size_bytes, export.blocks) == (3 * 1024**3, len(FIRST))
    assert sum(pack.size_bytes for pack in export.packs) == taken.image.stored_bytes
    assert len({pack.key.split("/")[-2] for pack in export.packs}) == 2, "packs of both snapshots"
    assert readable(world, export)


def test_what_an_export_names_outlives_the_snapshot_until_its_addresses_end() -> None:
    world = World()
    export = exported(world, world.take().id)
    delete_volume_snapshot(world.ports, TEST_AREA, export.snapshot.id)
    advance(world, HOUR)
    collected(world)
    assert readable(world, export)
    advance(world, HOUR + timedelta(seconds=1))
    collected(world)
    assert not list(world.ports.payloads.list("volume-images/"))


def test_bytes_of_a_deleted_snapshot_that_nobody_exported_go_at_once() -> None:
    world = World()
    delete_volume_snapshot(world.ports, TEST_AREA, world.take().id)
    collected(world)
    assert not list(world.ports.payloads.list("volume-images/"))


def test_pages_of_one_export_write_the_record_once_and_a_later_one_prolongs_it() -> None:
    world = World()
    taken = world.take()
    first = exported(world, taken.id).snapshot
    advance(world, timedelta(minutes=30))
    assert exported(world, taken.id).snapshot.version == first.version
    assert exported(world, taken.id, 6 * HOUR).snapshot.version > first.version
    shortened = exported(world, taken.id)
    assert shortened.snapshot.shared_until is not None
    assert shortened.snapshot.shared_until >= world.ports.clock.now() + 6 * HOUR


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whoever_has_an_answer_can_read_it_when_the_snapshot_is_deleted_at_any_call(after: bool) -> None:
    at, calls = 0, 1
    while at < calls:
        at += 1
        world = World()
        taken = world.take()
        counter = Counter(at, after=after)
        try:
            export = export_volume_image(
                world.numbered(counter), TEST_AREA, taken.id, until=world.ports.clock.now() + HOUR
            )
        except Death:
            calls = at + 1
            delete_volume_snapshot(world.ports, TEST_AREA, taken.id)
            with pytest.raises(VolumeSnapshotNotFound):
                exported(world, taken.id)
        else:
            delete_volume_snapshot(world.ports, TEST_AREA, taken.id)
            collected(world)
            assert readable(world, export)


def test_only_a_stored_snapshot_is_exported() -> None:
    world = World()
    asked = world.ask()
    with pytest.raises(WrongState) as refused:
        exported(world, asked)
    assert refused.value.expected == (VolumeSnapshotState.STORED,)


def test_export_is_refused_when_the_manifest_is_damaged() -> None:
    world = World()
    taken = world.take()
    assert taken.image is not None
    world.ports.payloads.delete(taken.image.manifest.key)
    with pytest.raises(ManifestCorrupt):
        exported(world, taken.id)


def test_image_can_be_put_together_of_what_an_export_names() -> None:
    world = World()
    export = exported(world, world.take().id)
    manifest = check_manifest(world.ports.payloads, export.snapshot)
    held = {one.index: one.body for one in images.read_image(world.ports, manifest)}
    assert held == FIRST
