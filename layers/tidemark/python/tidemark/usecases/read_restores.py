"""Get and list restores with their progress. Only the catalog is read."""

from collections.abc import Iterator
from typing import NamedTuple

from tidemark.domain.restore import Changes, DamagedRestore, Restore, RestoreStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt
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


def list_restores(
    ports: Ports, tenant: Tenant, *, limit: int, offset: int
) -> Listing[RestoreProgress | DamagedRestore]:
    """Restores, newest first, and those of which nothing else can be told: their record is damaged."""
    damage: list[Failure] = []
    page = page_of(_found(ports, tenant, damage), limit=limit, offset=offset)
    told = [one if isinstance(one, DamagedRestore) else _progress(ports, one, damage) for one in page.items]
    return Listing(told, page.total, tuple(damage))


def _found(ports: Ports, tenant: Tenant, damage: list[Failure]) -> Iterator[Restore | DamagedRestore]:
    """All that have an id. What is damaged, with or without one, is noted in `damage`."""
    for one in ports.catalog.found_restores(tenant):
        if isinstance(one, DamagedRestore):
            damage.append(one.failure)
            if one.id is None:
                continue
        yield one


def _progress(ports: Ports, restore: Restore, damage: list[Failure]) -> RestoreProgress:
    try:
        return progress_of(ports, restore)
    except CatalogCorrupt as error:
        # What a worker has noted can't be read: the restore is what its record says all the same.
        damage.append(Failure(error.code, error.message))
        return RestoreProgress(restore, 0, restore.changes)


def progress_of(ports: Ports, restore: Restore) -> RestoreProgress:
    """The restore with what its staging workers have noted."""
    if restore.status is RestoreStatus.COMPLETED:
        return RestoreProgress(restore, restore.total, restore.changes)
    if restore.staged is not None:
        return RestoreProgress(restore, restore.staged, restore.changes)
    parts = ports.catalog.parts(restore.tenant, restore.id)
    return RestoreProgress(restore, sum(part.records for part in parts), restore.changes)
