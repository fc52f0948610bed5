"""Begin: take the transfer over, and find out what there is to do."""

from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.snapshot import Origin, Snapshot, SnapshotId, SnapshotStatus, copy_user
from tidemark.domain.tenant import Tenant
from tidemark.engine import verification
from tidemark.engine.transfer import plans
from tidemark.errors import SnapshotNotCompleted
from tidemark.ports import Ports
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.transfer_phases.export import begin_export
from tidemark.usecases.transfer_phases.lifecycle import copyable, take_over


class Begun(NamedTuple):
    """`kind` is copy, export or import; `shards` are those to copy, merge or build, `files` those to sort before.

    `over`: nothing is left to do.
    """

    kind: str
    shards: list[int]
    files: list[int]
    over: bool = False


def begin(ports: Ports, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int) -> Begun:
    """Drive the transfer from now on. Raises TransferEnded, SnapshotNotCompleted, ManifestCorrupt."""
    kind = transfer_id.partition("_")[0]
    if kind == "export":
        shards = begin_export(ports, tenant, snapshot_id, transfer_id, attempt=attempt)
        return Begun(kind, shards or [], [], over=shards is None)
    snapshot = take_over(ports, tenant, snapshot_id, transfer_id, attempt=attempt)
    if snapshot.status is not SnapshotStatus.CREATING or snapshot.origin is None:
        return Begun(kind, [], [], over=True)
    if kind == "import":
        plan = plans.read(ports.payloads, tenant, snapshot.capture_id)
        return Begun(kind, _note_shards(ports, snapshot, plan.shards), list(range(len(plan.files))))
    return Begun(kind, _begin_copy(ports, snapshot, snapshot.origin), [])


def _begin_copy(ports: Ports, copy: Snapshot, origin: Origin) -> list[int]:
    tenant, identity = source_of(origin)
    user = copy_user(copy.tenant, copy.id)
    # Again: the request may have died before it did so.
    source = amend_snapshot(ports.catalog, tenant, identity, lambda record: copyable(record).using(user))
    shards = len(verification.check_manifest(ports.payloads, source).shards)
    return _note_shards(ports, copy, shards, source.digest)


def _note_shards(ports: Ports, snapshot: Snapshot, shards: int, digest: str | None = None) -> list[int]:
    def note(record: Snapshot) -> Snapshot:
        # A run that comes late must not undo what Seal has found out.
        if record.origin is None or record.status is not SnapshotStatus.CREATING:
            return record
        return replace(record, origin=replace(record.origin, shards=shards), digest=digest)

    amend_snapshot(ports.catalog, snapshot.tenant, snapshot.id, note)
    return list(range(shards))


def source_of(origin: Origin) -> tuple[Tenant, SnapshotId]:
    """The tenant and id of the snapshot that a copy is made of. Raises SnapshotNotCompleted."""
    if origin.tenant is None or origin.snapshot_id is None:
        raise SnapshotNotCompleted(f"{origin.transfer_id} names no snapshot to be copied")
    return origin.tenant, origin.snapshot_id
