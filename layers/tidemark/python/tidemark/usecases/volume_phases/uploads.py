"""What the phases of a backup do otherwise for an image that was uploaded: there is no snapshot of EC2's, what was sent
is stored. The parts are removed once they are stored, or never will be.
"""

from collections.abc import Callable
from typing import Final

from tidemark.domain.blocks import Image
from tidemark.domain.manifest import ShardManifest
from tidemark.domain.snapshot import Failure
from tidemark.domain.upload import Upload
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.engine.blocks import uploads
from tidemark.engine.blocks.capture import ShardCut, copy_shard
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


def copy(
    ports: Ports, snapshot: VolumeSnapshot, upload: Upload, job: ShardCut, proceed: Callable[[], None]
) -> ShardManifest:
    """Store a shard of what was uploaded; see `copy_shard`. Raises ImportIncomplete, ImportRefused."""
    source = UploadedParts(
        ports.payloads,
        ports.parallel,
        snapshot,
        upload,
        lambda: uploads.kept_index(ports.payloads, snapshot, upload),
    )
    try:
        return copy_shard(ports, job, source, proceed)
    except ImportIncomplete:
        # Another run may have stored the shard and removed its parts meanwhile: then it is noted, or all is over.
        return copy_shard(ports, job, source, proceed)


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
