"""Volume restore, Complete: say that the whole image is written, which EBS holds against its checksum."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_restore_phases.writing import complete


class Input(EnvironmentStep, frozen=True):
    """Which task."""

    task_id: str


@task("CompleteVolumeRestore", Input)
def handler(step: Input, context: Context) -> Result:
    """Nothing but that it was said."""
    complete(bootstrap.ports(), step.environment, step.task_id)
    return {"completed": True}
