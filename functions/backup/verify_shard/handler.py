"""Verify, VerifyShards: read every byte of one shard back."""

from tidemark import bootstrap
from tidemark.tasks import Context, OwnerStep, Result, task
from tidemark.usecases.snapshot_owners import owner_named


class Input(OwnerStep, frozen=True):
    """One shard of the snapshot that is verified."""

    snapshot_id: str
    shard: int


@task("VerifyShard", Input)
def handler(step: Input, context: Context) -> Result:
    """How much was read and found good."""
    checked = owner_named(bootstrap.ports(), step.tenant).verify_shard(step.snapshot_id, step.shard)
    return {"packs": checked.packs, "sizeBytes": checked.size_bytes}
