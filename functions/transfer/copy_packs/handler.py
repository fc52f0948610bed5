"""Transfer, CopyPacks: store the packs of one shard under the copy's own name."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.transfer_phases import copy_packs


class Input(Step, frozen=True):
    """Which shard of which copy."""

    snapshot_id: str
    transfer_id: str
    attempt: int
    shard: int


@task("CopyPacks", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that the shard holds."""
    records = copy_packs(
        bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt, shard=step.shard
    )
    return {"records": records}
