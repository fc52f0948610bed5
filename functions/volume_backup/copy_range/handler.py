"""Volume backup, CopyRanges: store what differs in one range of the volume from the snapshot before."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, budget_s, task
from tidemark.usecases.volume_phases.backup import copy_range


class Input(EnvironmentStep, frozen=True):
    """Which range of which backup; `place` is the block at which to begin, or where an earlier call stopped."""

    snapshot_id: str
    shard: int
    place: int


@task("CopyRange", Input)
def handler(step: Input, context: Context) -> Result:
    """`done` is false when the time was not enough: call again with the `place`."""
    copied = copy_range(
        bootstrap.ports(),
        step.environment,
        step.snapshot_id,
        shard=step.shard,
        place=step.place,
        budget_s=budget_s(context),
    )
    return {"done": copied.done, "place": copied.place, "blocks": copied.records}
