"""Restore, Retire: delete the generation that was replaced, for as long as one invocation may run."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, budget_s, task
from tidemark.usecases.restore_phases import retire


class Input(Step, frozen=True):
    """`token` is the fencing token that Plan gave."""

    restore_id: str
    token: int


@task("Retire", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether nothing is left to delete."""
    done = retire(bootstrap.ports(), step.tenant, step.restore_id, token=step.token, budget_s=budget_s(context))
    return {"done": done}
