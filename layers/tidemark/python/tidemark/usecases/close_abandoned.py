"""Close what nobody can drive on: records whose request registered them when their lease had been given back already,
and what such a request marked too late.

An owner that has lost its lease never gets it again, so a record that is not decided then never will be.
"""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.restore import Restore, RestoreStatus
from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus
from tidemark.engine.collect import Records
from tidemark.errors import LeaseLost, NotFound, StaleRecord
from tidemark.ports import Ports
from tidemark.usecases.restore_phases.lifecycle import end

_GIVEN_UP = Failure(LeaseLost.__name__, "Its request was lost before anybody could go on with it; ask for it again.")


def close_abandoned(ports: Ports, records: Records) -> int:
    """How many records were closed. `records` are as of one moment; one that has moved since is left alone."""
    lease = records.state.lease if records.state is not None else None
    owner = lease.owner if lease is not None else None
    running = {restore.id for restore in records.restoring if restore.owner == owner}
    given_up = [restore for restore in records.restoring if restore.id not in running]
    for restore in given_up:
        end(ports, restore, restore.token, RestoreStatus.FAILED, _GIVEN_UP)
    closed = len(given_up)
    for snapshot in records.snapshots:
        after = _closed(snapshot, owner, {str(one) for one in running}, records.restores)
        if after != snapshot:
            with suppress(StaleRecord, NotFound):
                ports.catalog.replace_snapshot(after)
                closed += 1
    return closed


def _closed(snapshot: Snapshot, owner: str | None, running: set[str], restores: tuple[Restore, ...]) -> Snapshot:
    driven = snapshot.capture_id == owner if snapshot.restore_id is None else snapshot.restore_id in running
    # Copies and imports hold no lease; who drives those is asked by `end_transfers`.
    if snapshot.status is SnapshotStatus.CREATING and not driven and snapshot.origin is None:
        snapshot = replace(snapshot, status=SnapshotStatus.FAILED, failure=_GIVEN_UP)
    over = {restore.id for restore in restores} - running
    return replace(snapshot, used_by=snapshot.used_by - over)
