"""Transfer, BuildShards: merge what was sorted of one shard into a layer."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.transfer_phases import build_shard


class Input(Step, frozen=True):
    """Which shard of which import."""

    snapshot_id: str
    transfer_id: str
    attempt: int
    shard: int


@task("BuildShard", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that the shard holds."""
    records = build_shard(
        bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt, shard=step.shard
    )
    return {"records": records}
