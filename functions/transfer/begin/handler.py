"""Transfer, Begin: take a copy, export or import over, and say what there is to do."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.transfer_phases import begin


class Input(Step, frozen=True):
    """`attempt` counts the executions of this transfer, from 1."""

    snapshot_id: str
    transfer_id: str
    attempt: int


@task("BeginTransfer", Input)
def handler(step: Input, context: Context) -> Result:
    """`over` is true when the transfer has ended already."""
    begun = begin(bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt)
    return {"kind": begun.kind, "shards": begun.shards, "files": begun.files, "over": begun.over}
