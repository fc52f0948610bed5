"""Volume backup, AwaitSource: look whether EC2's snapshot is completed, and then list the ranges to be copied."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_phases.backup import await_source


class Input(EnvironmentStep, frozen=True):
    """Which backup."""

    snapshot_id: str


@task("AwaitSource", Input)
def handler(step: Input, context: Context) -> Result:
    """Where the list of ranges lies once the source is `ready`; otherwise after how many seconds to ask again."""
    awaited = await_source(bootstrap.ports(), step.environment, step.snapshot_id)
    return {
        "ready": awaited.ready,
        "over": awaited.over,
        "ranges": len(awaited.shards),
        "workKey": awaited.work_key,
        "waitSeconds": awaited.wait_s,
    }
