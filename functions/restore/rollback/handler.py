"""Restore, Rollback: delete what was staged, for as long as one invocation may run, and record why."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, budget_s, failure_of, task
from tidemark.usecases.restore_phases import rollback


class Input(Step, frozen=True):
    """`error` and `cause` are what the state machine caught."""

    restore_id: str
    attempt: int
    error: str
    cause: str


@task("Rollback", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether nothing is left to delete, how the restore ended, and why, for whoever looks at the execution."""
    rolled = rollback(
        bootstrap.ports(),
        step.tenant,
        step.restore_id,
        attempt=step.attempt,
        failure=failure_of(step.error, step.cause),
        budget_s=budget_s(context),
    )
    return {
        "done": rolled.done,
        "status": rolled.status,
        "token": rolled.token,
        "resumeAt": rolled.resume_at,
        "error": rolled.error,
        "message": rolled.message,
    }
