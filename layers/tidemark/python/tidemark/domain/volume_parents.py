"""Which snapshots of volumes another one may be stored incrementally from: damage must not be handed on."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from tidemark.domain.snapshot import Scope
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.errors import ManifestCorrupt, PackCorrupt

_IS_DAMAGED: Final = frozenset({PackCorrupt.__name__, ManifestCorrupt.__name__})


def blamed_by(snapshot: VolumeSnapshot) -> VolumeSnapshotId | None:
    """The snapshot for whose damaged bytes this one failed, which was to be stored upon it; None for others."""
    damaged = snapshot.failure is not None and snapshot.failure.code in _IS_DAMAGED
    return snapshot.parent_id if damaged else None


def sound_parents(snapshots: Iterable[VolumeSnapshot]) -> list[VolumeSnapshot]:
    """Those that are stored, and of which nothing is known to be damaged: neither by reading them back, nor because
    one that was to be stored upon them failed for it, and they were not read back as a whole since. `snapshots` are all
    of a volume.
    """
    known = list(snapshots)
    blames: dict[VolumeSnapshotId | None, datetime] = {}
    for one in sorted(known, key=lambda one: one.created_at):
        blames[blamed_by(one)] = one.created_at
    return [one for one in known if one.state is VolumeSnapshotState.STORED and _sound(one, blames.get(one.id))]


def _sound(snapshot: VolumeSnapshot, blamed_at: datetime | None) -> bool:
    found = snapshot.verification
    if found is None or not found.ok:
        return found is None and blamed_at is None
    return blamed_at is None or (found.scope is Scope.FULL and found.checked_at > blamed_at)
