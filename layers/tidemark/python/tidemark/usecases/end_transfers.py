"""End what nobody drives any more: copies and imports whose execution died, and users of snapshots that are over.

The collector does this first. Which execution is alive is asked of Step Functions; the clock decides only how long one
that was never started, or an import without its files, is waited for. Ending one too many is safe, since the record
fences it.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from tidemark.domain.restore import RestoreStatus, parse_restore_user
from tidemark.domain.snapshot import (
    Export,
    ExportStatus,
    Failure,
    Origin,
    Snapshot,
    SnapshotStatus,
    parse_copy_user,
)
from tidemark.domain.tenant import Tenant
from tidemark.errors import RestoreNotFound, SnapshotNotFound
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.transfer_phases.export import fail_export
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
        _end_export(ports, snapshot)
        for user in sorted(snapshot.used_by):
            if _is_over(ports, user):
                amend_snapshot(ports.catalog, tenant, snapshot.id, lambda record, user=user: record.released_by(user))  # type: ignore[misc]
    return ended


def _death(ports: Ports, snapshot: Snapshot) -> Failure | None:
    """Why a copy or import will never be completed; None where that is not so."""
    origin = snapshot.origin
    if origin is None or snapshot.status is not SnapshotStatus.CREATING:
        return None
    if not origin.attempt:
        late = ports.clock.now() - origin.started_at > UPLOAD_TAKES
        return Failure("ImportIncomplete", "Its files were not uploaded within a day.") if late else None
    return _end_of(ports, snapshot.tenant, origin)


def _end_of(ports: Ports, tenant: Tenant, transfer: Origin | Export) -> Failure | None:
    """That the execution which drives a transfer is dead; None where it lives or may still be started."""
    running = ports.workflows.running(tenant, transfer.transfer_id, attempt=transfer.attempt)
    if running is True or (running is None and ports.clock.now() - transfer.started_at <= _START_TAKES):
        return None
    return Failure("TransferEnded", f"Execution {transfer.attempt} of {transfer.transfer_id} ended without a result.")


def _end_export(ports: Ports, snapshot: Snapshot) -> None:
    """End an export that nobody prepares any more: it holds its snapshot."""
    export = snapshot.export
    if export is None or export.status is not ExportStatus.PREPARING:
        return
    failure = _end_of(ports, snapshot.tenant, export)
    if failure is not None:
        fail_export(ports, snapshot.tenant, snapshot.id, export.transfer_id, failure)


def _is_over(ports: Ports, user: str) -> bool:
    """Whether a copy, or a restore into another tenant, that uses a snapshot is over, or was never registered; False
    for other users.
    """
    with suppress(SnapshotNotFound, RestoreNotFound):
        if (copy := parse_copy_user(user)) is not None:
            return ports.catalog.snapshot(*copy).status is not SnapshotStatus.CREATING
        if (restore := parse_restore_user(user)) is not None:
            return ports.catalog.restore(*restore).status is not RestoreStatus.RESTORING
        return False
    return True
