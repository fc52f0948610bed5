"""Volume restore, MakeVolume: make a volume of EC2's snapshot, in the environment, and look whether it is ready."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_restore_phases.making import make_volume


class Input(EnvironmentStep, frozen=True):
    """Which task."""

    task_id: str


@task("MakeVolume", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether it is ready, and otherwise for how long to wait before it is looked at again."""
    looked = make_volume(bootstrap.ports(), step.environment, step.task_id)
    return {"ready": looked.ready, "waitSeconds": looked.wait_s}
