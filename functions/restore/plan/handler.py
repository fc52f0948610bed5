"""Restore, Plan: take the lease, check that the snapshot is whole, and write the list of work."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.restore_phases import plan


class Input(Step, frozen=True):
    """`attempt` counts the executions of this restore, from 1."""

    restore_id: str
    attempt: int


@task("Plan", Input)
def handler(step: Input, context: Context) -> Result:
    """Where to go on, null when the restore is over, and what the workers need."""
    planned = plan(bootstrap.ports(), step.tenant, step.restore_id, attempt=step.attempt)
    return {
        "token": planned.token,
        "resumeAt": planned.resume_at,
        "workKey": planned.work_key,
        "parts": planned.parts,
        "shards": planned.shards,
        "partial": planned.partial,
    }
