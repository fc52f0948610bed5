"""Volume restore, WriteShards: write the blocks of one shard of the image to EC2's snapshot."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, budget_s, task
from tidemark.usecases.volume_restore_phases.writing import write_shard


class Input(EnvironmentStep, frozen=True):
    """Which shard for which task."""

    task_id: str
    shard: int


@task("WriteShard", Input)
def handler(step: Input, context: Context) -> Result:
    """`done` is false when the time was not enough: call again, and it goes on from where it came to."""
    ports, budget = bootstrap.ports(), budget_s(context)
    return {"done": write_shard(ports, step.environment, step.task_id, shard=step.shard, budget_s=budget)}
