"""Images with the records of their snapshots."""

from tests.unit.blocks.imaging import AT, IMAGE
from tests.unit.volumes.examples import snapshot as example
from tidemark.domain.environment import environment_id, image_owner
from tidemark.domain.manifest import Manifest
from tidemark.domain.volume import StoredImage, VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.engine.blocks.images import Sealed

ENVIRONMENT = environment_id("compute-on", "test_area")
OWNER = image_owner(ENVIRONMENT)


def of_volume(manifest: Manifest, sealed: Sealed) -> VolumeSnapshot:
    """The record of a snapshot of a volume that is stored so."""
    return example(
        environment=ENVIRONMENT,
        id=VolumeSnapshotId(manifest.snapshot_id),
        size_bytes=IMAGE.size_bytes,
        state=VolumeSnapshotState.STORED,
        image=StoredImage(sealed.manifest, sealed.digest, sealed.stored_bytes, sealed.new_bytes, AT),
    )
