"""Backup, ConcludeSlot and ConcludeFailure: read the manifest back, apply retention, note how the slot ended."""

from tidemark import bootstrap
from tidemark.domain.schedule import parse_scheduled_time
from tidemark.tasks import Context, Result, Step, failure_of, task
from tidemark.usecases.backup_phases import conclude_slot


class Input(Step, frozen=True):
    """The slot; `owner` is the name of the execution. `error` and `cause` are what the state machine caught, if so."""

    schedule_id: str
    slot_at: str
    owner: str
    error: str | None = None
    cause: str = ""


@task("ConcludeSlot", Input)
def handler(step: Input, context: Context) -> Result:
    """How it ended: `completed` or `failed`; `lost` where the slot is another execution's by now."""
    failure = failure_of(step.error, step.cause) if step.error else None
    ended = conclude_slot(
        bootstrap.ports(),
        step.tenant,
        step.schedule_id,
        parse_scheduled_time(step.slot_at),
        owner=step.owner,
        failure=failure,
        recycle_bin_days=bootstrap.settings().recycle_bin_days,
    )
    noted = ended.failure if ended else failure
    return {
        "status": ended.status if ended else "failed" if failure else "lost",
        "snapshotId": (ended.snapshot_id if ended else None) or "",
        "error": noted.code if noted else "",
        "cause": noted.message if noted else "",
    }
