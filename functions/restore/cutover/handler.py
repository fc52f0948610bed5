"""Restore, Cutover: flip readers to the new generation. Asked again after the flip, it changes nothing."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.restore_phases import cutover


class Input(Step, frozen=True):
    """`token` is the fencing token that Plan gave."""

    restore_id: str
    token: int


@task("Cutover", Input)
def handler(step: Input, context: Context) -> Result:
    """What is to be preserved of the generation that was replaced: nothing if that was declined or is done."""
    cut_over = cutover(bootstrap.ports(), step.tenant, step.restore_id, token=step.token)
    return {
        "preserve": bool(cut_over.shards),
        "safetySnapshotId": cut_over.safety_snapshot_id,
        "shards": cut_over.shards,
    }
