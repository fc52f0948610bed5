"""Volume restore, Begin: start a snapshot of EC2's that the image is written to, and list the work."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_restore_phases.writing import begin


class Input(EnvironmentStep, frozen=True):
    """Which task."""

    task_id: str


@task("BeginVolumeRestore", Input)
def handler(step: Input, context: Context) -> Result:
    """What is to be made, how many shards hold anything, and where the list of them is; `over`: it is over already."""
    begun = begin(bootstrap.ports(), step.environment, step.task_id)
    return {
        "operation": begun.operation,
        "shards": len(begun.shards),
        "workKey": begun.work_key,
        "over": begun.over,
    }
