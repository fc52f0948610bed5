"""Watch: look whether all schedules are run, and tell the age of the oldest last snapshot."""

from tidemark import bootstrap
from tidemark.domain.tenant import Tenant
from tidemark.errors import TidemarkError
from tidemark.tasks import Context, Result, Told, task, whose
from tidemark.telemetry import (
    LAST_SNAPSHOT_AGE,
    SCHEDULE_ID,
    SECONDS,
    logger,
    measure,
    report_damage,
    report_missed,
)
from tidemark.usecases.watch_backups import watch_backups


class Input(Told, frozen=True):
    """Nothing: it looks at all tenants and environments."""


@task("Watch", Input)
def handler(step: Input, context: Context) -> Result:
    """How many slots were missed. Fails in the end where a tenant could not be looked at."""
    # With nobody to watch over it is told all the same: no age at all must mean that nobody watches, or sees anything.
    missed, oldest = 0, (0.0, "")
    unseen: TidemarkError | None = None
    for found in watch_backups(bootstrap.ports(), bootstrap.stack_backups()):
        owner = whose(found.tenant)
        for schedule_id, slot in found.missed:
            report_missed(slot.reason, **{**owner, SCHEDULE_ID: schedule_id})
        for problem in found.problems:
            logger().error(problem, extra=owner)
        report_damage(found.damage, **owner)
        missed, unseen = missed + len(found.missed), unseen or found.failure
        oldest = max(oldest, (-1.0 if found.age_s is None else found.age_s, found.tenant))
    if unseen is None or oldest[1]:
        measure({LAST_SNAPSHOT_AGE: (oldest[0], SECONDS)}, **(whose(Tenant(oldest[1])) if oldest[1] else {}))
    if unseen is not None:
        raise unseen
    return {"missed": missed}
