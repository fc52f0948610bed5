"""Backup, RunSlot: claim a slot of a schedule, and make its snapshot or look after it."""

from datetime import UTC, datetime

from tidemark import bootstrap
from tidemark.domain.schedule import parse_scheduled_time
from tidemark.tasks import Context, Result, Step, task, whose
from tidemark.telemetry import COUNT, SCHEDULE_ID, measure
from tidemark.usecases.backup_phases import SlotState, run_slot


class Input(Step, frozen=True):
    """The slot; `owner` is the name of the execution, which began at `begun_at`."""

    schedule_id: str
    slot_at: str
    owner: str
    begun_at: datetime


@task("RunSlot", Input)
def handler(step: Input, context: Context) -> Result:
    """What to do next, and in how many seconds to ask again where that is to wait."""
    run = run_slot(
        bootstrap.ports(),
        step.tenant,
        step.schedule_id,
        parse_scheduled_time(step.slot_at),
        owner=step.owner,
        begun_at=step.begun_at.astimezone(UTC),
        budget_s=bootstrap.settings().inline_budget_s,
    )
    if run.state is SlotState.SKIPPED:
        measure({"BackupSkipped": (1, COUNT)}, **{**whose(step.tenant), SCHEDULE_ID: step.schedule_id})
    return {
        "state": run.state,
        "snapshotId": run.snapshot_id or "",
        "reason": run.reason,
        "waitSeconds": run.wait_s,
    }
