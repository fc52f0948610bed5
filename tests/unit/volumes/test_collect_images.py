"""What deleted and failed snapshots of volumes stored goes once nobody needs it; all that others need stays."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import ManualClock, MemoryPayloads, MemoryWorkflows
from tests.unit.volumes.backing import FIRST, REGION, World, body, run
from tests.unit.volumes.examples import FAILURE, TEST_AREA, environment
from tests.unit.volumes.keeping import (
    GIVEN_UP,
    OWNER,
    all_whole,
    collect,
    damage,
    fail_after_storing,
    keys_of,
    manifest_of,
    needed,
    nothing_but_what_is_needed,
    objects_of,
    snapshots_of,
    three,
)
from tidemark.domain.collection import Collection
from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import KEPT_FOR, Operation, Task, TaskStatus
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshot, VolumeSnapshotId
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import AwsFailure, DisksRefused, VolumeSnapshotNotFound
from tidemark.ports import Ports
from tidemark.ports.volumes import Region
from tidemark.usecases.collect_images import collect_images
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.read_volume_snapshots import get_task
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases import backup
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, SNAPSHOT_TAG

OTHER_AREA = EnvironmentId("compute-on/other")


@pytest.fixture
def world() -> World:
    return World()


def delete(world: World, *snapshots: VolumeSnapshot) -> list[Task]:
    return [delete_volume_snapshot(world.ports, TEST_AREA, one.id) for one in snapshots]


def registered(world: World, snapshot: VolumeSnapshot) -> str:
    """Somebody's machine image of what a snapshot keeps at EC2, which that does not let go then."""
    return world.disks.register_image(snapshot.source_id or "", name="theirs", description="", tags={})


class Refusing:
    """EC2, which lets no snapshot of its own be deleted."""

    def __init__(self, world: World) -> None:
        self._disks = world.disks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disks, name)

    def delete_snapshot(self, snapshot_id: str) -> None:
        raise DisksRefused(f"not authorized to delete {snapshot_id}")


def with_records(world: World, volumes: Any) -> Ports:
    return replace(world.ports, volumes=volumes)


def test_what_later_snapshots_need_of_deleted_ones_stays_and_goes_with_the_last(world: World) -> None:
    first, second, third = three(world)
    shared = {pack.key for pack in manifest_of(world, third).packs}
    delete(world, first, second)
    report = collect(world)
    # Their manifests, and the notes of all shards.
    assert (report.deleted.objects, report.purged, report.kept.objects) == (2 + 3 * 2, 2, len(shared) + 1)
    assert {key for key in objects_of(world) if key.endswith(".pack")} == shared
    assert snapshots_of(world) == [world.record(third.id)]
    all_whole(world, world.held)
    world.change(b0=body("later"))
    fourth = world.take()
    assert fourth.parent_id == third.id
    delete(world, third)
    nothing_but_what_is_needed(world)
    assert shared & keys_of(world) != set()
    all_whole(world, world.held)
    delete(world, fourth)
    collect(world)
    assert (keys_of(world), snapshots_of(world)) == (set(), [])


def test_what_a_failed_snapshot_stored_goes_and_its_record_tells_why_until_it_is_deleted(world: World) -> None:
    world.take()
    world.change(b7=body("later"))
    failed = fail_after_storing(world)
    assert [key for key in keys_of(world) if failed in key]
    assert collect(world).purged == 0
    assert not [key for key in keys_of(world) if failed in key]
    assert world.record(failed).failure == GIVEN_UP
    delete(world, world.record(failed))
    assert collect(world).purged == 1
    with pytest.raises(VolumeSnapshotNotFound):
        world.record(failed)


@pytest.mark.parametrize("step", range(6))
def test_what_a_snapshot_has_stored_while_it_is_made_and_what_it_builds_upon_stays(world: World, step: int) -> None:
    first = world.take()
    world.change(b7=body("later"))
    snapshot_id = world.ask()
    begun = lambda: backup.begin(world.ports, TEST_AREA, snapshot_id)  # noqa: E731 - one of a row of steps
    shards: list[int] = []

    def awaited() -> None:
        shards[:] = backup.await_source(world.ports, TEST_AREA, snapshot_id).shards

    def copied() -> None:
        for shard in shards:
            backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard)

    def sealed() -> None:
        backup.seal(world.ports, TEST_AREA, snapshot_id)

    def read() -> None:
        for shard in shards:
            backup.read_back(world.ports, TEST_AREA, snapshot_id, shard=shard)

    for done in (begun, awaited, copied, sealed, read)[:step]:
        done()
    collect(world)
    if world.record(first.id).used_by:
        assert step > 1
    else:
        # Nothing says yet that the new one will build upon it.
        delete(world, first)
        collect(world)
    made = run(world.ports, snapshot_id)
    assert made.state is State.STORED, made.failure
    all_whole(world, world.held, FIRST)
    nothing_but_what_is_needed(world)


def test_dry_run_tells_what_would_go_and_changes_nothing(world: World) -> None:
    first, second, third = three(world)
    delete(world, first, third)
    failed = fail_after_storing(world)
    world.disks.create_snapshot(
        world.source_id, description="", tags={ENVIRONMENT_TAG: TEST_AREA, SNAPSHOT_TAG: failed}
    )
    objects, records, held = dict(objects_of(world)), snapshots_of(world), set(world.disks.held)
    dry = collect_images(world.ports, TEST_AREA, dry_run=True)
    assert (objects_of(world), snapshots_of(world), set(world.disks.held)) == (objects, records, held)
    real = collect(world)
    assert dry == replace(real, dry_run=True, closed=0)
    assert (real.closed, real.purged) == (1, 2)
    assert world.disks.held == {}
    all_whole(world, world.content(second))


def test_nothing_is_deleted_while_a_manifest_can_not_be_read_and_it_is_named(world: World) -> None:
    first, second, third = three(world)
    delete(world, first)
    assert second.image is not None
    key = second.image.manifest.key
    whole = objects_of(world).pop(key)
    before = keys_of(world)
    report = collect_images(world.ports, TEST_AREA)
    assert key in report.problems[0]
    assert (keys_of(world), report.deleted.objects, report.purged) == (before, 0, 0)
    objects_of(world)[key] = whole
    nothing_but_what_is_needed(world)
    all_whole(world, world.content(second), world.content(third))


class Spoilt:
    """Records of which one can't be read."""

    def __init__(self, ports: Ports, snapshot_id: str) -> None:
        self._volumes, self._id = ports.volumes, snapshot_id

    def __getattr__(self, name: str) -> object:
        return getattr(self._volumes, name)

    def volume_snapshots(self, environment_id: str) -> Iterator[VolumeSnapshot | DamagedVolumeSnapshot]:
        for one in self._volumes.volume_snapshots(environment_id):
            if one.id == self._id:
                yield DamagedVolumeSnapshot(one.id, Failure("CatalogCorrupt", f"the record {one.id} is damaged"))
            else:
                yield one


def test_nothing_is_deleted_while_a_record_can_not_be_read_and_it_is_named(world: World) -> None:
    first, second, _ = three(world)
    delete(world, first)
    before = keys_of(world)
    report = collect_images(with_records(world, Spoilt(world.ports, second.id)), TEST_AREA)
    assert report.problems == (f"the record {second.id} is damaged; nothing of environment {TEST_AREA} was collected",)
    assert (keys_of(world), report.kept, report.done) == (before, report.listed, True)


def test_nothing_is_deleted_when_the_records_never_stand_still(world: World) -> None:
    first, second, _ = three(world)
    delete(world, first)
    before = keys_of(world)

    class Moving(Spoilt):
        def volume_snapshots(self, environment_id: str) -> Iterator[VolumeSnapshot | DamagedVolumeSnapshot]:
            yield from list(self._volumes.volume_snapshots(environment_id))
            record = world.record(second.id)
            # Any change moves the version.
            self._volumes.replace_volume_snapshot(replace(record, used_by=record.used_by ^ {"somebody"}))

    report = collect_images(with_records(world, Moving(world.ports, "")), TEST_AREA)
    assert "changed each time they were read" in report.problems[-1]
    assert keys_of(world) == before


def test_objects_of_tenants_and_of_other_environments_are_not_looked_at(world: World) -> None:
    world.ports.volumes.add_environment(environment(name="test_area2", region=REGION))
    (snapshot,) = [world.take()]
    others = {
        key.replace(OWNER, other): b"1"
        for key in keys_of(world)
        for other in (image_owner(OTHER_AREA), f"{OWNER}2", "test_area")
    }
    objects_of(world).update(others)
    delete(world, snapshot)
    collect(world)
    assert keys_of(world) == others.keys()


def test_region_that_does_not_answer_is_a_problem_and_stops_no_collection(world: World) -> None:
    first, _, third = three(world)
    delete(world, first)

    def away(_name: str) -> Region:
        raise AwsFailure("listing disk snapshots: 503")

    report = collect_images(replace(world.ports, region=away), TEST_AREA)
    died = [f"{what} that died in environment {TEST_AREA} were not closed" for what in ("restores", "backups")]
    assert report.problems == tuple(f"{one}: listing disk snapshots: 503" for one in died)
    assert (report.purged, report.done) == (1, True)
    assert keys_of(world) == needed(world)
    all_whole(world, *[world.content(one) for one in snapshots_of(world)])
    assert third in snapshots_of(world)


def test_snapshot_that_can_not_be_closed_is_named_and_stops_none_of_the_others(world: World) -> None:
    stuck = world.take(keeps_source=True)
    disks = Refusing(world)
    refused = replace(world.ports, region=lambda _name: Region(disks, world.disks))
    with pytest.raises(DisksRefused):
        delete_volume_snapshot(refused, TEST_AREA, stuck.id)
    running = world.ask()
    assert isinstance(world.ports.workflows, MemoryWorkflows)
    world.ports.workflows.end(OWNER, running)
    report = collect_images(refused, TEST_AREA)
    (problem,) = report.problems
    assert stuck.id in problem
    assert "not authorized" in problem
    assert world.ports.workflows.started[-1].attempt == 2
    assert world.record(stuck.id).state is State.DELETING


def test_deletion_that_waits_for_an_image_is_no_fault_of_the_collection_and_goes_on_once_that_is_gone(
    world: World,
) -> None:
    stuck, other = world.take(keeps_source=True), world.take(keeps_source=True)
    template = registered(world, stuck)
    (task,) = delete(world, stuck)
    delete(world, other)
    running = world.ask()
    assert isinstance(world.ports.workflows, MemoryWorkflows)
    world.ports.workflows.end(OWNER, running)
    collect(world)
    assert template in (get_task(world.ports, "*", task.id).task.failure or FAILURE).message
    assert world.ports.workflows.started[-1].attempt == 2
    assert world.record(stuck.id).state is State.DELETING
    # EC2's snapshot stays; what is stored here is nobody's any more.
    assert not [key for key in objects_of(world) if stuck.id in key and key.endswith(".zst")]
    world.disks.deregister_image(template)
    assert run(world.ports, running).state is State.STORED
    collect(world)
    nothing_but_what_is_needed(world)
    assert world.disks.held == {}


def test_deleted_snapshot_of_which_somebody_has_addresses_stays_with_its_record_until_they_are_over(
    world: World,
) -> None:
    snapshot = world.take()
    until = world.ports.clock.now() + timedelta(hours=1)
    amend_volume_snapshot(world.ports.volumes, TEST_AREA, snapshot.id, lambda one: replace(one, shared_until=until))
    before = {key for key in keys_of(world) if not key.endswith(".shard.json")}
    delete(world, snapshot)
    assert collect(world).purged == 0
    assert keys_of(world) == before
    assert world.record(snapshot.id).state is State.DELETED
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(3600)
    assert collect(world).purged == 1
    assert (keys_of(world), snapshots_of(world)) == (set(), [])


def test_deletion_that_died_half_way_is_finished_and_its_bytes_go_in_the_same_run(world: World) -> None:
    snapshot = world.take(keeps_source=True)
    template = registered(world, snapshot)
    delete(world, snapshot)
    assert world.record(snapshot.id).state is State.DELETING
    world.disks.deregister_image(template)
    report = collect(world)
    assert (report.closed, report.purged) == (2, 1)
    assert (keys_of(world), snapshots_of(world), world.disks.held) == (set(), [], {})


def test_record_stays_while_s3_retains_one_of_its_objects(world: World) -> None:
    snapshot = world.take()
    delete(world, snapshot)
    (kept, *_) = [key for key in objects_of(world) if f"/{snapshot.id}/" in key and key.endswith(".pack")]
    assert isinstance(world.ports.payloads, MemoryPayloads)
    world.ports.payloads.retained = {kept}
    report = collect(world)
    assert (keys_of(world), report.retained.objects, report.purged) == ({kept}, 1, 0)
    assert world.record(snapshot.id).state is State.DELETED
    world.ports.payloads.retained = set()
    assert collect(world).purged == 1


def test_collection_goes_on_where_its_time_was_over(world: World) -> None:
    for number in range(250):
        objects_of(world)[f"{OWNER}/packs/{number:032x}/000-base-00000.pack"] = b"12345"
    reports: list[Collection] = []
    while not reports or not reports[-1].done:
        reports.append(collect_images(world.ports, TEST_AREA, budget_s=-1))
    assert [one.deleted.objects for one in reports] == [200, 50]
    assert keys_of(world) == set()


def test_tasks_say_how_they_ended_when_their_snapshot_is_forgotten(world: World) -> None:
    good, failed = world.take(), world.record(fail_after_storing(world))
    deletions = delete(world, good, failed)
    collect(world)
    assert snapshots_of(world) == []
    made = get_task(world.ports, TEST_AREA, good.task_id or "")
    assert (made.task.status, made.made) == (TaskStatus.SUCCESS, None)
    assert made.task.finished_at == (good.image.verified_at if good.image else None)
    not_made = get_task(world.ports, TEST_AREA, failed.task_id or "").task
    assert (not_made.status, not_made.failure) == (TaskStatus.FAILED, GIVEN_UP)
    for task in deletions:
        assert get_task(world.ports, TEST_AREA, task.id).task.status is TaskStatus.SUCCESS


def test_task_is_kept_for_days_and_one_that_alone_tells_of_what_is_under_way_until_it_is_over(world: World) -> None:
    task = world.ports.volumes.task(world.take().task_id or "")
    assert task.kept_until == task.created_at + KEPT_FOR
    restoring = replace(task, operation=Operation.RESTORE)
    assert restoring.kept_until is None
    assert isinstance(world.ports.clock, ManualClock)
    over = world.ports.clock.now() + KEPT_FOR
    assert restoring.failed(FAILURE, world.ports.clock.now()).kept_until == over
    assert restoring.succeeded(world.ports.clock.now(), "vol-1").kept_until == over


def test_deleted_snapshot_that_tells_of_its_parents_damage_is_not_forgotten_before_that(world: World) -> None:
    first = world.take()
    damage(world, first)
    blaming = world.take()
    assert blaming.failure is not None
    assert (blaming.failure.code, blaming.parent_id) == ("PackCorrupt", first.id)
    delete(world, blaming)
    assert collect(world).purged == 0
    whole = world.take()
    assert (whole.state, whole.parent_id) == (State.STORED, None)
    delete(world, world.record(first.id))
    assert collect(world).purged == 2
    assert [one.id for one in snapshots_of(world)] == [whole.id]


def test_collection_of_an_environment_that_is_gone_says_so(world: World) -> None:
    report = collect_images(world.ports, OTHER_AREA)
    assert "compute-on/other" in report.problems[0]
    assert report.listed.objects == 0


def test_forgetting_waits_when_the_record_has_moved(world: World) -> None:
    snapshot = world.take()
    delete(world, snapshot)

    class Touched(Spoilt):
        def remove_volume_snapshot(self, snapshot: VolumeSnapshot) -> None:
            record = world.record(snapshot.id)
            self._volumes.replace_volume_snapshot(replace(record, used_by=frozenset({"somebody"})))
            self._volumes.remove_volume_snapshot(snapshot)

    report = collect_images(with_records(world, Touched(world.ports, "")), TEST_AREA)
    assert report.purged == 0
    assert world.record(VolumeSnapshotId(snapshot.id)).state is State.DELETED
