"""Scrub: read back the packs that are due today, for as long as one invocation may run."""

from tidemark import bootstrap
from tidemark.domain.tenant import Tenant
from tidemark.tasks import Context, Result, Told, budget_s, task
from tidemark.telemetry import report_damage
from tidemark.usecases.scrub import Place, scrub


class Input(Told, frozen=True):
    """How far an earlier invocation came; nothing to begin with today. A `day` alone scrubs that day's share again."""

    day: int | None = None
    tenant: Tenant | None = None
    key: str = ""


@task("Scrub", Input)
def handler(step: Input, context: Context) -> Result:
    """What was read and found, and where the next invocation goes on unless all is done."""
    place = None if step.day is None else Place(step.day, step.tenant or Tenant(""), step.key)
    days = bootstrap.settings().scrub_days
    scrubbed = scrub(bootstrap.ports(), days=days, budget_s=budget_s(context), place=place)
    report_damage(failure.message for failure in scrubbed.damage)
    return {
        "done": scrubbed.done,
        "packs": scrubbed.packs,
        "sizeBytes": scrubbed.size_bytes,
        "damaged": len(scrubbed.damage),
        "next": scrubbed.place._asdict(),
    }
