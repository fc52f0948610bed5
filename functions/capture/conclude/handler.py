"""Capture, Conclude: store the plan that a dry run came to, and give the lease back."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.dry_run_phases import conclude


class Input(Step, frozen=True):
    """`token` is the fencing token of the lease under which the shards were counted."""

    plan_id: str
    token: int


@task("Conclude", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that the restore would leave, make or delete."""
    return {"records": conclude(bootstrap.ports(), step.tenant, step.plan_id, token=step.token)}
