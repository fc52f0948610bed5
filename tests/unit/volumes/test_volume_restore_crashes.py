"""A restore or template is killed at any of its calls, runs twice, is cancelled, or runs on after it is over: what it
made is whole, or is not there, and nothing else of it is left at EC2.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.unit.engine.disturbed import Counter, Death, Numbered
from tests.unit.volumes.examples import FAILURE, TEST_AREA
from tests.unit.volumes.restoring import Restoring, run
from tests.unit.volumes.test_volume_backup_crashes import Interrupted
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.errors import TaskNotFound, TidemarkError
from tidemark.usecases.cancel_task import cancel_task
from tidemark.usecases.close_volume_restores import close_volume_restores
from tidemark.usecases.restore_volume_snapshot import (
    RestoreWish,
    TemplateWish,
    create_volume_template,
    restore_volume_snapshot,
)
from tidemark.usecases.volume_restore_phases import making, writing

operations = pytest.mark.parametrize("operation", [Operation.RESTORE, Operation.CREATE_TEMPLATE])
dying = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
STEPS: list[Callable[..., object]] = [writing.begin, writing.complete, making.make_volume, making.register_image]


def calls_of(operation: Operation) -> int:
    world = Restoring()
    task = world.begin(operation)
    counter = Counter()
    run(world.numbered(counter), task.id)
    return counter.calls


def cancel(world: Restoring, task_id: str) -> None:
    with suppress(TidemarkError):
        cancel_task(world.ports, TEST_AREA, task_id)


@operations
@dying
def test_task_is_done_when_it_died_at_any_call_and_is_run_again(after: bool, operation: Operation) -> None:
    for fatal in range(1, calls_of(operation) + 1):
        world = Restoring()
        task = world.begin(operation)
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), task.id)
        assert run(world.ports, task.id).status is TaskStatus.SUCCESS, fatal
        world.all_is_well(task.id)


@operations
@dying
def test_nothing_is_left_when_a_task_died_at_any_call_and_is_cancelled(after: bool, operation: Operation) -> None:
    for fatal in range(1, calls_of(operation) + 1):
        world = Restoring()
        task = world.begin(operation)
        with pytest.raises(Death):
            run(world.numbered(Counter(fatal, after=after)), task.id)
        succeeded = world.task(task.id).status is TaskStatus.SUCCESS
        cancel(world, task.id)
        world.stop(task)
        close_volume_restores(world.ports, TEST_AREA)
        assert (world.all_is_well(task.id).status is TaskStatus.SUCCESS) == succeeded
        # A second one is made of the same snapshot.
        again = world.begin(operation)
        assert run(world.ports, again.id).status is TaskStatus.SUCCESS


@operations
@dying
def test_giving_up_is_made_up_for_when_it_died_at_any_call(after: bool, operation: Operation) -> None:
    def made() -> tuple[Restoring, Task]:
        make = making.make_volume if operation is Operation.RESTORE else making.register_image
        world = Restoring()
        task = world.begin(operation)
        for shard in writing.begin(world.ports, TEST_AREA, task.id).shards:
            writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
        writing.complete(world.ports, TEST_AREA, task.id)
        make(world.ports, TEST_AREA, task.id)
        return world, task

    counter = Counter()
    world, task = made()
    making.abort(world.numbered(counter), task.id, FAILURE)
    for fatal in range(1, counter.calls + 1):
        world, task = made()
        with pytest.raises(Death):
            making.abort(world.numbered(Counter(fatal, after=after)), task.id, FAILURE)
        world.stop(task)
        close_volume_restores(world.ports, TEST_AREA)
        if world.task(task.id).status is TaskStatus.PENDING:
            # It was seen to be driven on.
            run(world.ports, task.id)
        world.all_is_well(task.id)


@operations
@pytest.mark.parametrize("cancelled", [False, True], ids=["finished", "cancelled"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_late_run_leaves_nothing_when_the_task_was_ended_at_any_of_its_calls(
    late: bool, cancelled: bool, operation: Operation
) -> None:
    for at in range(1, calls_of(operation) + 1):
        world = Restoring()
        task = world.begin(operation)

        def happens(world: Restoring = world, task_id: str = task.id) -> None:
            if cancelled:
                cancel(world, task_id)
            else:
                run(world.ports, task_id)

        counter = Interrupted(at, happens, late=late)
        run(world.numbered(counter), task.id)
        ended = world.all_is_well(task.id)
        if not cancelled:
            assert ended.status is TaskStatus.SUCCESS, at


@operations
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_step_that_finds_its_task_cancelled_takes_back_what_it_did(
    step: Callable[..., object], late: bool, operation: Operation
) -> None:
    wrong = making.register_image if operation is Operation.RESTORE else making.make_volume
    if step is wrong:
        return
    at, calls = 0, 1
    while at < calls:
        at += 1
        world = Restoring()
        task = world.begin(operation)
        if step is not writing.begin:
            for shard in writing.begin(world.ports, TEST_AREA, task.id).shards:
                writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
        if step in {making.make_volume, making.register_image}:
            writing.complete(world.ports, TEST_AREA, task.id)
        counter = Interrupted(at, partial(cancel, world, task.id), late=late)
        with suppress(TidemarkError):
            step(world.numbered(counter), TEST_AREA, task.id)
        calls = max(calls, counter.calls)
        if counter.calls < at:
            continue
        assert world.all_is_well(task.id).status is TaskStatus.FAILED


class Registering(Numbered):
    """A catalog that tells which tasks it is to register."""

    def __init__(self, volumes: Any, registered: list[str]) -> None:
        super().__init__(volumes, Counter())
        self._registered = registered

    def add_task(self, task: Task) -> Task:
        self._registered.append(task.id)
        added: Task = self._port.add_task(task)
        return added

    def replace_volume_snapshot(self, snapshot: Any, task: Task | None = None) -> Any:
        if task is not None:
            self._registered.append(task.id)
        return self._port.replace_volume_snapshot(snapshot, task)


def _is_there(world: Restoring, task_id: str) -> bool:
    try:
        world.task(task_id)
    except TaskNotFound:
        return False
    return True


@operations
@dying
def test_request_that_died_at_any_call_has_begun_nothing_or_is_driven_on(after: bool, operation: Operation) -> None:
    counter, probe = Counter(), Restoring()
    _ask(probe.numbered(counter), probe.snapshot.id, operation)
    for fatal in range(1, counter.calls + 1):
        world = Restoring()
        snapshot = world.snapshot
        registered: list[str] = []
        ports = world.numbered(Counter(fatal, after=after))
        ports = replace(ports, volumes=Registering(ports.volumes, registered))
        with pytest.raises(Death):
            _ask(ports, snapshot.id, operation)
        begun = [user.removeprefix("task ") for user in world.record(snapshot.id).used_by]
        assert begun == [one for one in registered if _is_there(world, one)]
        close_volume_restores(world.ports, TEST_AREA)
        assert [one.subject for one in world.workflows.started[1:]] == begun
        for task_id in begun:
            assert run(world.ports, task_id).status is TaskStatus.SUCCESS
            world.all_is_well(task_id)


def _ask(ports: Any, snapshot_id: str, operation: Operation) -> None:
    if operation is Operation.RESTORE:
        restore_volume_snapshot(ports, TEST_AREA, snapshot_id, RestoreWish())
    else:
        create_volume_template(ports, TEST_AREA, snapshot_id, TemplateWish())


class Dying(Numbered):
    """A region in which a request cancels the task, and dies then, before EC2 makes anything."""

    def __init__(self, disks: Any, dies: Callable[[], object]) -> None:
        super().__init__(disks, Counter())
        self._dies = dies

    def _asked(self, name: str) -> Callable[..., Any]:
        def asked(*args: Any, **named: Any) -> Any:
            self._dies()
            return getattr(self._port, name)(*args, **named)

        return asked

    @property
    def start(self) -> Callable[..., Any]:
        return self._asked("start")

    @property
    def create_volume(self) -> Callable[..., Any]:
        return self._asked("create_volume")

    @property
    def register_image(self) -> Callable[..., Any]:
        return self._asked("register_image")


@pytest.mark.parametrize(
    ("step", "operation"),
    [
        (writing.begin, Operation.RESTORE),
        (making.make_volume, Operation.RESTORE),
        (making.register_image, Operation.CREATE_TEMPLATE),
    ],
    ids=["begin", "make_volume", "register_image"],
)
def test_step_takes_back_what_it_made_of_a_task_whose_cancelling_died(
    step: Callable[..., object], operation: Operation
) -> None:
    world = Restoring()
    task = world.begin(operation)
    if step is not writing.begin:
        for shard in writing.begin(world.ports, TEST_AREA, task.id).shards:
            writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
        writing.complete(world.ports, TEST_AREA, task.id)
    held = set(world.disks.held)

    def dies() -> None:
        record = world.task(task.id)
        world.ports.volumes.replace_task(record.failed(FAILURE, record.created_at))

    dying_disks = Dying(world.disks, dies)
    region = world.disks.region._replace(disks=dying_disks, blocks=dying_disks)
    with suppress(TidemarkError):
        step(replace(world.ports, region=lambda _name: region), TEST_AREA, task.id)
    assert world.task(task.id).status is TaskStatus.FAILED
    assert (set(world.disks.held), set(world.disks.disks), world.disks.registered) == (held, {world.source_id}, {})


class Asking(Numbered):
    """Disks that let something else happen before they are asked for a volume, whose tags nobody sees yet."""

    def __init__(self, disks: Any, happens: Callable[[], object]) -> None:
        super().__init__(disks, Counter())
        self._happens = happens

    def create_volume(self, *args: Any, **named: Any) -> Any:
        self._happens()
        return self._port.create_volume(*args, **{**named, "token": "another"})


def test_second_volume_is_removed_when_two_runs_do_not_see_each_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Restoring()
    task = world.begin(Operation.RESTORE)
    for shard in writing.begin(world.ports, TEST_AREA, task.id).shards:
        writing.write_shard(world.ports, TEST_AREA, task.id, shard=shard)
    writing.complete(world.ports, TEST_AREA, task.id)
    region = world.disks.region
    disks = Asking(region.disks, lambda: making.make_volume(world.ports, TEST_AREA, task.id))
    monkeypatch.setattr(world.disks, "volumes", lambda _tags: iter(()))
    making.make_volume(replace(world.ports, region=lambda _name: region._replace(disks=disks)), TEST_AREA, task.id)
    monkeypatch.undo()
    making.finish(world.ports, TEST_AREA, task.id)
    world.all_is_well(task.id)
