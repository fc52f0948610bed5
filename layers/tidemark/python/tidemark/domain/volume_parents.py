"""Which snapshots of volumes another one may be stored incrementally from: damage must not be handed on."""

from collections.abc import Iterable
from typing import Final

from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.errors import ManifestCorrupt, PackCorrupt

_IS_DAMAGED: Final = frozenset({PackCorrupt.__name__, ManifestCorrupt.__name__})


def blamed_by(snapshot: VolumeSnapshot) -> VolumeSnapshotId | None:
    """The snapshot for whose damaged bytes this one failed, which was to be stored upon it; None for others."""
    damaged = snapshot.failure is not None and snapshot.failure.code in _IS_DAMAGED
    return snapshot.parent_id if damaged else None


def sound_parents(snapshots: Iterable[VolumeSnapshot]) -> list[VolumeSnapshot]:
    """Those that are stored, and of which nothing is known to be damaged: neither by reading them back, nor because
    one that was to be stored upon them failed for it. `snapshots` are all of a volume.
    """
    known = list(snapshots)
    blamed = {blamed_by(one) for one in known}
    return [one for one in known if one.state is VolumeSnapshotState.STORED and one.id not in blamed and _good(one)]


def _good(snapshot: VolumeSnapshot) -> bool:
    return snapshot.verification is None or snapshot.verification.ok
