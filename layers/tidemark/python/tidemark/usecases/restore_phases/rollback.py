"""Rollback: delete what was staged, record why, and end the restore."""

from typing import NamedTuple

from tidemark.domain.live import FencingToken
from tidemark.domain.restore import Phase, Restore, RestoreStatus
from tidemark.domain.snapshot import Failure
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import gates, generations, leases
from tidemark.errors import (
    LeaseLost,
    RestoreCancelled,
    RestoreNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases.restore_phases.lifecycle import end, enter_rollback, give_up


class RolledBack(NamedTuple):
    """`done`: nothing of the new generation is left and the restore is over; else call again.

    `resume_at` Cutover: the flip had happened, so nothing was rolled back, and the restore goes on there with `token`.
    """

    done: bool
    status: RestoreStatus | None
    token: FencingToken
    error: str | None
    message: str | None
    resume_at: Phase | None


def rollback(
    ports: Ports, tenant: Tenant, restore_id: str, *, attempt: int, failure: Failure, budget_s: float
) -> RolledBack:
    """Delete the new generation and end the restore as failed, or as cancelled where that was asked.

    Leaves a restore alone that a later attempt drives.
    """
    try:
        restore = ports.catalog.restore(tenant, restore_id)
    except RestoreNotFound:
        restore = _registered_meanwhile(ports, tenant, restore_id, attempt)
    try:
        state = leases.take_over(ports, tenant, owner=restore.owner, subject=restore_id, attempt=attempt, force=True)
    except LeaseLost as lost:
        give_up(ports, restore, failure)
        return RolledBack(
            done=True, status=restore.status, token=restore.token, error=lost.code, message=lost.message, resume_at=None
        )
    token = leases.token_of(state)
    if state.generation == restore.generation:
        return RolledBack(done=True, status=None, token=token, error=None, message=None, resume_at=Phase.CUTOVER)
    try:
        restore = enter_rollback(ports, restore, token)
    except LeaseLost as lost:
        return RolledBack(
            done=True, status=restore.status, token=restore.token, error=lost.code, message=lost.message, resume_at=None
        )
    gates.reopen(ports, tenant, token)
    until_s = ports.clock.monotonic_s() + budget_s
    if not generations.remove(ports, tenant, restore.generation, state.shards, until_s):
        return RolledBack(done=False, status=None, token=token, error=None, message=None, resume_at=None)
    status, reason = RestoreStatus.FAILED, restore.failure or failure
    if restore.cancel_requested and restore.failure is None:
        status = RestoreStatus.CANCELLED
        reason = Failure(RestoreCancelled.__name__, f"restore {restore_id} was cancelled before its cutover")
    end(ports, restore, token, status, reason)
    return RolledBack(done=True, status=status, token=token, error=reason.code, message=reason.message, resume_at=None)


def _registered_meanwhile(ports: Ports, tenant: Tenant, restore_id: str, attempt: int) -> Restore:
    """The restore, if its request was alive and has registered it by now; else the lease is given back.

    The request's token is void before this looks again: if it registers later still, it notices. Raises
    RestoreNotFound.
    """
    state = ports.table.load(tenant).state
    held = state.lease if state is not None else None
    if held is None or held.subject != restore_id:
        return ports.catalog.restore(tenant, restore_id)
    try:
        taken = leases.take_over(ports, tenant, owner=held.owner, subject=restore_id, attempt=attempt, force=True)
    except LeaseLost:
        return ports.catalog.restore(tenant, restore_id)
    try:
        return ports.catalog.restore(tenant, restore_id)
    except RestoreNotFound:
        leases.release(ports.table, tenant, leases.token_of(taken))
        raise
