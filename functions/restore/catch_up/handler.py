"""Restore, CatchUp: bring what was written since live data was staged, for as long as one invocation may run."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, budget_s, task
from tidemark.usecases.restore_phases import catch_up


class Input(Step, frozen=True):
    """`token` is the fencing token that Plan gave."""

    restore_id: str
    token: int


@task("CatchUp", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether so little is left that Cutover can bring it while writers wait."""
    done = catch_up(bootstrap.ports(), step.tenant, step.restore_id, token=step.token, budget_s=budget_s(context))
    return {"done": done}
