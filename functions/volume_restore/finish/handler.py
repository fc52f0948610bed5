"""Volume restore, Finish: record what was made, and remove what is not needed any more."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_restore_phases.making import finish


class Input(EnvironmentStep, frozen=True):
    """Which task."""

    task_id: str


@task("FinishVolumeRestore", Input)
def handler(step: Input, context: Context) -> Result:
    """How the task has ended, and what EC2 calls what it has made."""
    ended = finish(bootstrap.ports(), step.environment, step.task_id)
    return {"status": ended.status, "madeId": ended.made_id}
