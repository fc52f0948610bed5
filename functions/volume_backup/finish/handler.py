"""Volume backup, Finish: record the snapshot as stored, and remove what it needed at EC2."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_phases.backup import finish


class Input(EnvironmentStep, frozen=True):
    """Which backup."""

    snapshot_id: str


@task("FinishVolumeBackup", Input)
def handler(step: Input, context: Context) -> Result:
    """How the snapshot stands now, and the bytes that it added."""
    snapshot = finish(bootstrap.ports(), step.environment, step.snapshot_id)
    return {"state": snapshot.state, "newBytes": snapshot.image.new_bytes if snapshot.image else 0}
