"""Verify, ListPacks: read the manifest back and say which shards have packs."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, task
from tidemark.usecases.verify_snapshot import list_packs


class Input(Step, frozen=True):
    """The snapshot that is verified."""

    snapshot_id: str


@task("ListPacks", Input)
def handler(step: Input, context: Context) -> Result:
    """The shards to verify."""
    return {"shards": list_packs(bootstrap.ports(), step.tenant, step.snapshot_id)}
