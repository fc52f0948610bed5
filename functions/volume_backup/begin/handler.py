"""Volume backup, Begin: let EC2 take its snapshot of the volume as it is at this moment."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_phases.backup import begin


class Input(EnvironmentStep, frozen=True):
    """Which backup."""

    snapshot_id: str


@task("BeginVolumeBackup", Input)
def handler(step: Input, context: Context) -> Result:
    """`over` is true when the backup has ended already."""
    snapshot = begin(bootstrap.ports(), step.environment, step.snapshot_id)
    return {"state": snapshot.state, "over": not snapshot.running}
