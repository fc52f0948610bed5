"""Capture, Seal, and restore, SealSafetySnapshot: store the manifest, read everything back, complete the snapshot."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.capture_phases import seal


class Input(Step, frozen=True):
    """`token` is the fencing token of the lease under which the shards were copied."""

    snapshot_id: str
    token: int


@task("Seal", Input)
def handler(step: Input, context: Context) -> Result:
    """The snapshot as it stands in the catalog now."""
    snapshot = seal(bootstrap.ports(), step.tenant, step.snapshot_id, token=step.token)
    return {"snapshotId": snapshot.id, "status": snapshot.status, "entityCount": snapshot.entity_count}
