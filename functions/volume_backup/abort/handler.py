"""Volume backup, Abort: record why it failed, and leave no snapshot at EC2."""

from tidemark import bootstrap
from tidemark.tasks import Context, EnvironmentStep, Result, failure_of, task
from tidemark.usecases.volume_phases.backup import abort


class Input(EnvironmentStep, frozen=True):
    """`error` and `cause` are what the state machine caught."""

    snapshot_id: str
    error: str
    cause: str


@task("AbortVolumeBackup", Input)
def handler(step: Input, context: Context) -> Result:
    """How the snapshot stands now, and why it failed in words: what was recorded first stays."""
    caught = failure_of(step.error, step.cause)
    snapshot = abort(bootstrap.ports(), step.environment, step.snapshot_id, caught)
    failure = snapshot.failure or caught
    return {"state": snapshot.state, "error": failure.code, "message": failure.message}
