"""Ask a restore to stop. It is cooperative: the workers see the request and the state machine rolls back."""

from dataclasses import replace

from tidemark.domain.restore import BEFORE_CUTOVER, Restore, RestoreStatus
from tidemark.domain.tenant import Tenant
from tidemark.errors import RestoreNotCancellable
from tidemark.ports import Ports
from tidemark.usecases.contention import see_through
from tidemark.usecases.read_restores import RestoreProgress, progress_of
from tidemark.usecases.records import amend_restore


def cancel_restore(ports: Ports, tenant: Tenant, restore_id: str, *, inline_limit_s: int = 30) -> RestoreProgress:
    """The restore, asked to stop.

    Repeating it changes nothing. Raises RestoreNotFound, RestoreNotCancellable once cutover has begun or it is over.
    """

    def ask(restore: Restore) -> Restore:
        if restore.status is not RestoreStatus.RESTORING:
            raise RestoreNotCancellable(f"restore {restore_id} is over: it is {restore.status}")
        if restore.phase not in BEFORE_CUTOVER:
            raise RestoreNotCancellable(
                f"restore {restore_id} is in phase {restore.phase}: it can be cancelled only before Cutover; "
                "to undo it, restore its safety snapshot"
            )
        return replace(restore, cancel_requested=True)

    restore = amend_restore(ports.catalog, tenant, restore_id, ask)
    state = ports.table.load(tenant).state
    if state is not None and state.lease is not None and state.lease.owner == restore.owner:
        see_through(ports, tenant, state.lease, inline_limit_s=inline_limit_s)
    return progress_of(ports, restore)
