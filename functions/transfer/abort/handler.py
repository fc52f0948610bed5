"""Transfer, Abort: record why it failed and let go of what it held."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, failure_of, task
from tidemark.usecases.transfer_phases import abort


class Input(Step, frozen=True):
    """`error` and `cause` are what the state machine caught."""

    snapshot_id: str
    transfer_id: str
    attempt: int
    error: str
    cause: str


@task("AbortTransfer", Input)
def handler(step: Input, context: Context) -> Result:
    """What became of the snapshot, and the failure in words for whoever looks at the execution."""
    failure = failure_of(step.error, step.cause)
    status = abort(
        bootstrap.ports(), step.tenant, step.snapshot_id, step.transfer_id, attempt=step.attempt, failure=failure
    )
    return {"status": status, "error": failure.code, "message": failure.message}
