"""Volumes and templates made of snapshots: what is asked for, what is made, how a task stands, how it is cancelled."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import ManualClock
from tests.unit.engine.disturbed import Counter, Numbered
from tests.unit.volumes.backing import OTHER_SHARD, REGION, SIZE_GIB, body
from tests.unit.volumes.examples import FAILURE, TEST_AREA, environment
from tests.unit.volumes.restoring import Restoring, run
from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.volume import Volume, VolumeId, volume_id
from tidemark.engine import manifests
from tidemark.errors import (
    EnvironmentNotFound,
    InvalidRequest,
    KeyReused,
    SnapshotInUse,
    TaskEnded,
    TaskNotFound,
    TemplateNameTaken,
    Throttled,
    VolumeSnapshotNotFound,
    WrongState,
)
from tidemark.ports.volumes import DiskState, MachineImage
from tidemark.usecases.cancel_task import cancel_task
from tidemark.usecases.close_volume_restores import close_volume_restores
from tidemark.usecases.collect_images import collect_images
from tidemark.usecases.delete_volume_snapshot import delete_volume_snapshot
from tidemark.usecases.read_volume_snapshots import get_task
from tidemark.usecases.read_volumes import list_volumes
from tidemark.usecases.restore_volume_snapshot import (
    RestoreWish,
    TemplateWish,
    create_volume_template,
    restore_volume_snapshot,
)
from tidemark.usecases.volume_restore_phases import making, writing
from tidemark.usecases.volume_restore_phases.lifecycle import end, tags_of, target_tags_of

operations = pytest.mark.parametrize("operation", [Operation.RESTORE, Operation.CREATE_TEMPLATE])


@pytest.fixture
def world() -> Restoring:
    found = Restoring()
    found.snapshot.check_stored()
    return found


def restored(world: Restoring, wish: RestoreWish | None = None) -> Task:
    return restore_volume_snapshot(world.ports, TEST_AREA, world.snapshot.id, wish or RestoreWish())


def templated(world: Restoring, wish: TemplateWish | None = None) -> Task:
    return create_volume_template(world.ports, TEST_AREA, world.snapshot.id, wish or TemplateWish())


def _id(task: Task) -> str:
    return task.id


def clock_of(world: Restoring) -> ManualClock:
    assert isinstance(world.ports.clock, ManualClock)
    return world.ports.clock


# --- what is made


def test_restored_volume_is_one_of_the_environment_at_once_and_holds_what_the_snapshot_does(
    world: Restoring,
) -> None:
    task = run(world.ports, restored(world).id)
    made = world.all_is_well(task.id)
    shown = {one.id: one for one in list_volumes(world.ports, TEST_AREA)}
    assert shown[VolumeId(made.result_id or "")].name == "foo"
    disk = world.disks.disks[made.made_id or ""]
    assert (disk.zone, disk.kind, disk.size_gib) == ("eu-west-1a", "gp3", SIZE_GIB)
    assert disk.tags["tidemark:restored-from"] == world.snapshot.id
    assert disk.tags.items() >= environment().tags.items()


def test_volume_is_made_where_and_as_it_is_asked_for(world: Restoring) -> None:
    task = run(world.ports, restored(world, RestoreWish("copy of foo", "eu-west-1b")).id)
    disk = world.disks.disks[task.made_id or ""]
    assert (disk.tags["Name"], disk.zone) == ("copy of foo", "eu-west-1b")


def test_volume_that_nobody_names_is_called_as_the_old_one_whatever_that_was_called(world: Restoring) -> None:
    called = "x" * 255 + " "
    world.ports.volumes.replace_volume_snapshot(replace(world.record(world.snapshot.id), volume_name=called))
    task = run(world.ports, restored(world).id)
    assert world.disks.disks[task.made_id or ""].tags["Name"] == called


def test_volume_takes_no_name_from_its_snapshot_that_a_tag_can_not_have(world: Restoring) -> None:
    world.ports.volumes.replace_volume_snapshot(replace(world.record(world.snapshot.id), volume_name="aws:foo"))
    with pytest.raises(InvalidRequest, match="choose another one by the member 'name'"):
        restored(world)
    assert restored(world, RestoreWish("\U0001f692" * 255)).status is TaskStatus.PENDING


def test_volume_is_made_where_the_old_one_was_though_that_is_gone(world: Restoring) -> None:
    world.disks.disks[world.source_id] = replace(world.disks.disks[world.source_id], zone="eu-west-1c", kind="st1")
    later = world.take()
    del world.disks.disks[world.source_id], world.disks.content[world.source_id]
    task = restore_volume_snapshot(world.ports, TEST_AREA, later.id, RestoreWish())
    disk = world.disks.disks[run(world.ports, task.id).made_id or ""]
    assert (disk.zone, disk.kind) == ("eu-west-1c", "st1")


def test_volume_whose_kind_wants_to_be_told_more_is_made_as_the_common_one(world: Restoring) -> None:
    world.disks.disks[world.source_id] = replace(world.disks.disks[world.source_id], kind="io2")
    later = world.take()
    task = restore_volume_snapshot(world.ports, TEST_AREA, later.id, RestoreWish())
    assert task.making is not None
    assert task.making.kind == "gp3"


def test_zone_must_be_told_where_nobody_knows_where_the_volume_was(world: Restoring) -> None:
    record = world.snapshot
    world.ports.volumes.replace_volume_snapshot(replace(world.record(record.id), zone=None, source_kind=None))
    found = restored(world).making
    assert found is not None
    assert found.zone == "eu-west-1a"
    del world.disks.disks[world.source_id]
    with pytest.raises(InvalidRequest, match=r"'zone': .* are eu-west-1a, eu-west-1b, eu-west-1c"):
        restored(world)
    assert restored(world, RestoreWish(zone="eu-west-1b")).status is TaskStatus.PENDING


@pytest.mark.parametrize("zone", ["", "us-east-1a", "eu-west-1z", "eu-west-1a\n", "eu-west-1" + "a" * 40])
def test_zone_that_the_region_does_not_have_is_refused_with_those_that_it_has(world: Restoring, zone: str) -> None:
    with pytest.raises(InvalidRequest, match=r"of eu-west-1 are eu-west-1a, eu-west-1b, eu-west-1c; .* 'zone'") as told:
        restored(world, RestoreWish(zone=zone))
    assert repr(zone[:40]) in told.value.message
    assert world.record(world.snapshot.id).used_by == frozenset()


@pytest.mark.parametrize("zone", ["eu-west-1a", None])
def test_zone_of_the_old_volume_that_has_closed_is_refused_at_once_and_another_one_does(
    world: Restoring, zone: str | None
) -> None:
    record = world.snapshot
    world.ports.volumes.replace_volume_snapshot(replace(world.record(record.id), zone=zone))
    world.disks.zones_there = ("eu-west-1b",)
    with pytest.raises(InvalidRequest, match=r"in the zone eu-west-1a, where no volume .* are eu-west-1b; .* 'zone'"):
        restored(world)
    assert world.record(record.id).used_by == frozenset()
    assert restored(world, RestoreWish(zone="eu-west-1b")).status is TaskStatus.PENDING


def test_nothing_is_written_for_a_zone_that_has_closed_since_it_was_asked_for(world: Restoring) -> None:
    task = restored(world)
    world.disks.zones_there = ("eu-west-1b", "eu-west-1c")
    failed = run(world.ports, task.id)
    assert failed.failure is not None
    assert failed.failure.code == "DisksRefused"
    assert "eu-west-1a now" in failed.failure.message
    assert "the zones eu-west-1b, eu-west-1c" in failed.failure.message
    assert failed.target_id is None
    world.all_is_well(task.id)
    assert run(world.ports, templated(world).id).status is TaskStatus.SUCCESS


def test_environment_whose_tags_aws_alone_sets_takes_no_volumes(world: Restoring) -> None:
    found = world.ports.volumes.environment(TEST_AREA)
    world.ports.volumes.replace_environment(replace(found, tags={**found.tags, "aws:cloudformation:stack-name": "x"}))
    with pytest.raises(InvalidRequest, match="aws:cloudformation:stack-name"):
        restored(world)


def test_environment_with_as_many_tags_as_ec2_allows_takes_no_volumes(world: Restoring) -> None:
    found = world.ports.volumes.environment(TEST_AREA)
    few = {**found.tags, **{f"t{number}": "" for number in range(45)}}
    found = world.ports.volumes.replace_environment(replace(found, tags=few))
    assert run(world.ports, restored(world).id).status is TaskStatus.SUCCESS
    assert max(len(disk.tags) for disk in world.disks.disks.values()) == 50
    world.ports.volumes.replace_environment(replace(found, tags={**few, "more": ""}))
    with pytest.raises(InvalidRequest, match="too many for EC2"):
        restored(world)


def test_template_is_an_image_of_what_the_snapshot_holds_and_keeps_ec2s_snapshot(world: Restoring) -> None:
    task = run(world.ports, templated(world, TemplateWish("golden", "from the page")).id)
    made = world.all_is_well(task.id)
    [image] = world.disks.registered.values()
    assert (image.id, image.name, image.snapshot_ids) == (made.result_id, "golden", (made.target_id,))
    assert image.tags["tidemark:restored-from"] == world.snapshot.id


def test_template_nobody_named_has_the_name_of_its_snapshot_and_a_second_one_a_number(world: Restoring) -> None:
    first = run(world.ports, templated(world).id)
    second = templated(world)
    assert first.making is not None
    assert second.making is not None
    assert (first.making.name, second.making.name) == (world.snapshot.name, f"{world.snapshot.name}-2")


def test_template_with_a_name_that_is_taken_is_refused_and_nothing_is_begun(world: Restoring) -> None:
    world.disks.registered["ami-1"] = MachineImage("ami-1", "golden", "available")
    with pytest.raises(TemplateNameTaken) as refused:
        templated(world, TemplateWish("golden"))
    assert refused.value.image_id == "ami-1"
    assert world.workflows.started[1:] == []


@pytest.mark.parametrize("name", ["ab", "a" * 129, "käse", "a\nb"])
def test_name_that_no_image_can_have_is_refused(world: Restoring, name: str) -> None:
    with pytest.raises(InvalidRequest, match="3 to 128 characters"):
        templated(world, TemplateWish(name))


def test_image_of_nothing_but_zeros_is_restored_without_a_block_written() -> None:
    world = Restoring()
    world.held.clear()
    task = world.begin(Operation.RESTORE)
    assert writing.begin(world.ports, TEST_AREA, task.id).shards == []
    run(world.ports, task.id)
    world.all_is_well(task.id)


# --- what is asked for


@operations
def test_request_begins_a_task_that_uses_the_snapshot(world: Restoring, operation: Operation) -> None:
    task = world.begin(operation)
    assert (task.operation, task.status, task.version) == (operation, TaskStatus.PENDING, 1)
    assert world.task(task.id) == task
    assert world.record(world.snapshot.id).used_by == {f"task {task.id}"}
    started = world.workflows.started[-1]
    assert (started.subject, started.attempt) == (task.id, 1)
    with pytest.raises(SnapshotInUse, match=task.id):
        delete_volume_snapshot(world.ports, TEST_AREA, world.snapshot.id)


@operations
def test_snapshot_that_is_not_stored_or_not_there_is_refused_and_nothing_is_begun(operation: Operation) -> None:
    world = Restoring()
    running = world.ask()
    ask: Callable[..., Task] = restore_volume_snapshot
    wish: Any = RestoreWish()
    if operation is Operation.CREATE_TEMPLATE:
        ask, wish = create_volume_template, TemplateWish()
    with pytest.raises(WrongState) as refused:
        ask(world.ports, TEST_AREA, running, wish)
    assert refused.value.subject_id == running
    with pytest.raises(VolumeSnapshotNotFound):
        ask(world.ports, TEST_AREA, "33a27b8d-5a27-42a5-aec4-37606e372bda", wish)
    with pytest.raises(EnvironmentNotFound):
        ask(world.ports, "compute-on/other", running, wish)
    assert [one.subject for one in world.workflows.started] == [running]


def test_task_has_failed_when_its_execution_could_not_be_started(world: Restoring) -> None:
    tried: list[str] = []

    class Refusing(Numbered):
        def start_volume_restore(self, environment: EnvironmentId, task_id: str, *, attempt: int) -> None:
            del environment, attempt
            tried.append(task_id)
            raise Throttled("Step Functions is busy")

    ports = replace(world.ports, workflows=Refusing(world.ports.workflows, Counter()))
    with pytest.raises(Throttled):
        restore_volume_snapshot(ports, TEST_AREA, world.snapshot.id, RestoreWish())
    failure = world.task(tried[0]).failure
    assert failure is not None
    assert failure.code == "Throttled"
    assert world.record(world.snapshot.id).used_by == frozenset()


@operations
@pytest.mark.parametrize("days", [0, 1], ids=["same day", "next day"])
def test_request_that_is_sent_again_begins_no_second_task(world: Restoring, operation: Operation, days: int) -> None:
    asked = Asked("key", "content")

    def ask(asked: Asked = asked) -> Task:
        if operation is Operation.RESTORE:
            return restore_volume_snapshot(world.ports, TEST_AREA, world.snapshot.id, RestoreWish(), asked=asked)
        return create_volume_template(world.ports, TEST_AREA, world.snapshot.id, TemplateWish(), asked=asked)

    first = ask()
    clock_of(world).advance(days * 23 * 3600)
    assert ask().id == first.id
    assert ask(Asked("another", "content")).id != first.id
    with pytest.raises(KeyReused):
        ask(Asked("key", "other content"))
    run(world.ports, first.id)
    assert ask() == world.task(first.id)
    clock_of(world).advance(25 * 3600)
    assert ask().id != first.id


def test_request_whose_task_failed_begins_another_one(world: Restoring) -> None:
    asked = Asked("key", "content")

    def ask() -> Task:
        return restore_volume_snapshot(world.ports, TEST_AREA, world.snapshot.id, RestoreWish(), asked=asked)

    first = ask()
    making.abort(world.ports, first.id, FAILURE)
    again = ask()
    assert again.id != first.id
    assert run(world.ports, again.id).status is TaskStatus.SUCCESS


# --- how it goes on


def test_worker_whose_time_is_over_hands_over_and_the_next_one_goes_on_from_there() -> None:
    world = Restoring()
    world.change(**{f"b{index}": body(index) for index in range(100, 150)})
    task = world.begin(Operation.RESTORE)
    writing.begin(world.ports, TEST_AREA, task.id)
    written: list[int] = []
    disks = world.disks.region

    class Noting(Numbered):
        def write(self, snapshot_id: str, block: Any) -> None:
            written.append(block.index)
            disks.blocks.write(snapshot_id, block)

    region = disks._replace(blocks=Noting(disks.blocks, Counter()))
    ports = replace(world.ports, region=lambda _name: region)
    calls = [writing.write_shard(ports, TEST_AREA, task.id, shard=0, budget_s=0) for _ in range(4)]
    assert calls == [False, False, False, True]
    assert written == [0, 7, *range(100, 150)]
    assert writing.write_shard(ports, TEST_AREA, task.id, shard=0, budget_s=0)
    assert written == [0, 7, *range(100, 150)]
    run(world.ports, task.id)
    world.all_is_well(task.id)


def test_late_note_of_a_worker_that_was_overtaken_fails_no_task(world: Restoring) -> None:
    task = restored(world)
    shards = writing.begin(world.ports, TEST_AREA, task.id).shards
    for shard in shards:
        writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
    writing.complete(world.ports, TEST_AREA, task.id)
    target_id = world.task(task.id).target_id
    for shard in shards:
        name, until = f"write-{target_id}-{shard}", world.ports.clock.now()
        world.ports.catalog.note_done(image_owner(TEST_AREA), name, 0, 0, until=until)
    assert run(world.ports, task.id).status is TaskStatus.SUCCESS
    world.all_is_well(task.id)


def test_task_waits_for_ec2_and_longer_each_time(world: Restoring) -> None:
    task = restored(world)
    world.disks.pending = world.disks.making = True
    waits: list[int] = []

    def waiting() -> None:
        step = making.make_volume if world.task(task.id).made_id else writing.await_target
        waits.append(step(world.ports, TEST_AREA, task.id).wait_s)
        clock_of(world).advance(120)
        if len(waits) == 3:
            world.disks.settle(world.task(task.id).target_id or "")
        if len(waits) == 60:
            made_id = world.task(task.id).made_id or ""
            world.disks.disks[made_id] = replace(world.disks.disks[made_id], state="available")

    run(world.ports, task.id, waiting)
    world.all_is_well(task.id)
    assert waits[:3] == [2, 12, 24]
    assert waits == sorted(waits)
    assert waits[-1] == 300


def test_task_that_ec2_never_ends_is_given_up(world: Restoring) -> None:
    task = restored(world)
    world.disks.pending = True
    ended = run(world.ports, task.id, lambda: clock_of(world).advance(24 * 3600))
    assert ended.failure is not None
    assert "in 7 days" in ended.failure.message
    world.all_is_well(task.id)


def test_task_fails_where_ec2_could_not_make_the_snapshot_or_the_volume(world: Restoring) -> None:
    first = restored(world)
    world.disks.pending = True

    def spoilt() -> None:
        held = world.disks.held[world.task(first.id).target_id or ""]
        held.told = replace(held.told, state=DiskState.FAILED, reason="a key of KMS is disabled")

    ended = run(world.ports, first.id, spoilt)
    world.disks.pending = False
    second = restored(world)
    world.disks.making = True

    def broken() -> None:
        made_id = world.task(second.id).made_id or ""
        world.disks.disks[made_id] = replace(world.disks.disks[made_id], state="error")

    failed = run(world.ports, second.id, broken)
    assert [one.failure and one.failure.code for one in (ended, failed)] == ["DiskSnapshotFailed", "VolumeNotMade"]


@operations
def test_damaged_block_stops_the_task_and_is_named(world: Restoring, operation: Operation) -> None:
    task = world.begin(operation)
    objects: dict[str, bytes] = world.ports.payloads.objects  # type: ignore[attr-defined]
    assert world.snapshot.image is not None
    key = manifests.read(world.ports.payloads, world.snapshot.image.manifest).shards[1].layers[0].packs[0].key
    objects[key] = objects[key][:1000] + bytes([objects[key][1000] ^ 1]) + objects[key][1001:]
    ended = run(world.ports, task.id)
    assert ended.failure is not None
    assert ended.failure.code == "PackCorrupt"
    assert f"block {OTHER_SHARD} " in ended.failure.message
    world.all_is_well(task.id)


def test_volume_that_somebody_uses_by_now_stays_though_its_task_failed(world: Restoring) -> None:
    task = restored(world)
    for shard in writing.begin(world.ports, TEST_AREA, task.id).shards:
        writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
    writing.complete(world.ports, TEST_AREA, task.id)
    making.make_volume(world.ports, TEST_AREA, task.id)
    made_id = world.task(task.id).made_id or ""
    world.disks.attach(made_id, "i-1", "/dev/sdf", name="one", root_device="/dev/sda1")
    cancel_task(world.ports, TEST_AREA, task.id)
    assert made_id in world.disks.disks
    world.nothing_is_left()


# --- how it stands


def test_task_tells_of_the_volume_that_it_made_for_as_long_as_that_is_there(world: Restoring) -> None:
    task = restored(world)
    assert get_task(world.ports, TEST_AREA, task.id) == (task, None)
    made = run(world.ports, task.id)
    found = get_task(world.ports, TEST_AREA, task.id).made
    assert isinstance(found, Volume)
    assert found.id == made.result_id == volume_id(REGION, made.made_id or "")
    del world.disks.disks[made.made_id or ""]
    assert get_task(world.ports, "*", task.id) == (made, None)


def test_task_of_another_environment_is_neither_shown_nor_cancelled(world: Restoring) -> None:
    task = restored(world)
    for ask in (get_task, cancel_task):
        with pytest.raises(TaskNotFound):
            ask(world.ports, "compute-on/other", task.id)
    with pytest.raises(TaskNotFound):
        writing.complete(world.ports, "compute-on/other", task.id)
    assert world.task(task.id).status is TaskStatus.PENDING


# --- how it is cancelled


@operations
def test_cancelled_task_has_failed_and_leaves_nothing(world: Restoring, operation: Operation) -> None:
    task = world.begin(operation)
    begun = writing.begin(world.ports, TEST_AREA, task.id)
    writing.write_shard(world.ports, TEST_AREA, task.id, shard=begun.shards[0])
    cancelled = cancel_task(world.ports, TEST_AREA, task.id)
    assert (cancelled.status, cancelled.failure and cancelled.failure.code) == (TaskStatus.FAILED, "TaskCancelled")
    world.all_is_well(task.id)
    assert cancel_task(world.ports, TEST_AREA, task.id) == cancelled
    for step in (writing.complete, writing.await_target, making.make_volume, making.register_image):
        with pytest.raises(TaskEnded):
            step(world.ports, TEST_AREA, task.id)
    with pytest.raises(TaskEnded):
        writing.write_shard(world.ports, TEST_AREA, task.id, shard=begun.shards[1])


@operations
def test_worker_stops_before_its_next_blocks_once_the_task_is_cancelled(world: Restoring, operation: Operation) -> None:
    task = world.begin(operation)
    writing.begin(world.ports, TEST_AREA, task.id)
    task_reads = 0
    volumes = world.ports.volumes

    class Cancelling(Numbered):
        def task(self, task_id: str) -> Task:
            nonlocal task_reads
            task_reads += 1
            if task_reads == 2:
                cancel_task(world.ports, TEST_AREA, task_id)
            return volumes.task(task_id)

    ports = replace(world.ports, volumes=Cancelling(volumes, Counter()))
    with pytest.raises(TaskEnded):
        writing.write_shard(ports, TEST_AREA, task.id, shard=0)


def test_task_that_is_over_is_not_cancelled(world: Restoring) -> None:
    done, failed = run(world.ports, restored(world).id), restored(world)
    making.abort(world.ports, failed.id, FAILURE)
    for task in (done, failed):
        with pytest.raises(WrongState, match="is over"):
            cancel_task(world.ports, TEST_AREA, task.id)
    assert world.task(done.id) == done


def test_task_that_makes_or_deletes_a_snapshot_is_not_cancelled(world: Restoring) -> None:
    running = world.record(world.ask())
    with pytest.raises(WrongState, match="to create a snapshot, which can't be cancelled") as refused:
        cancel_task(world.ports, TEST_AREA, running.task_id or "")
    assert refused.value.subject == "task"
    assert world.record(running.id).running
    deletion = delete_volume_snapshot(world.ports, TEST_AREA, world.snapshot.id)
    with pytest.raises(WrongState, match="can't be cancelled"):
        cancel_task(world.ports, TEST_AREA, deletion.id)


def test_cancelling_can_be_repeated_while_ec2_still_makes_the_volume(world: Restoring) -> None:
    task = restored(world)
    for shard in writing.begin(world.ports, TEST_AREA, task.id).shards:
        writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
    writing.complete(world.ports, TEST_AREA, task.id)
    world.disks.making = True
    assert not making.make_volume(world.ports, TEST_AREA, task.id).ready
    with pytest.raises(Throttled):
        cancel_task(world.ports, TEST_AREA, task.id)
    told = get_task(world.ports, "*", task.id).task.failure
    assert told is not None
    # The volume is still there.
    assert "is left" not in told.message
    assert "by the next collection" in told.message
    made_id = world.task(task.id).made_id or ""
    world.disks.disks[made_id] = replace(world.disks.disks[made_id], state="available")
    assert cancel_task(world.ports, TEST_AREA, task.id).status is TaskStatus.FAILED
    world.all_is_well(task.id)


# --- what is closed


@operations
def test_task_whose_execution_was_stopped_is_driven_on(world: Restoring, operation: Operation) -> None:
    task = world.begin(operation)
    writing.begin(world.ports, TEST_AREA, task.id)
    assert close_volume_restores(world.ports, TEST_AREA) == (0, 1, ())
    assert world.workflows.started[-1].attempt == 1
    world.stop(task)
    assert close_volume_restores(world.ports, TEST_AREA) == (0, 1, ())
    assert (world.workflows.started[-1].subject, world.workflows.started[-1].attempt) == (task.id, 2)
    run(world.ports, task.id)
    world.all_is_well(task.id)
    assert close_volume_restores(world.ports, TEST_AREA) == (0, 0, ())


def test_what_a_task_left_that_is_over_is_removed_and_what_it_made_stays(world: Restoring) -> None:
    done, image = run(world.ports, restored(world).id), run(world.ports, templated(world).id)
    left_id = world.disks.start(1, token="left", description="", tags=target_tags_of(done))
    assert close_volume_restores(world.ports, TEST_AREA) == (1, 0, ())
    assert left_id not in world.disks.held
    assert {done.made_id, world.source_id} == set(world.disks.disks)
    assert image.target_id in world.disks.held


@operations
@pytest.mark.parametrize("ended", ["done", "cancelled"])
def test_what_somebody_has_made_of_what_a_task_made_stays_though_it_bears_copies_of_its_tags(
    world: Restoring, operation: Operation, ended: str
) -> None:
    task = run(world.ports, world.begin(operation).id)
    if ended == "cancelled":
        cancelled = world.begin(operation)
        writing.begin(world.ports, TEST_AREA, cancelled.id)
        task = cancel_task(world.ports, TEST_AREA, cancelled.id)
    tags = tags_of(task)
    backup = world.disks.create_snapshot(world.source_id, description="a backup with the tags of its volume", tags=tags)
    copy = world.disks.create_snapshot(world.source_id, description="a copy of the image's", tags={})
    volume = world.disks.create_volume(backup.id, zone="eu-west-1a", kind="gp3", token="theirs", tags=tags)
    image_id = world.disks.register_image(copy.id, name="theirs", description="", tags=tags)
    assert close_volume_restores(world.ports, TEST_AREA) == (0, 0, ())
    end(world.ports, task)
    assert {backup.id, copy.id} <= set(world.disks.held)
    assert volume.id in world.disks.disks
    assert image_id in world.disks.registered


def test_what_ec2_has_of_unknown_tasks_and_other_environments_stays(world: Restoring) -> None:
    for owner, task_id in ((str(TEST_AREA), "unknown"), ("a/b", "unknown")):
        tags = {"tidemark:environment": owner, "tidemark:task": task_id}
        world.disks.start(1, token=owner, description="", tags=tags)
        world.disks.add_volume(1, {}, tags)
    assert close_volume_restores(world.ports, TEST_AREA) == (0, 0, ())
    assert (len(world.disks.held), len(world.disks.disks)) == (2, 3)


@pytest.mark.parametrize("first", [True, False])
def test_task_that_can_not_be_closed_is_named_and_hides_no_other(world: Restoring, first: bool) -> None:
    done, other = sorted((run(world.ports, restored(world).id), run(world.ports, restored(world).id)), key=_id)
    stuck = done if first else other
    left_ids = [
        world.disks.start(1, token=one.id + ".", description="", tags=target_tags_of(one)) for one in (done, other)
    ]
    stuck_id = left_ids[0 if first else 1]
    world.disks.registered["ami-1"] = MachineImage("ami-1", "theirs", "available", (stuck_id,))
    ended, driven, problems = close_volume_restores(world.ports, TEST_AREA)
    assert (ended, driven, len(problems)) == (1, 0, 1)
    assert stuck.id in problems[0]
    assert set(left_ids) & set(world.disks.held) == {stuck_id}
    report = collect_images(world.ports, TEST_AREA)
    assert [one for one in report.problems if stuck.id in one]


def test_use_of_a_task_that_is_no_more_is_taken_off(world: Restoring) -> None:
    using = world.record(world.snapshot.id).using("task 33a27b8d-5a27-42a5-aec4-37606e372bda")
    world.ports.volumes.replace_volume_snapshot(using)
    assert close_volume_restores(world.ports, TEST_AREA) == (1, 0, ())
    assert world.record(world.snapshot.id).used_by == frozenset()


def test_deletion_takes_off_the_use_of_a_task_that_is_over_and_died_before_it_did(world: Restoring) -> None:
    task = run(world.ports, restored(world).id)
    using = world.record(world.snapshot.id).using(f"task {task.id}")
    world.ports.volumes.replace_volume_snapshot(using)
    assert delete_volume_snapshot(world.ports, TEST_AREA, world.snapshot.id).status is TaskStatus.PENDING
