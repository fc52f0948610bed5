"""Restore, Verify: read one shard of the new generation back and compare it with the snapshot."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.restore_phases import verify


class Input(Step, frozen=True):
    """`token` is the fencing token that Plan gave."""

    restore_id: str
    token: int
    shard: int


@task("Verify", Input)
def handler(step: Input, context: Context) -> Result:
    """The number of entities that were found as they should be."""
    return {"records": verify(bootstrap.ports(), step.tenant, step.restore_id, token=step.token, shard=step.shard)}
