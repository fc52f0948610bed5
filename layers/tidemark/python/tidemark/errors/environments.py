"""What fails about environments, their snapshots and their tasks; a part of the taxonomy of `tidemark.errors`."""

from tidemark.errors.categories import Conflict, NotFound


class EnvironmentNotFound(NotFound):
    """No environment has this service code and name."""


class VolumeNotFound(NotFound):
    """No such volume in this environment."""


class VolumeSnapshotNotFound(NotFound):
    """No such snapshot of a volume in this environment."""


class TaskNotFound(NotFound):
    """No such task in the environments that the key is for."""


class NameTaken(Conflict):
    """Another snapshot of the environment has this name; `snapshot_id` names it."""

    def __init__(self, message: str, *, snapshot_id: str) -> None:
        super().__init__(message)
        self.snapshot_id = snapshot_id


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
