"""Transfer, MergeShards: merge the layers of one shard into plain objects for an export."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.transfer_phases import merge_shard


class Input(Step, frozen=True):
    """Which shard for which export."""

    snapshot_id: str
    transfer_id: str
    attempt: int
    shard: int


@task("MergeShard", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that the shard holds."""
    records = merge_shard(
        bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt, shard=step.shard
    )
    return {"records": records}
