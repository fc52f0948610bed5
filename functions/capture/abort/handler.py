"""Capture, Abort: give the lease back and record why the capture, or the dry run, failed."""

from tidemark import bootstrap
from tidemark.domain.restore_plan import is_plan_id
from tidemark.tasks import Context, Result, Step, failure_of, task
from tidemark.usecases import dry_run_phases
from tidemark.usecases.capture_phases import abort


class Input(Step, frozen=True):
    """`error` and `cause` are what the state machine caught."""

    snapshot_id: str
    capture_id: str
    attempt: int
    error: str
    cause: str


@task("Abort", Input)
def handler(step: Input, context: Context) -> Result:
    """What became of the snapshot or plan, and the failure in words for whoever looks at the execution."""
    ports, tenant, failure = bootstrap.ports(), step.tenant, failure_of(step.error, step.cause)
    if is_plan_id(step.snapshot_id):
        status = dry_run_phases.abort(ports, tenant, step.snapshot_id, attempt=step.attempt, failure=failure)
    else:
        status = abort(ports, tenant, step.snapshot_id, step.capture_id, attempt=step.attempt, failure=failure)
    return {"status": status, "error": failure.code, "message": failure.message}
