"""What happens when a tenant's lease is held by somebody else: the caller is told who, and a holder that died is
driven on by its state machine. Which attempt that takes is reckoned alike for whatever else a state machine does.
"""

from collections.abc import Callable
from typing import Final

from tidemark.domain.live import Lease, LeaseKind, TenantState
from tidemark.domain.restore import RestoreId, RestoreStatus
from tidemark.domain.restore_plan import is_plan_id
from tidemark.domain.snapshot import SnapshotId, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import CaptureInProgress, Conflict, DryRunInProgress, LeaseHeld, NotFound, RestoreInProgress
from tidemark.ports import Ports

# A capture or restore records that it is over before it gives the lease back, a few calls later. Whoever has read that
# it is over and goes on at once waits for these calls instead of being refused.
SETTLING_S: Final = 3.0
_PAUSE_S: Final = 0.05
# The numbers of attempts: what a request does itself, and the first execution.
IN_REQUEST: Final = 0
FIRST_EXECUTION: Final = 1


def acquire(
    ports: Ports, tenant: Tenant, *, kind: LeaseKind, owner: str, subject: str, attempt: int, inline_limit_s: int
) -> TenantState:
    """The tenant's lease; a holder that is over is waited for. Raises CaptureInProgress, RestoreInProgress."""
    until_s = ports.clock.monotonic_s() + SETTLING_S
    while True:
        try:
            return leases.acquire(ports, tenant, kind=kind, owner=owner, subject=subject, attempt=attempt)
        except LeaseHeld as held:
            if ports.clock.monotonic_s() >= until_s or not _is_over(ports, tenant, held):
                raise refuse(ports, tenant, held, inline_limit_s=inline_limit_s) from held
            ports.clock.sleep(_PAUSE_S)


def refuse(ports: Ports, tenant: Tenant, held: LeaseHeld, *, inline_limit_s: int) -> Conflict:
    """The error for a caller that met a lease, after making sure that its holder will come to an end."""
    lease = ports.table.load(tenant).state
    if lease is not None and lease.lease is not None and lease.lease.owner == held.owner:
        see_through(ports, tenant, lease.lease, inline_limit_s=inline_limit_s)
    if is_plan_id(held.subject):
        return DryRunInProgress(
            f"a dry run of a restore is looking at the data of tenant {tenant}; try again when {held.subject} is over"
        )
    if held.kind == LeaseKind.CAPTURE:
        return CaptureInProgress(
            f"snapshot {held.subject} is being created; wait until it is completed", snapshot_id=held.subject
        )
    return RestoreInProgress(f"restore {held.subject} is running; wait for it or cancel it", restore_id=held.subject)


def see_through(ports: Ports, tenant: Tenant, lease: Lease, *, inline_limit_s: int) -> None:
    """Make sure that an execution will end the lease: nothing is done while one runs, otherwise the next attempt is
    started.

    Whether a holder is alive is asked of Step Functions. A capture in a request (attempt `IN_REQUEST`) cannot be
    asked: its execution waits for as long as the request may live (`inline_limit_s`, which AWS Lambda enforces) and
    then goes on from the packs that are stored.
    """
    attempt = next_attempt(
        lambda number: ports.workflows.running(tenant, lease.subject, attempt=number),
        first=max(lease.attempt, FIRST_EXECUTION),
    )
    state = ports.table.load(tenant).state
    if attempt is None or state is None or state.lease != lease:
        # It runs, or it came to its end while its executions were looked at.
        return
    if lease.kind is LeaseKind.RESTORE:
        ports.workflows.start_restore(tenant, lease.subject, lease.owner, attempt=attempt)
        return
    in_request = lease.attempt == IN_REQUEST and attempt == FIRST_EXECUTION
    delay_s = inline_limit_s if in_request else 0
    ports.workflows.start_capture(tenant, lease.subject, lease.owner, attempt=attempt, delay_s=delay_s)


def next_attempt(is_running: Callable[[int], bool | None], *, first: int = FIRST_EXECUTION) -> int | None:
    """The number of the attempt that is to be started, after those that ended without a result; None while one runs.

    `is_running` says it of an attempt, and None of one that was never started.
    """
    attempt = first
    while (running := is_running(attempt)) is False:
        attempt += 1
    return None if running else attempt


def start_unused(start: Callable[[int], bool], is_over: Callable[[], bool]) -> None:
    """Start the first attempt whose name is not used up, unless one runs or there is nothing left to do.

    `start` says whether the attempt runs then. One that does not is over, or is of something else that had the name
    before: that it is there says nothing of this one.
    """
    attempt = FIRST_EXECUTION
    while not start(attempt) and not is_over():
        attempt += 1


def _is_over(ports: Ports, tenant: Tenant, held: LeaseHeld) -> bool:
    """Whether the holder has recorded how it ended; or is a dry run, most of which take no longer than the wait."""
    if is_plan_id(held.subject):
        return True
    try:
        if held.kind == LeaseKind.CAPTURE:
            snapshot = ports.catalog.snapshot(tenant, SnapshotId(held.subject))
            return snapshot.capture_id == held.owner and snapshot.status is not SnapshotStatus.CREATING
        restore = ports.catalog.restore(tenant, RestoreId(held.subject))
        return restore.owner == held.owner and restore.status is not RestoreStatus.RESTORING
    except NotFound:
        return False
