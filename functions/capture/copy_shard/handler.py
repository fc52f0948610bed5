"""Capture, CopyShards, and restore, Preserve: store what one shard held at the cut."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.capture_phases import copy_shard


class Input(Step, frozen=True):
    """`token` is the fencing token of the lease under which the shard is copied."""

    snapshot_id: str
    token: int
    shard: int


@task("CopyShard", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that the shard holds in the snapshot."""
    records = copy_shard(bootstrap.ports(), step.tenant, step.snapshot_id, token=step.token, shard=step.shard)
    return {"records": records}
