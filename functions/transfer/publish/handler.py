"""Transfer, Publish: note the snapshot's digest, and that its export can be fetched."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.transfer_phases import publish


class Input(Step, frozen=True):
    """Which export."""

    snapshot_id: str
    transfer_id: str
    attempt: int


@task("Publish", Input)
def handler(step: Input, context: Context) -> Result:
    """The set digest of all entities of the snapshot."""
    digest = publish(bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt)
    return {"digest": digest}
