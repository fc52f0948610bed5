"""Backup, Report: sum up what became of the slot of each tenant."""

from tidemark import bootstrap
from tidemark.domain.schedule import parse_scheduled_time
from tidemark.tasks import Context, Result, Told, task
from tidemark.usecases.backup_runs import summary_of


class Input(Told, frozen=True):
    """The slot, and the run whose list it is."""

    run: str
    slot_at: str


@task("Report", Input)
def handler(step: Input, context: Context) -> Result:
    """How many tenants met which fate; `begun` is false when some were not, and then `message` names the first."""
    found = summary_of(bootstrap.ports(), step.run, parse_scheduled_time(step.slot_at))
    return {
        "begun": not found.unbegun,
        "message": f"not begun: {', '.join(found.unbegun)}" if found.unbegun else "",
        "tenants": found.tenants,
        **{fate.value: count for fate, count in found.fates.items()},
        "failedTenants": list(found.failed),
        "unbegunTenants": list(found.unbegun),
    }
