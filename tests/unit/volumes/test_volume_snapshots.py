"""Volumes of an environment, snapshots of them, and tasks, as the use cases have them."""

from dataclasses import replace

import pytest

from tests.fakes import ManualClock, MemoryWorkflows
from tests.unit.volumes.backing import FIRST, OTHER_SHARD, REGION, World, body, run
from tests.unit.volumes.examples import FAILURE, INSTANCE_ID, TEST_AREA, environment
from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.instance import instance_id
from tidemark.domain.task import Operation, Task, TaskId, TaskStatus
from tidemark.domain.volume import VolumeKind, VolumeSnapshotId, VolumeState, volume_id
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.errors import (
    EnvironmentNotFound,
    InvalidRequest,
    KeyReused,
    NameTaken,
    SnapshotInUse,
    StageIncomplete,
    TaskNotFound,
    Throttled,
    VolumeBusy,
    VolumeNotFound,
    VolumeSnapshotNotFound,
    WrongState,
)
from tidemark.usecases.collect_images import collect_images
from tidemark.usecases.create_volume_snapshot import Wanted, create_volume_snapshot
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.read_volume_snapshots import get_task, get_volume_snapshot, list_volume_snapshots
from tidemark.usecases.read_volumes import get_volume, list_volumes
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases import backup

OTHER_AREA = EnvironmentId("compute-on/other")
ASKED = Asked("a" * 64, "b" * 64)


@pytest.fixture
def world() -> World:
    found = World()
    found.ports.volumes.add_environment(environment(name="other", region=REGION, tags={"Environment": "other"}))
    return found


def wanted(world: World, name: str | None = None) -> Wanted:
    return Wanted(volume_id(REGION, world.source_id), name)


def standing(world: World, task: Task) -> TaskStatus:
    return get_task(world.ports, "*", task.id).task.status


# --- volumes


def test_volumes_are_those_with_the_tags_of_the_environment(world: World) -> None:
    foreign_id = world.disks.add_volume(1, {}, {"Environment": "other"})
    world.disks.add_volume(1, {})
    (found,) = list_volumes(world.ports, TEST_AREA)
    assert (found.source_id, found.name, found.size_bytes) == (world.source_id, "foo", 3 * 1024**3)
    assert get_volume(world.ports, TEST_AREA, found.id) == found
    assert [one.source_id for one in list_volumes(world.ports, OTHER_AREA)] == [foreign_id]
    with pytest.raises(VolumeNotFound):
        get_volume(world.ports, TEST_AREA, volume_id(REGION, foreign_id))
    for call in (lambda: list_volumes(world.ports, "a/b"), lambda: get_volume(world.ports, "a/b", found.id)):
        with pytest.raises(EnvironmentNotFound):
            call()


def test_volume_says_what_it_is_attached_to_and_whether_that_starts_from_it(world: World) -> None:
    root_id = world.disks.add_volume(8, {}, {"Environment": "test_area"})
    world.disks.attach(root_id, "i-1", "/dev/xvda", name="web", root_device="/dev/xvda")
    world.disks.attach(world.source_id, "i-1", "/dev/sdf", name="web", root_device="/dev/xvda")
    (root,) = list_volumes(world.ports, TEST_AREA, kind=VolumeKind.ROOT)
    (added,) = list_volumes(world.ports, TEST_AREA, kind=VolumeKind.DATA)
    assert (root.source_id, root.name, added.source_id) == (root_id, root_id, world.source_id)
    assert {(one.instance_name, one.state) for one in (root, added)} == {("web", VolumeState.IN_USE)}
    own = instance_id(REGION, "i-1")
    assert len(list_volumes(world.ports, TEST_AREA, instance=own)) == 2
    assert list_volumes(world.ports, TEST_AREA, instance=INSTANCE_ID) == []


# --- create


def test_created_snapshot_is_of_the_moment_at_which_it_was_begun(world: World) -> None:
    task = create_volume_snapshot(world.ports, TEST_AREA, wanted(world))
    asked_for = world.record(task.snapshot_id)
    assert (asked_for.state, asked_for.name) == (State.ALLOCATED, "detached_foo_20260115100000")
    assert standing(world, task) is TaskStatus.PENDING
    backup.begin(world.ports, TEST_AREA, task.snapshot_id)
    world.change(b7=body("later"))
    made = run(world.ports, task.snapshot_id)
    assert made.state is State.STORED
    assert world.content(made) == FIRST
    assert made.image is not None
    assert made.image.stored_bytes == made.image.new_bytes > 3 * len(body(0))
    assert (made.source_id, made.parent_id, made.sealed) == (None, None, None)
    found = get_task(world.ports, TEST_AREA, task.id)
    assert (found.task.status, found.made) == (TaskStatus.SUCCESS, made)
    world.nothing_is_left()


@pytest.mark.parametrize("keeps", [False, True], ids=["compared", "listed by EBS"])
def test_next_snapshot_stores_what_changed(world: World, keeps: bool) -> None:
    first = world.take(keeps_source=keeps)
    world.change(b7=body("later"), b0=None)
    world.disks.reads.clear()
    second = world.take()
    assert world.content(second) == world.held
    assert second.parent_id == first.id
    assert second.image is not None
    assert second.image.new_bytes < 1.01 * len(body(0))
    assert sorted(world.disks.reads) == ([7] if keeps else [7, OTHER_SHARD])
    assert world.content(first) == FIRST


def test_whole_volume_is_compared_when_ec2s_earlier_snapshot_was_removed_by_somebody(world: World) -> None:
    first = world.take(keeps_source=True)
    world.disks.delete_snapshot(first.source_id or "")
    world.change(b7=body("later"))
    second = world.take()
    assert world.content(second) == world.held
    assert second.image is not None
    assert second.image.new_bytes < 1.01 * len(body(0))


def test_volume_that_grew_is_stored_as_large_as_it_was_at_the_moment(world: World) -> None:
    world.take()
    snapshot_id = world.ask()
    world.disks.disks[world.source_id] = replace(world.disks.disks[world.source_id], size_gib=5)
    world.change(b10000=body("far"))
    made = run(world.ports, snapshot_id)
    assert made.size_bytes == 5 * 1024**3
    assert world.content(made) == world.held


def test_bad_requests_start_nothing(world: World) -> None:
    foreign = volume_id(REGION, world.disks.add_volume(1, {}, {"Environment": "other"}))
    with pytest.raises(VolumeNotFound):
        create_volume_snapshot(world.ports, TEST_AREA, Wanted(foreign))
    with pytest.raises(InvalidRequest):
        create_volume_snapshot(world.ports, TEST_AREA, wanted(world, " spaced "))
    with pytest.raises(EnvironmentNotFound):
        create_volume_snapshot(world.ports, EnvironmentId("a/b"), wanted(world))
    world.disks.disks[world.source_id] = replace(world.disks.disks[world.source_id], state="deleting")
    with pytest.raises(WrongState):
        create_volume_snapshot(world.ports, TEST_AREA, wanted(world))
    assert list(world.ports.volumes.volume_snapshots(TEST_AREA)) == []
    assert (world.ports.workflows.started, world.disks.held) == ([], {})  # type: ignore[attr-defined]


def test_name_that_is_taken_is_refused_and_a_default_one_gives_way(world: World) -> None:
    first = create_volume_snapshot(world.ports, TEST_AREA, wanted(world, "mine"))
    run(world.ports, first.snapshot_id)
    with pytest.raises(NameTaken):
        create_volume_snapshot(world.ports, TEST_AREA, wanted(world, "mine"))
    names = []
    for _ in range(2):
        snapshot_id = create_volume_snapshot(world.ports, TEST_AREA, wanted(world)).snapshot_id
        names.append(run(world.ports, snapshot_id).name)
    assert names == ["detached_foo_20260115100000", "detached_foo_20260115100000-2"]


def test_volume_of_which_a_snapshot_is_being_made_is_busy_and_a_dead_execution_is_followed(world: World) -> None:
    workflows = world.ports.workflows
    assert isinstance(workflows, MemoryWorkflows)
    running = world.ask()
    for attempts in ([1], [1, 2]):
        with pytest.raises(VolumeBusy) as busy:
            world.ask()
        assert busy.value.snapshot_id == running
        assert [one.attempt for one in workflows.started] == attempts
        workflows.end(workflows.started[-1].tenant, running, attempt=attempts[-1])
        if attempts == [1]:
            with pytest.raises(VolumeBusy):
                world.ask()
    run(world.ports, running)
    assert world.take().state is State.STORED


def test_snapshot_fails_and_frees_its_volume_when_its_execution_can_not_be_started(world: World) -> None:
    class Throttling(MemoryWorkflows):
        def start_volume_backup(self, environment: EnvironmentId, snapshot_id: str, *, attempt: int) -> None:
            raise Throttled(f"{environment} {snapshot_id} {attempt}: slow down")

    with pytest.raises(Throttled):
        create_volume_snapshot(replace(world.ports, workflows=Throttling()), TEST_AREA, wanted(world))
    (failed,) = list_volume_snapshots(world.ports, TEST_AREA).snapshots
    assert (failed.state, failed.failure and failed.failure.code) == (State.FAILED, "Throttled")
    assert world.take().state is State.STORED


def test_request_that_is_sent_again_gets_the_task_that_it_began(world: World) -> None:
    first = create_volume_snapshot(world.ports, TEST_AREA, wanted(world), asked=ASKED)
    assert create_volume_snapshot(world.ports, TEST_AREA, wanted(world), asked=ASKED) == first
    with pytest.raises(KeyReused):
        create_volume_snapshot(world.ports, TEST_AREA, wanted(world), asked=replace(ASKED, content="c" * 64))
    backup.abort(world.ports, TEST_AREA, first.snapshot_id, FAILURE)
    second = create_volume_snapshot(world.ports, TEST_AREA, wanted(world), asked=ASKED)
    assert second.snapshot_id != first.snapshot_id
    run(world.ports, second.snapshot_id)
    assert isinstance(world.ports.clock, ManualClock)
    world.ports.clock.advance(25 * 3600)
    assert create_volume_snapshot(world.ports, TEST_AREA, wanted(world), asked=ASKED).id != second.id


# --- failures


def test_snapshot_ends_in_failure_naming_the_block_that_is_damaged(world: World) -> None:
    snapshot_id = world.ask()
    world.disks.damaged = {7}
    failed = run(world.ports, snapshot_id)
    assert failed.failure is not None
    assert (failed.state, failed.failure.code) == (State.FAILED, "BlockDamaged")
    assert "block 7" in failed.failure.message
    found = get_task(world.ports, TEST_AREA, failed.task_id or "")
    assert (found.task.status, found.task.failure, found.made) == (TaskStatus.FAILED, failed.failure, None)
    world.nothing_is_left()
    world.disks.damaged = set()
    assert world.content(world.take()) == FIRST


def test_snapshot_fails_with_ec2s_reason_when_ec2_could_not_make_its_own(world: World) -> None:
    world.disks.failing = "the key of the volume is disabled"
    failed = world.take()
    assert failed.failure is not None
    assert failed.failure.code == "DiskSnapshotFailed"
    assert world.disks.failing in failed.failure.message
    world.nothing_is_left()


def test_storing_waits_until_ec2s_snapshot_is_completed(world: World) -> None:
    world.disks.pending = True
    snapshot_id = world.ask()
    states = []

    def pending() -> None:
        states.append(world.record(snapshot_id).state)
        world.disks.settle(world.record(snapshot_id).source_id or "")

    assert run(world.ports, snapshot_id, pending).state is State.STORED
    assert states == [State.CUT]


def test_volume_that_is_gone_before_its_moment_is_taken_fails_the_snapshot(world: World) -> None:
    snapshot_id = world.ask()
    del world.disks.disks[world.source_id]
    failed = run(world.ports, snapshot_id)
    assert failed.failure is not None
    assert failed.failure.code == "VolumeNotFound"


def test_snapshot_is_not_stored_before_every_shard_was_read_back(world: World) -> None:
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    for shard in backup.await_source(world.ports, TEST_AREA, snapshot_id).shards:
        backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard)
    with pytest.raises(StageIncomplete):
        backup.read_back(world.ports, TEST_AREA, snapshot_id, shard=0)
    first, last = backup.seal(world.ports, TEST_AREA, snapshot_id)
    for _ in range(2):
        assert backup.read_back(world.ports, TEST_AREA, snapshot_id, shard=first) > 2 * len(body(0))
        with pytest.raises(StageIncomplete, match="1 of 2"):
            backup.finish(world.ports, TEST_AREA, snapshot_id)
    assert world.record(snapshot_id).state is State.STORING
    backup.read_back(world.ports, TEST_AREA, snapshot_id, shard=last)
    assert backup.finish(world.ports, TEST_AREA, snapshot_id).state is State.STORED


def test_pack_that_does_not_read_back_fails_the_snapshot(world: World) -> None:
    snapshot_id = world.ask()
    backup.begin(world.ports, TEST_AREA, snapshot_id)
    for shard in backup.await_source(world.ports, TEST_AREA, snapshot_id).shards:
        backup.copy_range(world.ports, TEST_AREA, snapshot_id, shard=shard)
    backup.seal(world.ports, TEST_AREA, snapshot_id)
    damage(world, snapshot_id)
    failed = run(world.ports, snapshot_id)
    assert failed.failure is not None
    assert (failed.state, failed.failure.code) == (State.FAILED, "PackCorrupt")
    world.nothing_is_left()


def damage(world: World, snapshot_id: str) -> None:
    """Let the first byte of each pack of a snapshot be another one."""
    objects = world.ports.payloads.objects  # type: ignore[attr-defined]
    packs = [key for key in objects if snapshot_id in key and key.endswith(".pack")]
    assert packs
    for key in packs:
        objects[key] = bytes([objects[key][0] ^ 1]) + objects[key][1:]


def test_snapshot_after_one_that_failed_for_its_parent_does_without(world: World) -> None:
    first = world.take()
    damaged_id = world.ask()
    objects = world.ports.payloads.objects  # type: ignore[attr-defined]
    for key in [key for key in objects if first.id in key and key.endswith(".pack")]:
        objects[key] = objects[key][:-1]
    failed = run(world.ports, damaged_id)
    assert failed.failure is not None
    assert (failed.failure.code, failed.parent_id) == ("PackCorrupt", first.id)
    whole = world.take()
    assert (whole.state, whole.parent_id) == (State.STORED, None)
    assert world.content(whole) == FIRST
    assert world.take().parent_id == whole.id


# --- list, get, delete, tasks


def test_snapshots_are_listed_newest_first_and_by_volume(world: World) -> None:
    other = world.disks.add_volume(1, {}, {"Environment": "test_area"})
    made = [world.take().id for _ in range(2)]
    elsewhere = create_volume_snapshot(world.ports, TEST_AREA, Wanted(volume_id(REGION, other)))
    own = list_volume_snapshots(world.ports, TEST_AREA, volume_id=volume_id(REGION, world.source_id))
    assert [one.id for one in own.snapshots] == made[::-1]
    assert len(list_volume_snapshots(world.ports, TEST_AREA).snapshots) == 3
    assert list_volume_snapshots(world.ports, OTHER_AREA).snapshots == []
    assert get_volume_snapshot(world.ports, TEST_AREA, elsewhere.snapshot_id).state is State.ALLOCATED
    with pytest.raises(VolumeSnapshotNotFound):
        get_volume_snapshot(world.ports, OTHER_AREA, made[0])
    for call in (
        lambda: list_volume_snapshots(world.ports, "a/b"),
        lambda: get_volume_snapshot(world.ports, "a/b", ""),
    ):
        with pytest.raises(EnvironmentNotFound):
            call()


def test_deleted_snapshot_is_not_found_and_its_name_is_free(world: World) -> None:
    made = run(world.ports, create_volume_snapshot(world.ports, TEST_AREA, wanted(world, "mine")).snapshot_id)
    task = delete_volume_snapshot(world.ports, TEST_AREA, made.id)
    assert (task.operation, standing(world, task)) == (Operation.DELETE, TaskStatus.SUCCESS)
    assert get_task(world.ports, "*", made.task_id or "").task.status is TaskStatus.SUCCESS
    assert list_volume_snapshots(world.ports, TEST_AREA).snapshots == []
    for call in (get_volume_snapshot, delete_volume_snapshot):
        with pytest.raises(VolumeSnapshotNotFound):
            call(world.ports, TEST_AREA, made.id)
    again = create_volume_snapshot(world.ports, TEST_AREA, wanted(world, "mine"))
    assert run(world.ports, again.snapshot_id).parent_id is None


def test_task_says_which_image_is_in_the_way_of_a_deletion_and_ends_well_once_that_is_gone(world: World) -> None:
    made = world.take(keeps_source=True)
    image_id = world.disks.register_image(made.source_id or "", name="theirs", description="", tags={})
    first, second = (delete_volume_snapshot(world.ports, TEST_AREA, made.id) for _ in range(2))
    for task in (first, second):
        found = get_task(world.ports, "*", task.id).task
        assert (found.status, found.failure and found.failure.code) == (TaskStatus.FAILED, "DiskSnapshotInUse")
        for said in (image_id, made.source_id or "", "deregister", "next collection"):
            assert said in (found.failure.message if found.failure else "")
    assert world.record(made.id).state is State.DELETING
    collect_images(world.ports, TEST_AREA)
    assert standing(world, first) is TaskStatus.FAILED
    world.disks.deregister_image(image_id)
    collect_images(world.ports, TEST_AREA)
    for task in (first, second):
        found = get_task(world.ports, "*", task.id).task
        assert (found.status, found.failure) == (TaskStatus.SUCCESS, None)
    assert world.disks.held == {}


def test_deletion_that_an_image_was_in_the_way_of_ends_at_once_when_it_is_repeated(world: World) -> None:
    made = world.take(keeps_source=True)
    image_id = world.disks.register_image(made.source_id or "", name="theirs", description="", tags={})
    first = delete_volume_snapshot(world.ports, TEST_AREA, made.id)
    world.disks.deregister_image(image_id)
    second = delete_volume_snapshot(world.ports, TEST_AREA, made.id)
    for task in (first, second):
        found = get_task(world.ports, "*", task.id).task
        assert (found.status, found.failure) == (TaskStatus.SUCCESS, None)
    assert world.record(made.id).state is State.DELETED


def test_snapshot_that_is_being_made_or_built_upon_is_not_deleted(world: World) -> None:
    first = world.take(keeps_source=True)
    second = world.ask()
    backup.begin(world.ports, TEST_AREA, second)
    with pytest.raises(WrongState):
        delete_volume_snapshot(world.ports, TEST_AREA, second)
    backup.await_source(world.ports, TEST_AREA, second)
    with pytest.raises(SnapshotInUse):
        delete_volume_snapshot(world.ports, TEST_AREA, first.id)
    made = run(world.ports, second)
    delete_volume_snapshot(world.ports, TEST_AREA, first.id)
    assert world.content(made) == FIRST
    world.nothing_is_left()


def test_snapshot_whose_user_died_can_be_deleted(world: World) -> None:
    first = world.take()
    second = world.take()
    dead = frozenset({f"snapshot {second.id}", "snapshot of nobody"})
    amend_volume_snapshot(world.ports.volumes, TEST_AREA, first.id, lambda record: replace(record, used_by=dead))
    delete_volume_snapshot(world.ports, TEST_AREA, first.id)
    assert world.record(first.id).state is State.DELETED
    amend_volume_snapshot(world.ports.volumes, TEST_AREA, second.id, lambda record: record.using("an export"))
    with pytest.raises(SnapshotInUse):
        delete_volume_snapshot(world.ports, TEST_AREA, second.id)


def test_task_is_found_by_keys_of_its_environment_alone(world: World) -> None:
    task = create_volume_snapshot(world.ports, TEST_AREA, wanted(world))
    assert get_task(world.ports, f"{OTHER_AREA},{TEST_AREA}", task.id).task == task
    for held in ("", OTHER_AREA):
        with pytest.raises(TaskNotFound):
            get_task(world.ports, held, task.id)
    stray = world.ports.volumes.add_task(
        replace(task, id=TaskId(task.id[::-1]), snapshot_id=VolumeSnapshotId("gone"), version=0)
    )
    assert get_task(world.ports, "*", stray.id) == (stray, None)
