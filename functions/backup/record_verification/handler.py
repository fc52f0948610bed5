"""Verify, Record and RecordDamage: note on the snapshot what reading it back showed."""

from tidemark import bootstrap
from tidemark.domain.snapshot import SnapshotStatus
from tidemark.engine.verification import Checked
from tidemark.tasks import Context, Result, Step, Told, failure_of, task
from tidemark.telemetry import SNAPSHOT_ID, TENANT, report_damage
from tidemark.usecases.verify_snapshot import record


class Share(Told, frozen=True):
    """What VerifyShard said of one shard."""

    packs: int
    size_bytes: int


class Input(Step, frozen=True):
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
    snapshot = record(bootstrap.ports(), step.tenant, step.snapshot_id, checked, failure=failure)
    if failure and snapshot.status is SnapshotStatus.COMPLETED:
        report_damage([failure.message], **{TENANT: step.tenant, SNAPSHOT_ID: step.snapshot_id})
    return {"status": "failed" if failure else "passed"}
