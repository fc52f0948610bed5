"""Export the image of a volume's snapshot: its manifest and the packs that this names, as they are stored."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tidemark.domain.blocks import Image
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.manifest import PackRef
from tidemark.domain.snapshot import ManifestRef
from tidemark.domain.volume import VolumeSnapshot
from tidemark.engine.blocks.manifests import check_manifest
from tidemark.errors import ManifestCorrupt
from tidemark.ports import Ports
from tidemark.usecases.read_volume_snapshots import get_volume_snapshot
from tidemark.usecases.records import amend_volume_snapshot

# The record is written once for all pages of an export that are asked for within this time.
_AHEAD: Final = timedelta(hours=1)


class ImageExport(NamedTuple):
    """What somebody needs to put the image together. `blocks` are those that are not zeros."""

    snapshot: VolumeSnapshot
    manifest: ManifestRef
    image: Image
    blocks: int
    digest: str
    packs: tuple[PackRef, ...]


def export_volume_image(
    ports: Ports, environment_id: EnvironmentId, snapshot_id: str, *, until: datetime
) -> ImageExport:
    """The export. What it names stays there until then at least, also when the snapshot is deleted.

    Raises EnvironmentNotFound, VolumeSnapshotNotFound, WrongState unless it is stored, Corrupt ones.
    """
    snapshot = get_volume_snapshot(ports, environment_id, snapshot_id)
    snapshot.check_stored()
    manifest = check_manifest(ports.payloads, snapshot)

    def shared(record: VolumeSnapshot) -> VolumeSnapshot:
        record.check_stored()
        if record.shared_until is not None and until <= record.shared_until:
            return record
        return replace(record, shared_until=until + _AHEAD)

    # Before any address is given out: a collection that reads the record later knows of them.
    snapshot = amend_volume_snapshot(ports.volumes, environment_id, snapshot_id, shared)
    if snapshot.image is None or manifest.image is None:
        raise ManifestCorrupt(f"the record of snapshot {snapshot.id} names no manifest of an image")
    return ImageExport(
        snapshot, snapshot.image.manifest, manifest.image, manifest.records, snapshot.image.digest, manifest.packs
    )
