"""Restore, Stage: write one part of the work into the new generation, which nobody reads yet, for as long as one
invocation may run.
"""

from tidemark import bootstrap
from tidemark.domain.restore import Part
from tidemark.tasks import Context, Result, Step, budget_s, task
from tidemark.usecases.restore_phases import stage


class Input(Step, frozen=True):
    """One line of the list of work: a shard's records from `from_key` to before `to_key`, null meaning its ends."""

    restore_id: str
    token: int
    part: int
    shard: int
    from_key: str | None
    to_key: str | None


@task("Stage", Input)
def handler(step: Input, context: Context) -> Result:
    """How many entities were staged, and whether those were the last of the part."""
    part = Part(step.part, step.shard, step.from_key, step.to_key)
    staged = stage(
        bootstrap.ports(), step.tenant, step.restore_id, token=step.token, part=part, budget_s=budget_s(context)
    )
    return {"records": staged.records, "done": staged.done}
