"""Ask for a restore: take the lease, register the restore with its fixed size, start its state machine."""

from dataclasses import dataclass
from itertools import count

from tidemark.domain.asked import Asked
from tidemark.domain.live import Generation, LeaseKind
from tidemark.domain.restore import Mode, Phase, Restore, RestoreId, RestoreStatus
from tidemark.domain.snapshot import Failure, Snapshot, restore_id
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import (
    LeaseLost,
    PlanOutdated,
    RecordExists,
    TidemarkError,
    Unavailable,
    WriteConflict,
)
from tidemark.ports import Ports
from tidemark.usecases.contention import FIRST_EXECUTION, acquire, next_attempt, start_unused
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.repeats import restore_asked_for
from tidemark.usecases.restore_phases.lifecycle import end, enter_rollback, give_up, restorable, use


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

    Raises SnapshotNotFound, SnapshotNotCompleted, CaptureInProgress, RestoreInProgress, KeyReused.
    """
    if asked is not None:
        begun = restore_asked_for(ports, wish.target or tenant, asked, inline_limit_s=inline_limit_s)
        if begun is not None:
            return begun
    snapshot = restorable(get_snapshot(ports, tenant, snapshot_id))
    restore = _register(ports, snapshot, wish, asked, inline_limit_s=inline_limit_s)
    asked_to_start = False
    try:
        _still_held(ports, restore)
        if wish.generation not in {None, restore.from_generation}:
            raise PlanOutdated("another restore was made since the plan; ask for another dry run")
        use(ports, restore)
        asked_to_start = True
        _start(ports, restore)
    except TidemarkError as error:
        goes_on = asked_to_start and _runs(ports, restore)
        if not goes_on and _withdraw(ports, restore, Failure(error.code, error.message)):
            raise
        return ports.catalog.restore(restore.tenant, restore.id)
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
            attempt=FIRST_EXECUTION,
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


def _still_held(ports: Ports, restore: Restore) -> None:
    """Raises WriteConflict when somebody who met the lease found no restore yet, and gives it back: nobody would run
    this one.
    """
    try:
        leases.held_state(ports.table, restore.tenant, restore.token)
    except LeaseLost as lost:
        raise WriteConflict(f"restore {restore.id} was given up before it was registered; ask for it again") from lost


def _start(ports: Ports, restore: Restore) -> None:
    """Start it, under another number where a request of the same second that died had the id before: its execution
    found no restore, and has used the name up.
    """
    start_unused(
        lambda number: ports.workflows.start_restore(restore.tenant, restore.id, restore.owner, attempt=number),
        lambda: ports.catalog.restore(restore.tenant, restore.id).status is not RestoreStatus.RESTORING,
    )


def _runs(ports: Ports, restore: Restore) -> bool:
    """Whether an execution was started although nobody heard of it; False too when AWS does not say."""
    try:
        return next_attempt(lambda number: ports.workflows.running(restore.tenant, restore.id, attempt=number)) is None
    except Unavailable:
        return False


def _withdraw(ports: Ports, restore: Restore, failure: Failure) -> bool:
    """End a restore that could not be started; False where it goes on all the same.

    Somebody who met its lease may have started it, or AWS has unheard: that execution's token is void then, and what it
    staged is left to the collector. One that has flipped already goes on, and so does a later attempt that has come so
    far; none can begin from here on.
    """
    try:
        state = leases.take_over(
            ports, restore.tenant, owner=restore.owner, subject=restore.id, attempt=FIRST_EXECUTION, force=True
        )
    except LeaseLost:
        give_up(ports, restore, failure)
        return ports.catalog.restore(restore.tenant, restore.id).status is RestoreStatus.FAILED
    if state.generation == restore.generation:
        return False
    try:
        enter_rollback(ports, restore, leases.token_of(state))
    except LeaseLost:
        return False
    end(ports, restore, leases.token_of(state), RestoreStatus.FAILED, failure)
    return True
