"""End what nobody drives any more: copies and imports whose execution died, and users of snapshots that are gone.

The collector does this first. Which execution is alive is asked of Step Functions; the clock decides only how long one
that was never started, or an import without its files, is waited for. Ending one too many is safe, since the record
fences it.
"""

from datetime import timedelta
from typing import Final

from tidemark.domain.snapshot import Failure, Snapshot, SnapshotStatus, parse_copy_user
from tidemark.domain.tenant import Tenant
from tidemark.errors import SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.transfer_phases.lifecycle import fail

# Between registering and starting are some calls of one request.
_START_TAKES: Final = timedelta(hours=1)
# As long as the bucket keeps parts of an upload that is not completed.
UPLOAD_TAKES: Final = timedelta(days=1)


def end_transfers(ports: Ports, tenant: Tenant) -> int:
    """End what is dead of the tenant; how many copies and imports that were."""
    ended = 0
    for snapshot in list(ports.catalog.snapshots(tenant)):
        failure = _death(ports, snapshot)
        if failure is not None:
            ended += fail(ports, tenant, snapshot.id, failure).failure == failure
        for user in sorted(snapshot.used_by):
            if _is_over(ports, user):
                amend_snapshot(ports.catalog, tenant, snapshot.id, lambda record, user=user: record.released_by(user))  # type: ignore[misc]
    return ended


def _death(ports: Ports, snapshot: Snapshot) -> Failure | None:
    """Why a copy or import will never be completed; None where that is not so."""
    origin = snapshot.origin
    if origin is None or snapshot.status is not SnapshotStatus.CREATING:
        return None
    age = ports.clock.now() - origin.started_at
    if not origin.attempt:
        late = age > UPLOAD_TAKES
        return Failure("ImportIncomplete", "Its files were not uploaded within a day.") if late else None
    running = ports.workflows.running(snapshot.tenant, origin.transfer_id, attempt=origin.attempt)
    if running is True or (running is None and age <= _START_TAKES):
        return None
    return Failure("TransferEnded", f"Execution {origin.attempt} of {origin.transfer_id} ended without a result.")


def _is_over(ports: Ports, user: str) -> bool:
    """Whether a copy that uses a snapshot is over, or was never registered; False for other users."""
    named = parse_copy_user(user)
    if named is None:
        return False
    try:
        return ports.catalog.snapshot(*named).status is not SnapshotStatus.CREATING
    except SnapshotNotFound:
        return True
