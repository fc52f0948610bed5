"""Create a snapshot: in the request where the work fits its time, otherwise by the capture state machine."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from types import MappingProxyType
from typing import Final

from tidemark.domain.asked import Asked
from tidemark.domain.live import FencingToken, LeaseKind
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, snapshot_id, whole_second
from tidemark.domain.tenant import Tenant
from tidemark.engine.live import leases
from tidemark.errors import LeaseLost, RecordExists, TidemarkError, Unavailable
from tidemark.ports import Ports
from tidemark.usecases import capture_phases
from tidemark.usecases.contention import FIRST_EXECUTION, IN_REQUEST, acquire
from tidemark.usecases.repeats import snapshot_asked_for

# How long the request of a caller may live, which AWS Lambda enforces.
INLINE_LIMIT_S: Final = 30
# A request that dies while it removes tombstones would leave the lease of a snapshot that is completed.
_SWEEP_AT_LEAST_S: Final = 3.0
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


def create_snapshot(
    ports: Ports,
    tenant: Tenant,
    *,
    description: str = "",
    labels: Mapping[str, str] = _NO_LABELS,
    lifetime: timedelta | None = None,
    asked: Asked | None = None,
    budget_s: float = 5.0,
    inline_limit_s: int = INLINE_LIMIT_S,
) -> Snapshot:
    """A snapshot of the tenant's entities as of a cut made now. After its `lifetime`, the collector may put it into the
    recycle bin. See `take`.
    """
    new = drafted(ports, tenant)
    said = replace(
        new,
        description=description,
        labels=dict(labels),
        expires_at=None if lifetime is None else whole_second(new.created_at + lifetime),
        asked=asked,
    )
    return take(ports, said, budget_s=budget_s, inline_limit_s=inline_limit_s)


def drafted(ports: Ports, tenant: Tenant) -> Snapshot:
    """The record of a snapshot that is to be taken now, to say more of it."""
    now = ports.clock.now()
    capture_id = CaptureId(ports.entropy.token_bytes(16).hex())
    return Snapshot(tenant, snapshot_id(now), now, capture_id, FencingToken(0))


def take(
    ports: Ports,
    draft: Snapshot,
    *,
    budget_s: float,
    inline_limit_s: int = INLINE_LIMIT_S,
    asked_since: datetime | None = None,
) -> Snapshot:
    """The snapshot of a draft: `COMPLETED` when it fits `budget_s`, else `CREATING`, with its execution started.

    What was `asked` for before, by a request that died, is not made again: the snapshot is the one that it made;
    it can't have asked before `asked_since`, where that is known. `inline_limit_s` is how long the request itself may
    live. Raises CaptureInProgress, RestoreInProgress, KeyReused.
    """
    tenant, capture_id = draft.tenant, draft.capture_id
    if draft.asked is not None:
        made = snapshot_asked_for(ports, tenant, draft.asked, inline_limit_s=inline_limit_s, since=asked_since)
        if made is not None:
            return made
    until_s = ports.clock.monotonic_s() + budget_s
    # First of all: whatever is stored from here on, the collector and the scrub know whose to look at.
    ports.catalog.add_tenant(tenant)
    snapshot, shards = _register(ports, draft, inline_limit_s=inline_limit_s)
    try:
        return _capture(ports, snapshot, shards, until_s)
    except (LeaseLost, Unavailable):
        # Somebody's execution took over, or AWS or the clock did not let the request finish: the state machine does.
        ports.workflows.start_capture(tenant, snapshot.id, capture_id, attempt=FIRST_EXECUTION, delay_s=0)
        return ports.catalog.snapshot(tenant, snapshot.id)
    except TidemarkError as error:
        failure = Failure(error.code, error.message)
        capture_phases.abort(ports, tenant, snapshot.id, capture_id, attempt=IN_REQUEST, failure=failure)
        raise


def _register(ports: Ports, draft: Snapshot, *, inline_limit_s: int) -> tuple[Snapshot, int]:
    """Take the lease under the first id of this second that is free, and add the record; and the number of shards."""
    for sequence in count(1):
        identity = snapshot_id(draft.created_at, sequence)
        state = acquire(
            ports,
            draft.tenant,
            kind=LeaseKind.CAPTURE,
            owner=draft.capture_id,
            subject=identity,
            attempt=IN_REQUEST,
            inline_limit_s=inline_limit_s,
        )
        token = leases.token_of(state)
        try:
            return ports.catalog.add_snapshot(replace(draft, id=identity, token=token)), state.shards
        except RecordExists:
            leases.release(ports.table, draft.tenant, token)
    raise AssertionError("count() ended")


def _capture(ports: Ports, snapshot: Snapshot, shards: int, until_s: float) -> Snapshot:
    begun = capture_phases.cut(ports, snapshot.tenant, snapshot.id, snapshot.token)
    base = capture_phases.base_of(ports, begun)
    ports.parallel.map(
        lambda shard: capture_phases.copy_shard_until(
            ports, begun, base, token=snapshot.token, shard=shard, until_s=until_s
        ),
        range(shards),
    )
    sweep_budget_s = max(0.0, until_s - ports.clock.monotonic_s()) + _SWEEP_AT_LEAST_S
    return capture_phases.seal(ports, snapshot.tenant, snapshot.id, token=snapshot.token, sweep_budget_s=sweep_budget_s)
