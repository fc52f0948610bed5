"""Images with the records of their snapshots: those of a volume, and as verification, scrub and collector read them."""

from tests.unit.blocks.imaging import AT, IMAGE, Imaging
from tests.unit.volumes.examples import snapshot as example
from tidemark.domain.environment import environment_id, image_owner
from tidemark.domain.live import Cut, FencingToken, Generation
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
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


def recorded(made: Imaging, sealed: Sealed) -> Snapshot:
    """The newest snapshot as a record that is verified, scrubbed and collected by; it is in the catalog."""
    manifest = made.newest
    made.ports.catalog.add_tenant(made.owner)
    return made.ports.catalog.add_snapshot(
        Snapshot(
            made.owner,
            manifest.snapshot_id,
            AT,
            manifest.capture_id,
            FencingToken(1),
            SnapshotStatus.COMPLETED,
            generation=Generation(0),
            cut=Cut(0),
            entity_count=sealed.blocks,
            stored_bytes=sealed.stored_bytes,
            new_bytes=sealed.new_bytes,
            manifest=sealed.manifest,
        )
    )
