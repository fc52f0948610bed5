"""Tenants' states and leases: one capture or restore of a tenant at a time, fenced by a token that only grows.

No step here looks at a clock: whether a holder is alive is a question for whoever runs it (the state machine), and a
token that was taken over is void for good.
"""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.live import Cut, FencingToken, Gate, Generation, Lease, LeaseKind, TenantState
from tidemark.domain.tenant import Tenant
from tidemark.errors import LeaseHeld, LeaseLost, RecordExists, StaleRecord
from tidemark.ports import EntityTable, Ports

_FIRST = 1


def ensure_tenant(ports: Ports, tenant: Tenant) -> TenantState:
    """The tenant's state, made with all its gates where the tenant is new. Can be repeated and run side by side."""
    state = ports.table.load(tenant).state
    if state is None:
        new = TenantState(
            tenant=tenant,
            shards=ports.layout.shards,
            gates=ports.layout.gates,
            generation=Generation(_FIRST),
            cut=Cut(_FIRST),
            fence=FencingToken(_FIRST),
        )
        with suppress(RecordExists):
            ports.table.add_state(new)
        state = current_state(ports.table, tenant)
    present = ports.table.load(tenant, gates=range(state.gates)).gates
    # A gate can only be missing while the tenant is being made: every cut makes sure of the gates before it closes
    # them.
    for number in range(state.gates):
        if number not in present:
            try:
                ports.table.add_gate(Gate(tenant, number, Generation(_FIRST), Cut(_FIRST)))
            except RecordExists:
                continue
    return state


def current_state(table: EntityTable, tenant: Tenant) -> TenantState:
    """The state of a tenant that exists. Raises LeaseLost when it does not: nobody holds anything of it."""
    state = table.load(tenant).state
    if state is None:
        raise LeaseLost(f"tenant {tenant} has no data")
    return state


def acquire(ports: Ports, tenant: Tenant, *, kind: LeaseKind, owner: str, subject: str, attempt: int) -> TenantState:
    """Take the tenant's lease; the state returned holds it, with its token.

    Repeating it by the same owner returns what it has. Raises LeaseHeld.
    """
    while True:
        state = ensure_tenant(ports, tenant)
        held = state.lease
        if held is not None and _holds(held, owner, subject):
            return state
        if held is not None:
            raise LeaseHeld(
                f"a {held.kind} of tenant {tenant} is running: {held.subject}",
                kind=held.kind,
                owner=held.owner,
                subject=held.subject,
            )
        token = FencingToken(state.fence + 1)
        lease = Lease(kind=kind, owner=owner, subject=subject, token=token, attempt=attempt)
        try:
            return ports.table.replace_state(replace(state, fence=token, lease=lease))
        except StaleRecord:
            continue


def take_over(
    ports: Ports, tenant: Tenant, *, owner: str, subject: str, attempt: int, force: bool = False
) -> TenantState:
    """Go on as `owner` with `subject` in a later attempt: the tokens of earlier ones become void. The same attempt
    keeps its token, unless `force`.

    Raises LeaseLost when somebody else, or a later attempt, holds the lease; or the owner does under another id, since
    the one that this attempt was started for was not free.
    """
    while True:
        state = current_state(ports.table, tenant)
        held = state.lease
        if held is None or not _holds(held, owner, subject) or held.attempt > attempt:
            raise LeaseLost(f"attempt {attempt} of {owner} for {subject} no longer holds the lease of tenant {tenant}")
        if held.attempt == attempt and not force:
            return state
        token = FencingToken(state.fence + 1)
        try:
            return ports.table.replace_state(
                replace(state, fence=token, lease=replace(held, token=token, attempt=attempt))
            )
        except StaleRecord:
            continue


def is_held(table: EntityTable, tenant: Tenant, *, owner: str, subject: str) -> bool:
    """Whether the lease is the owner's for that subject, in whatever attempt. Once it is not, it never is again."""
    state = table.load(tenant).state
    return state is not None and state.lease is not None and _holds(state.lease, owner, subject)


def _holds(lease: Lease, owner: str, subject: str) -> bool:
    return (lease.owner, lease.subject) == (owner, subject)


def held_state(table: EntityTable, tenant: Tenant, token: FencingToken) -> TenantState:
    """The state, if the lease with this token still stands. Raises LeaseLost."""
    state = current_state(table, tenant)
    if state.lease is None or state.lease.token != token:
        raise LeaseLost(f"the lease of tenant {tenant} with token {token} is void")
    return state


def token_of(state: TenantState) -> FencingToken:
    """The token of the lease that a state holds, as `acquire`, `take_over` and `held_state` return it."""
    if state.lease is None:
        raise LeaseLost(f"nobody holds the lease of tenant {state.tenant}")
    return state.lease.token


def release(table: EntityTable, tenant: Tenant, token: FencingToken) -> None:
    """Give the lease back. A lease that has passed on is left alone; repeating it changes nothing."""
    while True:
        state = table.load(tenant).state
        if state is None or state.lease is None or state.lease.token != token:
            return
        try:
            table.replace_state(replace(state, lease=None))
        except StaleRecord:
            continue
        return
