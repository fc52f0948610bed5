"""What the phases of a backup do otherwise for an image that was uploaded: there is no snapshot of EC2's, what was sent
is stored. The parts are removed once they are stored, or never will be.
"""

from typing import Final

from tidemark.domain.blocks import Image
from tidemark.domain.snapshot import Failure
from tidemark.domain.upload import Upload
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.engine.blocks import uploads
from tidemark.engine.blocks.uploads import UploadedParts
from tidemark.errors import ImportIncomplete, ImportRefused
from tidemark.ports import Ports
from tidemark.usecases.records import amend_volume_snapshot
from tidemark.usecases.volume_phases.lifecycle import end

_CREATING: Final = VolumeSnapshotState.CREATING


def begin(ports: Ports, snapshot: VolumeSnapshot, upload: Upload) -> VolumeSnapshot:
    """Look that all parts are there, and let them be what is stored. Raises ImportIncomplete, ImportRefused."""
    try:
        uploads.check_parts(ports, snapshot, upload, uploads.kept_index(ports.payloads, snapshot, upload))
    except ImportIncomplete:
        # Another run may have stored and removed them meanwhile.
        found = ports.volumes.volume_snapshot(snapshot.environment, snapshot.id)
        if found.state is _CREATING:
            raise
        return found
    return amend_volume_snapshot(
        ports.volumes,
        snapshot.environment,
        snapshot.id,
        lambda record: record.cut(None) if record.state is _CREATING else record,
    )


def blocks_of(ports: Ports, snapshot: VolumeSnapshot, upload: Upload) -> UploadedParts:
    """The blocks that were uploaded."""
    return UploadedParts(
        ports.payloads,
        ports.parallel,
        snapshot,
        upload,
        lambda: uploads.kept_index(ports.payloads, snapshot, upload),
    )


def check_digest(upload: Upload, digest: str) -> None:
    """Raises ImportRefused unless the image is the one that was told, if that was."""
    if upload.digest not in {None, digest}:
        raise ImportRefused(
            f"the image that arrived has the digest {digest}, and was said to have {upload.digest}: parts of it are "
            "missing from the list of parts, or out of place; import it again"
        )


def let_go(ports: Ports, snapshot: VolumeSnapshot, upload: Upload, shard: int) -> None:
    """Remove the parts of a shard that is stored, and was read back. Can be repeated."""
    uploads.remove_parts(ports, snapshot, upload, Image(snapshot.size_bytes).range_of(shard))


def give_up(ports: Ports, snapshot: VolumeSnapshot, failure: Failure) -> VolumeSnapshot:
    """Fail an import whose parts are still waited for, and remove those that have arrived. One whose parts have all
    arrived meanwhile goes on. Can be repeated.
    """
    snapshot = amend_volume_snapshot(
        ports.volumes,
        snapshot.environment,
        snapshot.id,
        lambda record: record.failed(failure) if record.awaits_upload else record,
    )
    return end(ports, snapshot)


def give_up_late(ports: Ports, snapshot: VolumeSnapshot) -> None:
    """Fail an import whose parts did not come in time."""
    if snapshot.awaits_upload and snapshot.uploaded is not None and ports.clock.now() >= snapshot.uploaded.until:
        late = ImportIncomplete(
            f"the parts of the image did not all arrive until {snapshot.uploaded.until:%Y-%m-%d %H:%M} UTC"
        )
        give_up(ports, snapshot, Failure(late.code, late.message))
