"""Volume backup, ReadBack: read every byte that was stored of one range, and hold it against the manifest."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, task
from tidemark.usecases.volume_phases.backup import read_back


class Input(EnvironmentStep, frozen=True):
    """Which range of which backup."""

    snapshot_id: str
    shard: int


@task("ReadBack", Input)
def handler(step: Input, context: Context) -> Result:
    """How many bytes were read."""
    return {"sizeBytes": read_back(bootstrap.ports(), step.environment, step.snapshot_id, shard=step.shard)}
