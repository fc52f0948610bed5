"""Verify, ListPacks: read the manifest back and say which shards have packs."""

from tidemark import bootstrap
from tidemark.tasks import Context, OwnerStep, Result, task
from tidemark.usecases.snapshot_owners import owner_named


class Input(OwnerStep, frozen=True):
    """The snapshot that is verified."""

    snapshot_id: str


@task("ListPacks", Input)
def handler(step: Input, context: Context) -> Result:
    """The shards to verify."""
    return {"shards": owner_named(bootstrap.ports(), step.tenant).list_packs(step.snapshot_id)}
