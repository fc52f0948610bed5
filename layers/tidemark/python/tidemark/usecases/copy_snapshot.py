"""Ask for a copy of a snapshot, in this tenant or another one: register it, hold its source, start its state machine.

The copy needs nothing of the live data of either tenant, so it takes no lease: its own record, `creating`, fences it.
"""

from dataclasses import replace
from itertools import count

from tidemark.domain.asked import Asked
from tidemark.domain.live import Cut, FencingToken, Generation
from tidemark.domain.snapshot import (
    CaptureId,
    Failure,
    Origin,
    Snapshot,
    SnapshotStatus,
    Trigger,
    copy_user,
    snapshot_id,
    transfer_id,
)
from tidemark.domain.tenant import Tenant
from tidemark.errors import RecordExists, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.contention import FIRST_EXECUTION
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.repeats import transfer_asked_for
from tidemark.usecases.transfer_phases.lifecycle import copyable, fail


def copy_snapshot(
    ports: Ports,
    tenant: Tenant,
    identity: str,
    target: Tenant,
    *,
    description: str = "",
    asked: Asked | None = None,
) -> Snapshot:
    """The copy, `CREATING`, with its execution started; without a description of its own it has its source's.

    What was `asked` for before, by a request that died, is not begun again: the copy is the one that it registered.
    Raises SnapshotNotFound, SnapshotNotCompleted, KeyReused.
    """
    if asked is not None:
        begun = transfer_asked_for(ports, target, asked)
        if begun is not None:
            return _started(ports, begun)
    source = copyable(get_snapshot(ports, tenant, identity))
    copy = register(
        ports,
        target,
        kind="copy",
        trigger=Trigger.COPY,
        description=description or source.description,
        origin=Origin("", ports.clock.now(), FIRST_EXECUTION, source.tenant, source.id, 0, source.entity_count),
        asked=asked,
    )
    user = copy_user(target, copy.id)
    try:
        # After the copy is registered: whoever meets this user later finds out from its record whether it is over.
        amend_snapshot(ports.catalog, tenant, source.id, lambda record: copyable(record).using(user))
        return _started(ports, copy)
    except TidemarkError as error:
        fail(ports, target, copy.id, Failure(error.code, error.message))
        raise


def register(
    ports: Ports,
    tenant: Tenant,
    *,
    kind: str,
    trigger: Trigger,
    description: str,
    origin: Origin,
    asked: Asked | None = None,
) -> Snapshot:
    """Add the record of a copy or import under the first id of this second that is free."""
    # First of all: whatever is stored from here on, the collector and the scrub know whose to look at.
    ports.catalog.add_tenant(tenant)
    capture_id = CaptureId(ports.entropy.token_bytes(16).hex())
    now = ports.clock.now()
    for sequence in count(1):
        identity = snapshot_id(now, sequence)
        record = Snapshot(
            tenant=tenant,
            id=identity,
            created_at=now,
            capture_id=capture_id,
            token=FencingToken(0),
            description=description,
            trigger=trigger,
            generation=Generation(0),
            cut=Cut(0),
            origin=replace(origin, transfer_id=transfer_id(kind, identity)),
            asked=asked,
        )
        try:
            return ports.catalog.add_snapshot(record)
        except RecordExists:
            continue
    raise AssertionError("count() ended")


def _started(ports: Ports, copy: Snapshot) -> Snapshot:
    """The copy, with its first execution started unless it is over; that begins by holding the source itself."""
    if copy.origin is None:
        raise AssertionError(f"snapshot {copy.id} was registered without an origin")
    if copy.status is SnapshotStatus.CREATING:
        ports.workflows.start_transfer(copy.tenant, copy.id, copy.origin.transfer_id, attempt=FIRST_EXECUTION)
    return copy
