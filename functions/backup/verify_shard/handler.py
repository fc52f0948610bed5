"""Verify, VerifyShards: read every byte of one shard back."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.verify_snapshot import verify_shard


class Input(Step, frozen=True):
    """One shard of the snapshot that is verified."""

    snapshot_id: str
    shard: int


@task("VerifyShard", Input)
def handler(step: Input, context: Context) -> Result:
    """How much was read and found good."""
    checked = verify_shard(bootstrap.ports(), step.tenant, step.snapshot_id, shard=step.shard)
    return {"packs": checked.packs, "sizeBytes": checked.size_bytes}
