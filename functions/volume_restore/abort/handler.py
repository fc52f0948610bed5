"""Volume restore, Abort: record why it failed, and leave nothing of it at EC2."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, failure_of, task
from tidemark.usecases.volume_restore_phases.making import abort


class Input(EnvironmentStep, frozen=True):
    """`error` and `cause` are what the state machine caught."""

    task_id: str
    error: str
    cause: str


@task("AbortVolumeRestore", Input)
def handler(step: Input, context: Context) -> Result:
    """How the task has ended, and why it failed in words: what was recorded first stays."""
    caught = failure_of(step.error, step.cause)
    ended = abort(bootstrap.ports(), step.task_id, caught)
    failure = ended.failure or caught
    return {"status": ended.status, "error": failure.code, "message": failure.message}
