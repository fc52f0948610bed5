"""Volume restore, RegisterImage: make a machine image of EC2's snapshot, and look whether it is ready."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_restore_phases.making import register_image


class Input(EnvironmentStep, frozen=True):
    """Which task."""

    task_id: str


@task("RegisterImage", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether it is ready, and otherwise for how long to wait before it is looked at again."""
    looked = register_image(bootstrap.ports(), step.environment, step.task_id)
    return {"ready": looked.ready, "waitSeconds": looked.wait_s}
