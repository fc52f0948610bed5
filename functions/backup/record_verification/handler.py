"""Verify, Record and RecordDamage: note on the snapshot what reading it back showed."""

from tidemark import bootstrap
from tidemark.domain.snapshot import Scope
from tidemark.engine.verification import Checked
from tidemark.tasks import Context, OwnerStep, Result, Told, failure_of, task
from tidemark.telemetry import ENVIRONMENT, SNAPSHOT_ID, TENANT, report_damage
from tidemark.usecases.snapshot_owners import owner_named


class Share(Told, frozen=True):
    """What VerifyShard said of one shard."""

    packs: int
    size_bytes: int


class Input(OwnerStep, frozen=True):
    """Either what was `checked`, all of it good, or the `error` and `cause` that the state machine caught."""

    snapshot_id: str
    checked: tuple[Share, ...] = ()
    error: str | None = None
    cause: str = ""


@task("Record", Input)
def handler(step: Input, context: Context) -> Result:
    """The result in one word."""
    failure = failure_of(step.error, step.cause) if step.error else None
    checked = [Checked(share.packs, share.size_bytes) for share in step.checked]
    kept = owner_named(bootstrap.ports(), step.tenant).record(step.snapshot_id, checked, Scope.FULL, failure)
    if failure and kept:
        whose = {TENANT: step.tenant, ENVIRONMENT: step.environment, SNAPSHOT_ID: step.snapshot_id}
        report_damage([failure.message], **whose)
    return {"status": "failed" if failure else "passed"}
