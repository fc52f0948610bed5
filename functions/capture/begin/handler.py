"""Capture, Begin: take the lease, end the cut, and say what there is to copy, or to count for a dry run."""

from tidemark import bootstrap
from tidemark.domain.restore_plan import is_plan_id
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases import dry_run_phases
from tidemark.usecases.capture_phases import begin


class Input(Step, frozen=True):
    """`attempt` counts the executions of this capture, from 1. A dry run has the id of its plan for both."""

    snapshot_id: str
    capture_id: str
    attempt: int


@task("Begin", Input)
def handler(step: Input, context: Context) -> Result:
    """`over` is true when the capture has ended already; `dryRun` says what its shards are looked at for."""
    ports, dry_run = bootstrap.ports(), is_plan_id(step.snapshot_id)
    if dry_run:
        begun = dry_run_phases.begin(ports, step.tenant, step.snapshot_id, attempt=step.attempt)
    else:
        begun = begin(ports, step.tenant, step.snapshot_id, step.capture_id, attempt=step.attempt)
    return {"token": begun.token, "shards": begun.shards, "over": begun.over, "dryRun": dry_run}
