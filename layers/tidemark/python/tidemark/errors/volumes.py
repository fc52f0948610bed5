"""What fails about environments and volumes, their snapshots, images and tasks, and the service that has them; a part
of the taxonomy of `tidemark.errors`.
"""

from tidemark.errors.categories import Conflict, Corrupt, Fenced, NotFound, Unavailable


class EnvironmentNotFound(NotFound):
    """No environment has this service code and name."""


class VolumeSnapshotNotFound(NotFound):
    """No such snapshot of a volume in this environment."""


class TaskNotFound(NotFound):
    """No such task in the environments that the key is for."""


class EnvironmentExists(Conflict):
    """An environment with this service code and name is there already, with another region or other tags."""


class EnvironmentInUse(Conflict):
    """The environment has something that would be lost with it, or is another one's to change."""


class NameTaken(Conflict):
    """Another snapshot of the environment has this name; `snapshot_id` names it."""

    def __init__(self, message: str, *, snapshot_id: str) -> None:
        super().__init__(message)
        self.snapshot_id = snapshot_id


class TemplateNameTaken(Conflict):
    """Another machine image of the account has this name; `image_id` names it."""

    def __init__(self, message: str, *, image_id: str) -> None:
        super().__init__(message)
        self.image_id = image_id


class VolumeBusy(Conflict):
    """A snapshot of the volume is being made at this moment; `snapshot_id` names it."""

    def __init__(self, message: str, *, volume_id: str, snapshot_id: str) -> None:
        super().__init__(message)
        self.volume_id = volume_id
        self.snapshot_id = snapshot_id


class WrongState(Conflict):
    """What was asked for is not possible in the state that a volume, snapshot or task is in.

    `subject` says of what kind it is, `subject_id` which; `current` and `expected` are states in the domain's words.
    """

    def __init__(
        self, message: str, *, subject: str, subject_id: str, current: str, expected: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.subject = subject
        self.subject_id = subject_id
        self.current = current
        self.expected = expected


class VolumeNotFound(NotFound):
    """No such volume in this region, or in this environment."""


class DiskSnapshotNotFound(NotFound):
    """EC2 has no such snapshot of a volume, or no more."""


class DiskSnapshotsUnrelated(Conflict):
    """The two snapshots are not of one volume, so what changed between them is not known."""


class DiskSnapshotNotReady(Conflict):
    """The snapshot is not in the state that this needs: completed to be read, pending to be written."""


class DiskSnapshotFailed(Unavailable):
    """EC2 could not make a snapshot of a volume that it had begun."""

    retryable = False


class BackupEnded(Fenced):
    """The snapshot of a volume is not being made any more: it is stored, has failed, or was deleted."""


class VolumeNotMade(Unavailable):
    """EC2 could not make a volume or machine image that it had begun."""

    retryable = False


class TaskEnded(Fenced):
    """The task is over: it has made what it was for, has failed, or was cancelled."""


class TaskCancelled(Conflict):
    """Somebody cancelled the task before it was done."""


class BlockDamaged(Corrupt):
    """A block was read from a volume's snapshot, or written to one, and is not what its checksum says."""


class DisksRefused(Unavailable):
    """EC2 or EBS does not do what the stack asks of it: its operator has to act, on a right or a quota."""

    retryable = False


class DiskSnapshotInUse(DisksRefused):
    """EC2 keeps a snapshot of a volume that is to be deleted, as an image is made of it."""
