"""Collect a tenant's garbage: objects that no snapshot needs, expired entries of the recycle bin, what ended restores
left behind. Nothing else deletes objects.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from tidemark.domain.collection import Collection
from tidemark.domain.restore import Restore, RestoreStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import collect
from tidemark.engine.live import generations
from tidemark.errors import CatalogCorrupt
from tidemark.ports import Ports
from tidemark.usecases.close_abandoned import close_abandoned
from tidemark.usecases.delete_snapshot import RECYCLE_BIN_DAYS
from tidemark.usecases.end_transfers import end_transfers
from tidemark.usecases.records import amend_restore

# Sweeping gets this much even where the objects took the whole budget, so that every call comes further.
_SWEEP_AT_LEAST_S: Final = 20.0


def collect_garbage(
    ports: Ports,
    tenant: Tenant,
    *,
    dry_run: bool = False,
    budget_s: float = 600.0,
    recycle_bin_days: int = RECYCLE_BIN_DAYS,
) -> Collection:
    """Remove what nobody needs; the report. Where its `done` is false the budget was spent: call again to go on.

    Snapshots that have expired go into the recycle bin for so many days. It can be repeated, and several may run at
    once. `dry_run` deletes and changes nothing and reports what would be. While a record of the tenant is damaged
    nobody knows what it needs, so nothing is deleted, and the report names it.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    if not dry_run:
        # What is damaged is met again when the records are read: by this tenant's collection, or by that of a copy's.
        with suppress(CatalogCorrupt):
            end_transfers(ports, tenant)
    listed = collect.list_objects(ports, tenant)
    try:
        records = collect.read_records(ports, tenant)
    except CatalogCorrupt as error:
        damaged = f"{error.message}; nothing of tenant {tenant} was collected"
        return collect.untouched(tenant, listed, (damaged,), dry_run=dry_run)
    if records is None:
        busy = f"the records of tenant {tenant} changed each time they were read: nothing was collected"
        return collect.untouched(tenant, listed, (busy,), dry_run=dry_run)
    records, recycled = collect.recycle(ports, records, recycle_bin_days, dry_run=dry_run)
    records, expired = collect.expire(ports, records, dry_run=dry_run)
    named = collect.read_manifests(ports, records)
    found = collect.garbage(listed, records, named)
    if named.problems:
        report = collect.untouched(tenant, listed, named.problems, dry_run=dry_run)
    else:
        report, left = collect.remove(ports, tenant, listed, found, until_s, dry_run=dry_run)
        report = replace(report, purged=collect.forget(ports, records, left, dry_run=dry_run))
    if not dry_run:
        close_abandoned(ports, records)
    until_s = max(until_s, ports.clock.monotonic_s() + _SWEEP_AT_LEAST_S)
    swept, all_swept = _sweep_restores(ports, records, until_s, dry_run=dry_run)
    return replace(report, recycled=recycled, expired=expired, swept_generations=swept, done=report.done and all_swept)


def _sweep_restores(ports: Ports, records: collect.Records, until_s: float, *, dry_run: bool) -> tuple[int, bool]:
    """Remove, once for each restore that is over, what late workers may have left in its dead generation, and the notes
    of its parts; how many restores, and whether that is all.
    """
    swept = 0
    for restore in records.restores:
        if not _can_be_swept(restore, records):
            continue
        if not dry_run and not _sweep(ports, restore, records, until_s):
            return swept, False
        swept += 1
    return swept, True


def _can_be_swept(restore: Restore, records: collect.Records) -> bool:
    """Whether the restore's dead generation is surely dead: readers do not see it, no running restore reads it, and the
    restore itself, which alone could bring it to life, no longer holds the lease.
    """
    state = records.state
    if state is None or restore.swept or restore.status is RestoreStatus.RESTORING:
        return False
    if state.lease is not None and state.lease.owner == restore.owner:
        return False
    alive = {state.generation}
    for running in records.restoring:
        alive |= {running.generation, running.from_generation}
    return restore.dead_generation not in alive


def _sweep(ports: Ports, restore: Restore, records: collect.Records, until_s: float) -> bool:
    """False when the clock's `until_s` came first. Can be repeated: the record is marked last."""
    shards = records.state.shards if records.state is not None else 0
    if not generations.remove(ports, restore.tenant, restore.dead_generation, shards, until_s):
        return False
    staged = sum(part.records for part in ports.catalog.parts(restore.tenant, restore.id))

    def note_staged(record: Restore) -> Restore:
        return record if record.staged is not None else replace(record, staged=staged)

    amend_restore(ports.catalog, restore.tenant, restore.id, note_staged)
    ports.catalog.remove_parts(restore.tenant, restore.id)
    amend_restore(ports.catalog, restore.tenant, restore.id, lambda record: replace(record, swept=True))
    return True
