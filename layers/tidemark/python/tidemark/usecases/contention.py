"""What happens when a tenant's lease is held by somebody else: the caller is told who, and a holder that died is
driven on by its state machine.
"""

from tidemark.domain.live import Lease, LeaseKind
from tidemark.domain.tenant import Tenant
from tidemark.errors import CaptureInProgress, Conflict, LeaseHeld, RestoreInProgress
from tidemark.ports import Ports


def refuse(ports: Ports, tenant: Tenant, held: LeaseHeld, *, inline_limit_s: int) -> Conflict:
    """The error for a caller that met a lease, after making sure that its holder will come to an end."""
    lease = ports.table.load(tenant).state
    if lease is not None and lease.lease is not None and lease.lease.owner == held.owner:
        see_through(ports, tenant, lease.lease, inline_limit_s=inline_limit_s)
    if held.kind == LeaseKind.CAPTURE:
        return CaptureInProgress(
            f"snapshot {held.subject} is being created; wait until it is completed", snapshot_id=held.subject
        )
    return RestoreInProgress(f"restore {held.subject} is running; wait for it or cancel it", restore_id=held.subject)


def see_through(ports: Ports, tenant: Tenant, lease: Lease, *, inline_limit_s: int) -> None:
    """Make sure that an execution will end the lease: nothing is done while one runs, otherwise the next attempt is
    started.

    Whether a holder is alive is asked of Step Functions. A capture in a request (attempt 0) cannot be asked: its
    execution waits for as long as the request may live (`inline_limit_s`, which AWS Lambda enforces) and then goes on
    from the packs that are stored.
    """
    if lease.attempt == 0:
        ports.workflows.start_capture(tenant, lease.subject, lease.owner, attempt=1, delay_s=inline_limit_s)
        return
    running = ports.workflows.running(tenant, lease.subject, attempt=lease.attempt)
    if running:
        return
    attempt = lease.attempt if running is None else lease.attempt + 1
    if lease.kind is LeaseKind.CAPTURE:
        ports.workflows.start_capture(tenant, lease.subject, lease.owner, attempt=attempt, delay_s=0)
    else:
        ports.workflows.start_restore(tenant, lease.subject, attempt=attempt)
