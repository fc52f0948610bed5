"""Backup, ListDue: store the list of the tenants whose slot of the stack's schedule is due."""

from tidemark import bootstrap
from tidemark.domain.schedule import STACK_SCHEDULE_ID, parse_scheduled_time
from tidemark.tasks import Context, Result, Told, task
from tidemark.usecases.backup_runs import list_due


class Input(Told, frozen=True):
    """The slot; `run` names the run: the name of its execution."""

    run: str
    slot_at: str


@task("ListDue", Input)
def handler(step: Input, context: Context) -> Result:
    """Where the list is, for the map over it, and the schedule that it is of."""
    slot_at = parse_scheduled_time(step.slot_at)
    stored = list_due(bootstrap.ports(), step.run, slot_at, bootstrap.stack_backups())
    return {"tenantsKey": stored.key, "tenants": stored.tenants, "scheduleId": STACK_SCHEDULE_ID}
