"""Capture, CountShards: count what a restore would do to one shard as of the cut."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.dry_run_phases import count_shard


class Input(Step, frozen=True):
    """`token` is the fencing token of the lease under which the shard is counted."""

    plan_id: str
    token: int
    shard: int


@task("CountShard", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that the restore would leave, make or delete in the shard."""
    return {"records": count_shard(bootstrap.ports(), step.tenant, step.plan_id, token=step.token, shard=step.shard)}
