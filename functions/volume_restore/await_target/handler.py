"""Volume restore, AwaitTarget: look whether EC2's snapshot is completed."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_restore_phases.writing import await_target


class Input(EnvironmentStep, frozen=True):
    """Which task."""

    task_id: str


@task("AwaitTarget", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether it is ready, and otherwise for how long to wait before it is looked at again."""
    looked = await_target(bootstrap.ports(), step.environment, step.task_id)
    return {"ready": looked.ready, "waitSeconds": looked.wait_s}
