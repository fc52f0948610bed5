"""Which stored objects the snapshots of an environment's volumes need. The order that makes it safe to delete the rest
is that of `engine.collect`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import batched
from typing import Final

from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.snapshot import CaptureId, SnapshotId
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshot, VolumeSnapshotState
from tidemark.domain.volume_parents import blamed_by
from tidemark.engine import manifests
from tidemark.engine.collect import Named, capture_of, named_by, settled, unneeded
from tidemark.errors import CatalogCorrupt
from tidemark.ports import Ports, StoredObject

# A terabyte takes 32,000 packs: its manifest is tens of megabytes in memory, and snapshots share most of the names.
_AT_ONCE: Final = 4
_GONE: Final = frozenset({VolumeSnapshotState.DELETING, VolumeSnapshotState.DELETED})


def read_records(ports: Ports, environment: EnvironmentId) -> tuple[VolumeSnapshot, ...] | None:
    """All snapshots of the environment as they were at one moment, between two readings that agree; None when they
    never did. Raises CatalogCorrupt where one can't be read: nobody knows what that needs.
    """

    def read() -> tuple[VolumeSnapshot, ...]:
        found = []
        for one in ports.volumes.volume_snapshots(environment):
            if isinstance(one, DamagedVolumeSnapshot):
                raise CatalogCorrupt(one.failure.message)
            found.append(one)
        return tuple(found)

    return settled(read)


def read_manifests(ports: Ports, snapshots: Sequence[VolumeSnapshot]) -> Named:
    """What is needed: all that the images of snapshots name which are not going, or of which somebody has addresses
    that are still good, and the manifests of those that are being made. `snapshots` are all of an environment, as they
    were at one moment.

    What a snapshot is stored upon needs no rule of its own: it can't be deleted while that uses it. That is why it has
    to be one moment: else a snapshot may be met while it is being made, and what it is made upon when that was deleted.
    """
    now = ports.clock.now()
    images = [one.image.manifest for one in snapshots if one.image is not None and not _gone(one, now)]
    keys = {manifests.manifest_key(image_owner(one.environment), SnapshotId(one.id)) for one in _running(snapshots)}
    problems: list[str] = []
    for some in batched(images, _AT_ONCE, strict=False):
        for named in ports.parallel.map(lambda reference: named_by(ports, reference), some):
            keys |= named.keys
            problems += named.problems
    return Named(frozenset(keys), tuple(problems))


def garbage(listed: Iterable[StoredObject], snapshots: Sequence[VolumeSnapshot], named: Named) -> list[StoredObject]:
    """What was listed and nobody needs. What a snapshot that is being made has stored is filed under its id."""
    return unneeded(listed, frozenset(CaptureId(one.id) for one in _running(snapshots)), named)


def forgettable(
    snapshots: Sequence[VolumeSnapshot], named: Named, left: Iterable[StoredObject]
) -> list[VolumeSnapshot]:
    """The deleted ones whose record says nothing any more: their manifest is not needed, none of their own objects is
    `left`, and none tells that one which is still stored is damaged. Packs that others name are theirs from now on.
    """
    keys = {one.key for one in left}
    captures = {capture_of(key) for key in keys}
    keys |= named.keys
    stored = {one.id for one in snapshots if one.state is VolumeSnapshotState.STORED}
    return [
        one
        for one in snapshots
        if one.state is VolumeSnapshotState.DELETED
        and CaptureId(one.id) not in captures
        and manifests.manifest_key(image_owner(one.environment), SnapshotId(one.id)) not in keys
        and blamed_by(one) not in stored
    ]


def _gone(snapshot: VolumeSnapshot, now: datetime) -> bool:
    shared = snapshot.shared_until is not None and now < snapshot.shared_until
    return snapshot.state in _GONE and not shared


def _running(snapshots: Sequence[VolumeSnapshot]) -> list[VolumeSnapshot]:
    return [one for one in snapshots if one.running]
