"""Import a snapshot of a volume from the raw image of a disk: first its parts are uploaded, then they are stored as any
snapshot is.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.task import Task
from tidemark.domain.upload import AWAITED_FOR, MAX_IMAGE_BYTES, Upload
from tidemark.domain.uuids import RANDOM_BYTES, random_uuid
from tidemark.domain.volume import (
    VolumeId,
    VolumeKind,
    VolumeSnapshot,
    new_volume_snapshot_id,
)
from tidemark.domain.volume_names import check_name, stamped_name
from tidemark.engine.blocks import uploads
from tidemark.errors import ImportNotOpen, InvalidRequest, VolumeNotFound
from tidemark.ports import Ports
from tidemark.usecases.contention import FIRST_EXECUTION
from tidemark.usecases.create_volume_snapshot import begun_before, register
from tidemark.usecases.read_volume_snapshots import get_volume_snapshot, list_volume_snapshots
from tidemark.usecases.read_volumes import get_volume
from tidemark.usecases.records import amend_volume_snapshot

IMPORTED: Final = "imported"


class ImageWanted(NamedTuple):
    """An image that is to be imported, of so many bytes. `volume_id` is the volume that it is of, where that is known;
    else there is a new one, called and of the kind as is said here: without that, `imported`, with data.
    """

    size_bytes: int
    volume_id: VolumeId | None = None
    name: str | None = None
    volume_name: str | None = None
    volume_kind: VolumeKind | None = None


class Opened(NamedTuple):
    """An import that waits for its parts."""

    snapshot: VolumeSnapshot
    upload: Upload


class Begun(NamedTuple):
    """What was asked for: the task, which is over once the image is stored, and the snapshot."""

    task: Task
    snapshot: VolumeSnapshot


class _OfVolume(NamedTuple):
    """What a snapshot says of its volume."""

    id: VolumeId
    name: str
    kind: VolumeKind


def import_volume_image(
    ports: Ports, environment_id: EnvironmentId, wanted: ImageWanted, *, asked: Asked | None = None
) -> Begun:
    """Register a snapshot that waits for the parts of its image, and the task that makes it.

    What was `asked` for before, by a request that died, is not registered again. A volume is one that is there, or that
    there is a snapshot of. Raises EnvironmentNotFound, VolumeNotFound, NameTaken, KeyReused, InvalidRequest.
    """
    check_size(wanted.size_bytes)
    if wanted.name is not None:
        check_name(wanted.name)
    if asked is not None:
        begun = begun_before(ports, environment_id, asked)
        if begun is not None:
            return Begun(begun, ports.volumes.volume_snapshot(environment_id, begun.snapshot_id))
    volume = _volume(ports, environment_id, wanted)
    now = ports.clock.now()
    upload = Upload(wanted.size_bytes, until=now + AWAITED_FOR)
    draft = VolumeSnapshot(
        environment=environment_id,
        id=new_volume_snapshot_id(ports.entropy.token_bytes(RANDOM_BYTES)),
        name=wanted.name or "",
        volume_id=volume.id,
        volume_name=volume.name,
        volume_kind=volume.kind,
        size_bytes=upload.image_bytes,
        created_at=now,
        asked=asked,
        uploaded=upload,
    )
    snapshot, task = register(ports, draft, lambda sequence: stamped_name(IMPORTED, volume.name, now, sequence))
    return Begun(task, snapshot)


def open_upload(ports: Ports, environment_id: EnvironmentId, snapshot_id: str) -> Opened:
    """An import whose parts are waited for. Raises EnvironmentNotFound, VolumeSnapshotNotFound, ImportNotOpen."""
    snapshot = get_volume_snapshot(ports, environment_id, snapshot_id)
    return Opened(snapshot, _open(snapshot))


def complete_upload(
    ports: Ports, environment_id: EnvironmentId, snapshot_id: str, *, digest: str | None = None
) -> Begun:
    """Store the image, all of whose parts have arrived, in the state machine of backups. Repeating it changes nothing.

    `digest` is what the image must have, where that is known. Raises EnvironmentNotFound, VolumeSnapshotNotFound,
    ImportNotOpen; and ImportIncomplete and ImportRefused, naming the part or line, after which it can be tried again.
    """
    snapshot = get_volume_snapshot(ports, environment_id, snapshot_id)
    if snapshot.awaits_upload:
        upload = _open(snapshot)
        text = uploads.sent_index(ports.payloads, snapshot, upload)
        index = uploads.parse_index(text, upload)
        uploads.check_parts(ports, snapshot, upload, index)
        uploads.check_raw(ports.payloads, snapshot, upload, index)
        complete = replace(upload, index_sha256=uploads.keep_index(ports.payloads, snapshot, text), digest=digest)
        snapshot = amend_volume_snapshot(
            ports.volumes,
            environment_id,
            snapshot_id,
            lambda record: replace(record, uploaded=complete) if record.awaits_upload else record,
        )
    if snapshot.uploaded is None or snapshot.uploaded.index_sha256 is None or snapshot.task_id is None:
        raise _not_open(snapshot)
    if snapshot.running:
        # Where this fails, whoever asks again starts it, or the collector does.
        ports.workflows.start_volume_backup(environment_id, snapshot.id, attempt=FIRST_EXECUTION)
    return Begun(ports.volumes.task(snapshot.task_id), snapshot)


def check_size(size_bytes: int) -> None:
    """Raises InvalidRequest unless a volume can have an image of that size."""
    if not 0 < size_bytes <= MAX_IMAGE_BYTES:
        raise InvalidRequest(
            f"an image has 1 to {MAX_IMAGE_BYTES} bytes (64 TiB), as a volume of EBS can have; this has {size_bytes}"
        )


def _volume(ports: Ports, environment_id: EnvironmentId, wanted: ImageWanted) -> _OfVolume:
    if wanted.volume_id is None:
        # That there is such an environment.
        ports.volumes.environment(environment_id)
        identity = VolumeId(random_uuid(ports.entropy.token_bytes(RANDOM_BYTES)))
        return _OfVolume(identity, wanted.volume_name or IMPORTED, wanted.volume_kind or VolumeKind.DATA)
    for one in list_volume_snapshots(ports, environment_id, volume_id=wanted.volume_id).snapshots:
        return _OfVolume(one.volume_id, one.volume_name, one.volume_kind)
    try:
        volume = get_volume(ports, environment_id, wanted.volume_id)
    except VolumeNotFound:
        raise VolumeNotFound(
            f"no volume {wanted.volume_id} in environment {environment_id}, nor a snapshot of one; leave the id out "
            "for a new one"
        ) from None
    return _OfVolume(volume.id, volume.name, volume.kind)


def _open(snapshot: VolumeSnapshot) -> Upload:
    """Its upload, while parts are waited for. Raises ImportNotOpen."""
    if snapshot.uploaded is None or not snapshot.awaits_upload:
        raise _not_open(snapshot)
    return snapshot.uploaded


def _not_open(snapshot: VolumeSnapshot) -> ImportNotOpen:
    if snapshot.uploaded is None:
        return ImportNotOpen(
            f"the snapshot {snapshot.id} is not an import; begin one with POST .../snapshots?operation=import"
        )
    if snapshot.uploaded.index_sha256 is None:
        return ImportNotOpen(f"the import of snapshot {snapshot.id} was given up; begin another one")
    return ImportNotOpen(f"the import of snapshot {snapshot.id} has begun: all its parts have arrived")
