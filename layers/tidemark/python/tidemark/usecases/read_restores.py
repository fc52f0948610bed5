"""Get and list restores with their progress. Only the catalog is read."""

from typing import NamedTuple

from tidemark.domain.restore import Changes, Restore, RestoreStatus
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.listing import Listing, page_of


class RestoreProgress(NamedTuple):
    """A restore and how many of its `total` entities are staged; of a partial one that is staged, what that changes."""

    restore: Restore
    done: int
    changes: Changes | None = None


def get_restore(ports: Ports, tenant: Tenant, restore_id: str) -> RestoreProgress:
    """One restore. Raises RestoreNotFound."""
    return progress_of(ports, ports.catalog.restore(tenant, restore_id))


def list_restores(ports: Ports, tenant: Tenant, *, limit: int, offset: int) -> Listing[RestoreProgress]:
    """Restores, newest first."""
    found = page_of(ports.catalog.restores(tenant), limit=limit, offset=offset)
    return Listing([progress_of(ports, restore) for restore in found.items], found.total)


def progress_of(ports: Ports, restore: Restore) -> RestoreProgress:
    """The restore with what its staging workers have noted."""
    if restore.status is RestoreStatus.COMPLETED:
        return RestoreProgress(restore, restore.total, restore.changes)
    if restore.staged is not None:
        return RestoreProgress(restore, restore.staged, restore.changes)
    parts = ports.catalog.parts(restore.tenant, restore.id)
    return RestoreProgress(restore, sum(part.records for part in parts), restore.changes)
