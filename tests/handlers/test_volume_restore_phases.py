"""The functions of restores and templates: what their state machine is told, and what they refuse to be told."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.volume_restore.abort import handler as abort
from functions.volume_restore.await_target import handler as await_target
from functions.volume_restore.begin import handler as begin
from functions.volume_restore.complete import handler as complete
from functions.volume_restore.finish import handler as finish
from functions.volume_restore.make_volume import handler as make_volume
from functions.volume_restore.register_image import handler as register_image
from functions.volume_restore.write_shard import handler as write_shard
from tests.handlers.phases import Handler, Left
from tests.handlers.phases import run as run_phase
from tests.handlers.rest import sample
from tests.unit.volumes.restoring import Restoring
from tidemark import bootstrap
from tidemark.domain.task import Operation
from tidemark.errors import InvalidRequest, TaskEnded, TaskNotFound

HANDLERS: dict[str, Handler] = {
    "volume_restore/begin": begin.handler,
    "volume_restore/write_shard": write_shard.handler,
    "volume_restore/complete": complete.handler,
    "volume_restore/await_target": await_target.handler,
    "volume_restore/make_volume": make_volume.handler,
    "volume_restore/register_image": register_image.handler,
    "volume_restore/finish": finish.handler,
    "volume_restore/abort": abort.handler,
}


@pytest.fixture
def world() -> Iterator[Restoring]:
    found = Restoring()
    with bootstrap.use(found.ports):
        yield found


def phase(name: str, task_id: str, **said: Any) -> dict[str, Any]:
    return dict(run_phase(HANDLERS[f"volume_restore/{name}"], "volume_restore", name, taskId=task_id, **said))


def written(world: Restoring, operation: Operation) -> str:
    """A task whose image is written."""
    task_id = world.begin(operation).id
    assert phase("begin", task_id) == {
        "operation": operation,
        "shards": 2,
        "workKey": f"work-lists/volume-restores/{task_id}.json",
        "over": False,
    }
    assert [phase("write_shard", task_id, shard=shard) for shard in (0, 1)] == [{"done": True}] * 2
    assert phase("complete", task_id) == {"completed": True}
    assert phase("await_target", task_id) == {"ready": True, "waitSeconds": 0}
    return task_id


def test_phases_restore_a_volume(world: Restoring) -> None:
    task_id = written(world, Operation.RESTORE)
    world.disks.making = True
    assert phase("make_volume", task_id) == {"ready": False, "waitSeconds": 2}
    made_id = world.task(task_id).made_id or ""
    world.disks.disks[made_id] = replace(world.disks.disks[made_id], state="available")
    assert phase("make_volume", task_id)["ready"] is True
    assert phase("finish", task_id) == {"status": "success", "madeId": made_id}
    world.all_is_well(task_id)
    assert phase("begin", task_id)["over"] is True


def test_phases_make_a_template(world: Restoring) -> None:
    task_id = written(world, Operation.CREATE_TEMPLATE)
    assert phase("register_image", task_id) == {"ready": True, "waitSeconds": 0}
    [image_id] = world.disks.registered
    assert phase("finish", task_id) == {"status": "success", "madeId": image_id}
    world.all_is_well(task_id)


def test_phases_record_why_a_task_failed(world: Restoring) -> None:
    task_id = world.begin(Operation.RESTORE).id
    phase("begin", task_id)
    told = phase("abort", task_id)
    assert (told["status"], told["error"]) == ("failed", "PackCorrupt")
    assert told["message"].startswith("block 7 in pack volume-images/")
    assert phase("abort", task_id, error="States.Timeout", cause="") == told
    with pytest.raises(TaskEnded):
        phase("write_shard", task_id, shard=0)
    world.all_is_well(task_id)


def test_shard_that_is_not_written_in_time_is_handed_over(world: Restoring) -> None:
    world.change(**{f"b{index}": bytes([index]) * 524288 for index in range(100, 140)})
    task_id = world.begin(Operation.RESTORE).id
    phase("begin", task_id)
    event = {**sample("volume_restore", "write_shard"), "taskId": task_id, "shard": 0}
    answers = [write_shard.handler(event, Left(1_000)) for _ in range(4)]
    assert answers == [{"done": False}, {"done": False}, {"done": True}, {"done": True}]


@pytest.mark.parametrize("name", sorted(HANDLERS))
def test_phase_refuses_what_its_machine_does_not_send(world: Restoring, name: str) -> None:
    del world
    event = sample(*name.split("/"))
    for wrong in ({**event, "tenant": "x"}, {key: event[key] for key in event if key != "taskId"}):
        with pytest.raises(InvalidRequest):
            HANDLERS[name](wrong, Left())


@pytest.mark.parametrize("name", sorted(HANDLERS))
def test_sample_event_is_of_a_task_that_is_not_there(world: Restoring, name: str) -> None:
    del world
    with pytest.raises(TaskNotFound):
        HANDLERS[name](sample(*name.split("/")), Left())
