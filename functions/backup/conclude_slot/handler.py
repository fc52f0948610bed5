"""Backup, ConcludeSlot and ConcludeFailure: read the manifest back, apply retention, note how the slot ended."""

from tidemark import bootstrap
from tidemark.domain.schedule import LastRun, Missed, parse_scheduled_time
from tidemark.tasks import Context, Result, Step, budget_s, failure_of, task, whose
from tidemark.telemetry import SCHEDULE_ID, report_missed
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
    """How it ended: `completed`, `failed` or `missed`; `lost` where the slot is another execution's by now."""
    failure = failure_of(step.error, step.cause) if step.error else None
    ended = conclude_slot(
        bootstrap.ports(),
        step.tenant,
        step.schedule_id,
        parse_scheduled_time(step.slot_at),
        owner=step.owner,
        failure=failure,
        recycle_bin_days=bootstrap.settings().recycle_bin_days,
        budget_s=budget_s(context),
    )
    if isinstance(ended, Missed):
        report_missed(ended.reason, **{**whose(step.tenant), SCHEDULE_ID: step.schedule_id})
    if isinstance(ended, LastRun):
        failure = ended.failure
    return {
        "status": ended.status if ended else "lost",
        "snapshotId": (ended.snapshot_id if isinstance(ended, LastRun) else None) or "",
        "error": failure.code if failure else "",
        "cause": failure.message if failure else "",
    }
