"""Import a snapshot from files: first they are uploaded, then their entities become an ordinary snapshot."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.asked import Asked
from tidemark.domain.snapshot import Failure, Origin, Snapshot, SnapshotStatus, Trigger
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer import plans
from tidemark.engine.transfer.plans import ImportFile, ImportPlan
from tidemark.errors import (
    ImportIncomplete,
    ImportNotOpen,
    ObjectExists,
    ObjectNotFound,
    TidemarkError,
    TransferEnded,
)
from tidemark.ports import Ports, UploadedPart
from tidemark.usecases.contention import FIRST_EXECUTION
from tidemark.usecases.copy_snapshot import register
from tidemark.usecases.read_snapshots import get_snapshot
from tidemark.usecases.records import amend_snapshot
from tidemark.usecases.repeats import transfer_asked_for
from tidemark.usecases.transfer_phases.lifecycle import fail


class ImportWanted(NamedTuple):
    """What is to be imported. `records` and `digest` are what a manifest says, None where there is none."""

    files: tuple[ImportFile, ...]
    description: str = ""
    path: str = "/"
    records: int | None = None
    digest: str | None = None


class Opened(NamedTuple):
    """An import that waits for its files. `arrived` are the parts of each that are there, by number from 1."""

    snapshot: Snapshot
    files: tuple[ImportFile, ...]
    arrived: tuple[frozenset[int], ...]

    def upload_urls(self, ports: Ports, number: int, expires_s: int) -> list[str | None]:
        """The address of each part of a file, in their order; None for one that has arrived."""
        key = plans.file_key(self.snapshot.tenant, self.snapshot.capture_id, number)
        file, arrived = self.files[number], self.arrived[number]
        return [
            None if part in arrived else ports.links.upload(key, file.upload_id, part, expires_s=expires_s)
            for part in range(1, file.parts + 1)
        ]


def open_import(ports: Ports, tenant: Tenant, wanted: ImportWanted, *, asked: Asked | None = None) -> Snapshot:
    """Register the snapshot and begin the upload of each file.

    What was `asked` for before, by a request that died, is not registered again. Raises KeyReused.
    """
    if asked is not None:
        begun = transfer_asked_for(ports, tenant, asked)
        if begun is not None:
            return _with_uploads(ports, begun, wanted)
    snapshot = register(
        ports,
        tenant,
        kind="import",
        trigger=Trigger.IMPORT,
        description=wanted.description,
        origin=Origin("", ports.clock.now(), total=wanted.records),
        asked=asked,
    )
    try:
        return _begin_uploads(ports, snapshot, wanted)
    except TidemarkError as error:
        fail(ports, tenant, snapshot.id, Failure(error.code, error.message))
        raise


def read_import(ports: Ports, tenant: Tenant, identity: str) -> Opened:
    """An import that was opened, its files as if none had arrived.

    Raises SnapshotNotFound, also when it was deleted, ImportIncomplete when it was given up.
    """
    snapshot = get_snapshot(ports, tenant, identity)
    files = _plan(ports, snapshot).files
    return Opened(snapshot, files, (frozenset(),) * len(files))


def _with_uploads(ports: Ports, snapshot: Snapshot, wanted: ImportWanted) -> Snapshot:
    """The import, its uploads begun if the request that registered it did not come so far."""
    try:
        plans.read(ports.payloads, snapshot.tenant, snapshot.capture_id)
    except TransferEnded:
        return _begin_uploads(ports, snapshot, wanted)
    return snapshot


def _begin_uploads(ports: Ports, snapshot: Snapshot, wanted: ImportWanted) -> Snapshot:
    """Begin the upload of each file, then store the plan, which says that all of them are begun."""
    tenant = snapshot.tenant
    state = ports.table.load(tenant).state
    keys = [plans.file_key(tenant, snapshot.capture_id, number) for number in range(len(wanted.files))]
    uploads = ports.parallel.map(ports.links.begin_upload, keys)
    files = tuple(replace(file, upload_id=upload) for file, upload in zip(wanted.files, uploads, strict=True))
    shards = state.shards if state is not None else ports.layout.shards
    plan = ImportPlan(files, wanted.path, shards, wanted.records, wanted.digest)
    # Whoever stored one at the same time has begun the uploads that count.
    with suppress(ObjectExists):
        plans.store(ports.payloads, tenant, snapshot.capture_id, plan)
    return snapshot


def open_again(ports: Ports, tenant: Tenant, identity: str) -> Opened:
    """An import that still waits for its files, and which parts have arrived, so that new addresses of the others can
    be given out. Changes nothing.

    Raises SnapshotNotFound, ImportNotOpen, ImportIncomplete when the uploads were given up.
    """
    snapshot = _open(get_snapshot(ports, tenant, identity))
    if not snapshot.awaits_files:
        raise ImportNotOpen(f"the import of snapshot {snapshot.id} has begun: all its files have arrived")
    files = _plan(ports, snapshot).files
    arrived = ports.parallel.map(lambda number: _whole_parts(ports, snapshot, number, files[number]), range(len(files)))
    return Opened(snapshot, files, tuple(arrived))


def start_import(ports: Ports, tenant: Tenant, identity: str) -> Snapshot:
    """The import, begun: its uploads are completed and its execution started. Repeating it changes nothing.

    Raises SnapshotNotFound, ImportNotOpen, ImportIncomplete naming what is missing.
    """
    snapshot = _open(get_snapshot(ports, tenant, identity))
    if snapshot.awaits_files:
        plan = _plan(ports, snapshot)
        uploads = ports.parallel.map(
            lambda number: _arrived(ports, snapshot, number, plan.files[number]), range(len(plan.files))
        )
        ports.parallel.map(
            lambda number: _complete(ports, snapshot, number, plan.files[number], uploads[number]), range(len(uploads))
        )

    def begin(record: Snapshot) -> Snapshot:
        origin = _open(record).origin
        if origin is None or origin.attempt:
            return record
        return replace(record, origin=replace(origin, attempt=FIRST_EXECUTION, started_at=ports.clock.now()))

    snapshot = amend_snapshot(ports.catalog, tenant, identity, begin)
    if snapshot.origin is not None and snapshot.origin.attempt == FIRST_EXECUTION:
        ports.workflows.start_transfer(tenant, snapshot.id, snapshot.origin.transfer_id, attempt=FIRST_EXECUTION)
    return snapshot


def _open(snapshot: Snapshot) -> Snapshot:
    if snapshot.trigger is not Trigger.IMPORT:
        raise ImportNotOpen(f"snapshot {snapshot.id} is not an import; begin one with POST /v2/snapshots/import")
    if snapshot.status is not SnapshotStatus.CREATING:
        raise ImportNotOpen(f"the import of snapshot {snapshot.id} is over: it is {snapshot.status}")
    return snapshot


def _plan(ports: Ports, snapshot: Snapshot) -> ImportPlan:
    try:
        return plans.read(ports.payloads, snapshot.tenant, snapshot.capture_id)
    except TransferEnded as error:
        raise ImportIncomplete(error.message) from error


def _whole_parts(ports: Ports, snapshot: Snapshot, number: int, file: ImportFile) -> frozenset[int]:
    """The parts of a file that have arrived as they must be. Raises ImportIncomplete."""
    found = _parts_there(ports, snapshot, number, file)
    if found is None:
        return frozenset(range(1, file.parts + 1))
    return frozenset(part.number for part in found if part.size_bytes == file.bytes_of(part.number))


def _arrived(ports: Ports, snapshot: Snapshot, number: int, file: ImportFile) -> list[UploadedPart] | None:
    """The parts of a file, all of them; None when the upload is completed. Raises ImportIncomplete."""
    parts = _parts_there(ports, snapshot, number, file)
    if parts is None:
        return None
    sizes = {part.number: part.size_bytes for part in parts}
    for part in range(1, file.parts + 1):
        wanted = file.bytes_of(part)
        if sizes.get(part) != wanted:
            found = f"has {sizes[part]} bytes instead of {wanted}" if part in sizes else "is missing"
            raise ImportIncomplete(
                f"part {part} of {file.parts} of file {file.name!r} {found}; PUT it to its address, then ask again"
            )
    if len(sizes) != file.parts:
        raise ImportIncomplete(f"file {file.name!r} has {len(sizes)} parts instead of {file.parts}; begin it again")
    return parts


def _parts_there(ports: Ports, snapshot: Snapshot, number: int, file: ImportFile) -> list[UploadedPart] | None:
    """The parts of a file that the store has; None when its upload is completed. Raises ImportIncomplete."""
    key = plans.file_key(snapshot.tenant, snapshot.capture_id, number)
    try:
        return ports.links.uploaded(key, file.upload_id)
    except ObjectNotFound:
        _check_uploaded(ports, key, file)
        return None


def _check_uploaded(ports: Ports, key: str, file: ImportFile) -> None:
    try:
        if ports.payloads.head(key).size_bytes == file.size_bytes:
            return
    except ObjectNotFound:
        pass
    raise ImportIncomplete(f"the upload of file {file.name!r} was given up; begin the import again")


def _complete(
    ports: Ports, snapshot: Snapshot, number: int, file: ImportFile, parts: Sequence[UploadedPart] | None
) -> None:
    if parts is None:
        return
    key = plans.file_key(snapshot.tenant, snapshot.capture_id, number)
    try:
        ports.links.complete_upload(key, file.upload_id, parts)
    except ObjectNotFound:
        # Another request has just done so.
        _check_uploaded(ports, key, file)
