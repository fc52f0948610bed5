"""The port of the records of volumes: environments, snapshots of volumes, and tasks."""

from collections.abc import Iterator
from typing import Protocol

from tidemark.domain.environment import Environment, EnvironmentId
from tidemark.domain.task import Task
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshot


class VolumeCatalog(Protocol):
    """The records of environments, snapshots of volumes and tasks; their rules are those of `Catalog`.

    A name is one snapshot's of the environment, from when that is added until it is deleted. A volume has one snapshot
    at most that is being made of it; imports count for none.
    """

    def add_environment(self, environment: Environment) -> Environment:
        """Register an environment. Raises RecordExists."""
        ...

    def environment(self, environment_id: str) -> Environment:
        """One environment. Raises EnvironmentNotFound."""
        ...

    def environments(self) -> Iterator[Environment]:
        """Every environment, in the order of their ids."""
        ...

    def environment_ids(self) -> Iterator[EnvironmentId]:
        """The ids of all environments, in their order, those whose records are damaged too."""
        ...

    def replace_environment(self, environment: Environment) -> Environment:
        """Store a changed environment. Raises StaleRecord, EnvironmentNotFound."""
        ...

    def remove_environment(self, environment: Environment) -> None:
        """Forget an environment, conditional on its version. Repeating it changes nothing. Raises StaleRecord."""
        ...

    def add_volume_snapshot(self, snapshot: VolumeSnapshot, task: Task | None = None) -> VolumeSnapshot:
        """Register a snapshot that is to be made, with the task that makes it, if one does: both or neither.

        Raises NameTaken, VolumeBusy, RecordExists; and WriteConflict where another one was registered at this moment.
        """
        ...

    def volume_snapshot(self, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
        """One snapshot. Raises VolumeSnapshotNotFound."""
        ...

    def volume_snapshots(self, environment_id: str) -> Iterator[VolumeSnapshot | DamagedVolumeSnapshot]:
        """The snapshots of an environment in every state, in any order, where a damaged record is no reason to see none
        of the others.
        """
        ...

    def replace_volume_snapshot(self, snapshot: VolumeSnapshot, task: Task | None = None) -> VolumeSnapshot:
        """Store a changed snapshot, whose name and volume are what they were. One that is no longer being made leaves
        its volume to the next one, one that is deleted its name. With a `task`, that is new, both are stored or neither
        is. Raises StaleRecord, VolumeSnapshotNotFound, RecordExists for the task; and WriteConflict where what belongs
        to it was written at this moment.
        """
        ...

    def remove_volume_snapshot(self, snapshot: VolumeSnapshot) -> None:
        """Forget a snapshot that is deleted, conditional on its version. Repeating it changes nothing. Raises
        StaleRecord.
        """
        ...

    def add_task(self, task: Task) -> Task:
        """Register a task. It is forgotten some time after its `kept_until`. Raises RecordExists."""
        ...

    def task(self, task_id: str) -> Task:
        """One task, of whatever environment. Raises TaskNotFound."""
        ...

    def replace_task(self, task: Task) -> Task:
        """Store a changed task. Raises StaleRecord, TaskNotFound."""
        ...
