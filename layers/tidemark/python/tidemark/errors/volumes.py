"""What fails about volumes, their images and the service that has them; a part of the taxonomy of `tidemark.errors`."""

from tidemark.errors.categories import Conflict, Corrupt, NotFound, Unavailable


class VolumeNotFound(NotFound):
    """No such volume in this region."""


class DiskSnapshotNotFound(NotFound):
    """EC2 has no such snapshot of a volume, or no more."""


class DiskSnapshotsUnrelated(Conflict):
    """The two snapshots are not of one volume, so what changed between them is not known."""


class DiskSnapshotNotReady(Conflict):
    """The snapshot is not in the state that this needs: completed to be read, pending to be written."""


class BlockDamaged(Corrupt):
    """A block was read from a volume's snapshot, or written to one, and is not what its checksum says."""


class DisksRefused(Unavailable):
    """EC2 or EBS does not do what the stack asks of it: its operator has to act, on a right or a quota."""

    retryable = False
