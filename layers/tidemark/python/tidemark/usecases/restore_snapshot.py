"""Ask for a restore: take the lease, register the restore with its fixed size, start its state machine."""

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from tidemark.domain.asked import Asked
from tidemark.domain.live import Generation, LeaseKind
from tidemark.domain.restore import Mode, Phase, Restore, RestoreId, RestoreStatus
from tidemark.domain.snapshot import Failure, Snapshot, restore_id
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import PlanOutdated, RecordExists, SnapshotNotFound, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.contention import acquire
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.records import amend_restore, amend_snapshot
from tidemark.usecases.repeats import restore_asked_for
from tidemark.usecases.restore_phases.lifecycle import restorable, use

_FIRST_EXECUTION: Final = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a restore is to do. `target`: into another tenant than the snapshot's. `selection`: the text of a filter,
    None for everything. `safety_snapshot`: keep the state at the moment of cutover as a snapshot of its own.
    `generation`: what must be live, None for whatever is.
    """

    target: Tenant | None = None
    mode: Mode = Mode.REPLACE
    selection: str | None = None
    safety_snapshot: bool = True
    generation: Generation | None = None


def restore_snapshot(
    ports: Ports,
    tenant: Tenant,
    snapshot_id: str,
    wish: Wish = Wish(),
    *,
    asked: Asked | None = None,
    inline_limit_s: int = 30,
) -> Restore:
    """The restore, accepted and started. What was `asked` for before, by a request that died, is not begun again: the
    restore is the one that it began.

    Raises SnapshotNotFound, SnapshotNotRestorable, CaptureInProgress, RestoreInProgress, KeyReused.
    """
    if asked is not None:
        begun = restore_asked_for(ports, wish.target or tenant, asked, inline_limit_s=inline_limit_s)
        if begun is not None:
            return begun
    snapshot = restorable(get_snapshot(ports, tenant, snapshot_id))
    restore = _register(ports, snapshot, wish, asked, inline_limit_s=inline_limit_s)
    try:
        if wish.generation not in {None, restore.from_generation}:
            raise PlanOutdated("another restore was made since the plan; ask for another dry run")
        use(ports, restore)
        ports.workflows.start_restore(restore.tenant, restore.id, attempt=_FIRST_EXECUTION)
    except TidemarkError as error:
        _withdraw(ports, restore, Failure(error.code, error.message))
        raise
    return restore


def _register(ports: Ports, snapshot: Snapshot, wish: Wish, asked: Asked | None, *, inline_limit_s: int) -> Restore:
    """Take the lease under the first restore id of this second that is free, and add the record."""
    tenant, now = wish.target or snapshot.tenant, ports.clock.now()
    owner = ports.entropy.token_bytes(16).hex()
    # A tenant that is new gets its first snapshot, the safety snapshot, by this restore.
    ports.catalog.add_tenant(tenant)
    for sequence in count(1):
        identity = RestoreId(restore_id(now, sequence))
        state = acquire(
            ports,
            tenant,
            kind=LeaseKind.RESTORE,
            owner=owner,
            subject=identity,
            attempt=_FIRST_EXECUTION,
            inline_limit_s=inline_limit_s,
        )
        token = leases.token_of(state)
        restore = Restore(
            tenant=tenant,
            id=identity,
            owner=owner,
            snapshot_id=snapshot.id,
            source_tenant=None if snapshot.tenant == tenant else snapshot.tenant,
            created_at=now,
            token=token,
            generation=Generation(token),
            from_generation=state.generation,
            from_base=state.base,
            total=snapshot.entity_count,
            mode=wish.mode,
            selection=wish.selection,
            safety_wanted=wish.safety_snapshot,
            asked=asked,
        )
        try:
            return ports.catalog.add_restore(restore.entering(Phase.PLAN, now))
        except RecordExists:
            leases.release(ports.table, tenant, token)
    raise AssertionError("count() ended")


def _withdraw(ports: Ports, restore: Restore, failure: Failure) -> None:
    """Undo what was registered of a restore that could not be started."""

    def fail(record: Restore) -> Restore:
        return replace(record, status=RestoreStatus.FAILED, failure=failure, finished_at=ports.clock.now())

    amend_restore(ports.catalog, restore.tenant, restore.id, fail)
    with suppress(SnapshotNotFound):
        # It may be what made the restore impossible: that the snapshot is gone.
        amend_snapshot(
            ports.catalog, restore.source, restore.snapshot_id, lambda record: record.released_by(restore.user)
        )
    leases.release(ports.table, restore.tenant, restore.token)
