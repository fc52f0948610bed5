"""Volume backup, Seal: store the manifest of the image, and read it back."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_phases.backup import seal


class Input(EnvironmentStep, frozen=True):
    """Which backup."""

    snapshot_id: str


@task("SealVolumeBackup", Input)
def handler(step: Input, context: Context) -> Result:
    """How many ranges are to be read back."""
    return {"ranges": len(seal(bootstrap.ports(), step.environment, step.snapshot_id))}
