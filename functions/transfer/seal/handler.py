"""Transfer, Seal: store the manifest of a copy or import, read everything back, complete the snapshot."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.transfer_phases import seal


class Input(Step, frozen=True):
    """Which copy or import."""

    snapshot_id: str
    transfer_id: str
    attempt: int


@task("SealTransfer", Input)
def handler(step: Input, context: Context) -> Result:
    """The snapshot as it stands in the catalog now."""
    snapshot = seal(bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt)
    return {"snapshotId": snapshot.id, "status": snapshot.status, "entityCount": snapshot.entity_count}
