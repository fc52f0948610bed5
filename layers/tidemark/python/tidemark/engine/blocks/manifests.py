"""Manifests of images: read, and held against what the snapshot's record says. No block is looked at."""

from tidemark.domain.blocks import Image
from tidemark.domain.environment import image_owner
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import SnapshotId
from tidemark.domain.volume import VolumeSnapshot
from tidemark.engine import manifests
from tidemark.errors import ManifestCorrupt
from tidemark.ports import PayloadStore


def check_manifest(payloads: PayloadStore, snapshot: VolumeSnapshot) -> Manifest:
    """The manifest of a stored snapshot of a volume, checked byte for byte and against the snapshot's record.

    Raises ManifestCorrupt.
    """
    if snapshot.image is None:
        raise ManifestCorrupt(f"the record of snapshot {snapshot.id} names no manifest")
    manifest = manifests.read(payloads, snapshot.image.manifest)
    stated = (image_owner(snapshot.environment), SnapshotId(snapshot.id), snapshot.size_bytes)
    if (manifest.tenant, manifest.snapshot_id, image_of(manifest).size_bytes) != stated:
        raise ManifestCorrupt(f"manifest {snapshot.image.manifest.key} is of another snapshot than {snapshot.id}")
    if (manifest.digest, manifest.stored_bytes) != (snapshot.image.digest, snapshot.image.stored_bytes):
        raise ManifestCorrupt(
            f"manifest {snapshot.image.manifest.key} has {manifest.stored_bytes} bytes of an image with the digest "
            f"{manifest.digest}, the record of {snapshot.id} says {snapshot.image.stored_bytes} and "
            f"{snapshot.image.digest}"
        )
    return manifest


def image_of(manifest: Manifest) -> Image:
    """The image whose blocks the manifest is of. Raises ManifestCorrupt."""
    image = manifest.image
    if image is None or image.shards != len(manifest.shards):
        raise ManifestCorrupt(f"the manifest of {manifest.snapshot_id} is not that of an image, or lacks shards of it")
    return image
