"""Capture, Begin: take the lease, end the cut, and say what there is to copy."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.capture_phases import begin


class Input(Step, frozen=True):
    """`attempt` counts the executions of this capture, from 1."""

    snapshot_id: str
    capture_id: str
    attempt: int


@task("Begin", Input)
def handler(step: Input, context: Context) -> Result:
    """`over` is true when the capture has ended already."""
    begun = begin(bootstrap.ports(), step.tenant, step.snapshot_id, step.capture_id, attempt=step.attempt)
    return {"token": begun.token, "shards": begun.shards, "over": begun.over}
