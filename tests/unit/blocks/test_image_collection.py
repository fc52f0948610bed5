"""What the snapshots of an environment's volumes need stays, whatever becomes of the others; all else may go."""

from dataclasses import replace

from tests.unit.blocks.imaging import Imaging, small
from tests.unit.blocks.recording import OWNER, of_volume
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.engine.blocks.collection import garbage, read_manifests
from tidemark.engine.collect import list_objects
from tidemark.engine.manifests import manifest_key

_S = VolumeSnapshotState
_CONTENT = {index: small(index) for index in range(6)}


def world(count: int = 3) -> tuple[Imaging, list[VolumeSnapshot], list[Manifest]]:
    """Snapshots of a volume, each upon the one before, with one block changed."""
    made, snapshots, manifests = Imaging(owner=OWNER), [], []
    for number in range(count):
        made.hold(_CONTENT | {0: small(("changed", number))})
        sealed = made.take()
        manifests.append(made.newest)
        snapshots.append(of_volume(made.newest, sealed))
    return made, snapshots, manifests


def collect(made: Imaging, *snapshots: VolumeSnapshot) -> set[str]:
    """Delete what these snapshots do not need; what there is still."""
    listed = list_objects(made.ports, OWNER)
    named = read_manifests(made.ports, snapshots)
    assert not named.problems
    for one in garbage(listed, snapshots, named):
        made.payloads.delete(one.key)
    return set(made.payloads.objects)


def test_packs_of_deleted_snapshots_stay_as_long_as_a_later_one_is_made_of_them() -> None:
    made, (first, second, third), manifests = world()
    gone = [first.deleting(), second.deleting().deleted()]
    left = collect(made, *gone, third)
    assert left == {manifest_key(OWNER, manifests[2].snapshot_id), *(pack.key for pack in manifests[2].packs)}
    assert made.read(manifests[2]) == _CONTENT | {0: small(("changed", 2))}
    made.check()
    assert not collect(made, *gone, third.deleting())


def test_snapshot_after_a_deletion_builds_on_what_is_left() -> None:
    made, (first, second, third), manifests = world()
    collect(made, first.deleting(), second.deleting(), third)
    made.hold(_CONTENT)
    sealed = made.take()
    fourth = of_volume(made.newest, sealed)
    collect(made, third.deleting(), fourth)
    assert made.read() == _CONTENT
    assert {pack.key for pack in manifests[2].packs} <= made.payloads.objects.keys()
    made.check()


def test_what_a_snapshot_that_is_being_made_has_stored_stays_until_it_fails() -> None:
    made, (first, second, third), manifests = world()
    # Objects of a snapshot that is being made are filed under its id.
    for key in [one for one in made.payloads.objects if "/packs/c3/" in one]:
        made.payloads.objects[key.replace("/c3/", f"/{third.id}/")] = made.payloads.objects.pop(key)
    running = replace(third, state=_S.STORING, image=None, parent_id=second.id)
    left = collect(made, first, second, running)
    assert {key for key in left if f"/{third.id}/" in key} != set()
    assert manifest_key(OWNER, manifests[2].snapshot_id) in left
    left = collect(made, first, second, running.failed(Failure("BlockDamaged", "block 3 of snap-1 is damaged")))
    assert not {key for key in left if third.id in key.split("/")}
    assert made.read(manifests[1]) == _CONTENT | {0: small(("changed", 1))}


def test_manifest_that_cannot_be_read_is_a_problem_and_is_named() -> None:
    made, snapshots, manifests = world()
    key = manifest_key(OWNER, manifests[1].snapshot_id)
    del made.payloads.objects[key]
    (problem,) = read_manifests(made.ports, snapshots).problems
    assert key in problem


def test_objects_of_another_environment_are_not_listed() -> None:
    made, _, _ = world(1)
    before = len(list_objects(made.ports, OWNER))
    for key in list(made.payloads.objects):
        made.payloads.objects[key.replace("/test_area/", "/test_area2/")] = b""
    assert len(list_objects(made.ports, OWNER)) == before


def test_snapshot_of_no_image_needs_nothing() -> None:
    made, _, _ = world(1)
    failed = replace(of_nothing(), state=_S.FAILED, failure=Failure("DiskSnapshotFailed", "EC2 could not"))
    assert not collect(made, failed)


def of_nothing() -> VolumeSnapshot:
    made, (snapshot,), _ = world(1)
    assert made.count == 1
    return replace(snapshot, id=VolumeSnapshotId("x"), state=_S.CUT, image=None)
