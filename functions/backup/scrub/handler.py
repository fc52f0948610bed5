"""Scrub: read back the packs that are due today, for as long as one invocation may run."""

from tidemark import bootstrap
from tidemark.domain.environment import environment_of
from tidemark.domain.tenant import Tenant
from tidemark.tasks import Context, Result, Told, budget_s, task
from tidemark.telemetry import ENVIRONMENT, SNAPSHOT_ID, TENANT, report_damage
from tidemark.usecases.scrub import Place, scrub

_NAMED_AT_MOST = 10


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
    for failure, owner, snapshot_ids in scrubbed.damage:
        # Packs are shared: hundreds of snapshots may need one.
        needed_by = " ".join(snapshot_ids[:_NAMED_AT_MOST]) or None
        whose = {TENANT: owner, ENVIRONMENT: environment_of(owner), SNAPSHOT_ID: needed_by}
        report_damage([failure.message], **whose)
    return {
        "done": scrubbed.done,
        "packs": scrubbed.packs,
        "sizeBytes": scrubbed.size_bytes,
        "damaged": len(scrubbed.damage),
        "next": scrubbed.place._asdict(),
    }
