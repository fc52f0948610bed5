"""A snapshot of a volume in memory, and what the state machine of a restore or template does, step by step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.fakes import MemoryWorkflows
from tests.unit.volumes.backing import World
from tests.unit.volumes.examples import TEST_AREA
from tidemark.domain.environment import image_owner
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.volume import VolumeSnapshot, volume_id
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.restore_volume_snapshot import (
    RestoreWish,
    TemplateWish,
    create_volume_template,
    restore_volume_snapshot,
)
from tidemark.usecases.volume_restore_phases import making, writing

type Content = Mapping[int, bytes]


@dataclass
class Restoring(World):
    """`moment` is what the snapshot holds, though the volume has changed since."""

    moment: Content = field(default_factory=dict)

    @cached_property
    def snapshot(self) -> VolumeSnapshot:
        """A stored snapshot, whose volume has changed since."""
        self.moment = dict(self.held)
        made = self.take()
        self.change(b0=None)
        return made

    def begin(self, operation: Operation) -> Task:
        """A task that was asked for."""
        snapshot = self.snapshot
        if operation is Operation.RESTORE:
            return restore_volume_snapshot(self.ports, TEST_AREA, snapshot.id, RestoreWish())
        return create_volume_template(self.ports, TEST_AREA, snapshot.id, TemplateWish())

    def task(self, task_id: str) -> Task:
        return self.ports.volumes.task(task_id)

    @property
    def workflows(self) -> MemoryWorkflows:
        assert isinstance(self.ports.workflows, MemoryWorkflows)
        return self.ports.workflows

    def stop(self, task: Task, attempt: int = 1) -> None:
        """Let an execution be over without having ended its task."""
        self.workflows.end(image_owner(TEST_AREA), task.id, attempt=attempt)

    def all_is_well(self, task_id: str) -> Task:
        """The task, which is over: what it has made is whole, and nothing else of it is left."""
        task = self.task(task_id)
        assert task.status is not TaskStatus.PENDING
        succeeded = task.status is TaskStatus.SUCCESS
        made = {task.made_id} if succeeded else set()
        restored = made if task.operation is Operation.RESTORE else set()
        assert set(self.disks.disks) == {self.source_id} | restored, task
        assert set(self.disks.registered) == made - restored, task
        snapshots = {task.target_id} if succeeded and not restored else set()
        self.nothing_is_left(*snapshots)
        if restored:
            assert self.disks.content[task.made_id or ""] == self.moment
            assert task.result_id == volume_id("eu-west-1", task.made_id or "")
        for one in snapshots:
            assert self.disks.held[one or ""].content == self.moment
        return task


def run(ports: Ports, task_id: str, waiting: Callable[[], object] = lambda: None, *, budget_s: float = 600.0) -> Task:
    """What the state machine does; `waiting` is called while EC2 is not ready."""
    try:
        begun = writing.begin(ports, TEST_AREA, task_id)
        if not begun.over:
            for shard in begun.shards:
                while not writing.write_shard(ports, TEST_AREA, task_id, shard=shard, budget_s=budget_s):
                    pass
            writing.complete(ports, TEST_AREA, task_id)
            while not writing.await_target(ports, TEST_AREA, task_id).ready:
                waiting()
            make = making.make_volume if begun.operation is Operation.RESTORE else making.register_image
            while not make(ports, TEST_AREA, task_id).ready:
                waiting()
        return making.finish(ports, TEST_AREA, task_id)
    except TidemarkError as error:
        return making.abort(ports, task_id, Failure(error.code, error.message))
