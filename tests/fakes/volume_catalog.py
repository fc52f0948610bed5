"""The records of volumes in memory."""

import threading
from collections.abc import Iterator

from tests.fakes.catalog import Shelf
from tidemark.domain.environment import Environment, EnvironmentId
from tidemark.domain.task import Task
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshot, VolumeSnapshotState
from tidemark.errors import (
    EnvironmentNotFound,
    NameTaken,
    RecordExists,
    TaskNotFound,
    VolumeBusy,
    VolumeSnapshotNotFound,
)


class MemoryVolumeCatalog:
    """All records in dictionaries, behind one lock. `_holders` says whose the names and volumes are."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._environments = Shelf[str, Environment]("environment", EnvironmentNotFound)
        self._snapshots = Shelf[tuple[str, str], VolumeSnapshot]("snapshot", VolumeSnapshotNotFound)
        self._tasks = Shelf[str, Task]("task", TaskNotFound)
        self._holders: dict[tuple[str, str, str], str] = {}

    def add_environment(self, environment: Environment) -> Environment:
        with self._lock:
            return self._environments.add(environment.id, environment)

    def environment(self, environment_id: str) -> Environment:
        with self._lock:
            return self._environments.get(environment_id, environment_id)

    def environments(self) -> Iterator[Environment]:
        with self._lock:
            found = sorted(self._environments.records.items())
        yield from (environment for _, environment in found)

    def environment_ids(self) -> Iterator[EnvironmentId]:
        with self._lock:
            found = sorted(self._environments.records)
        yield from map(EnvironmentId, found)

    def replace_environment(self, environment: Environment) -> Environment:
        with self._lock:
            return self._environments.replace(environment.id, environment)

    def remove_environment(self, environment: Environment) -> None:
        with self._lock:
            self._environments.remove(environment.id, environment)

    def add_volume_snapshot(self, snapshot: VolumeSnapshot, task: Task | None = None) -> VolumeSnapshot:
        key = (snapshot.environment, snapshot.id)
        name, volume = _name_of(snapshot), _volume_of(snapshot)
        with self._lock:
            if key in self._snapshots.records:
                return self._snapshots.add(key, snapshot)
            if name in self._holders:
                raise NameTaken(f"the name {snapshot.name!r} is taken", snapshot_id=self._holders[name])
            if volume in self._holders:
                held = self._holders[volume]
                raise VolumeBusy(f"{held} is being made", volume_id=snapshot.volume_id, snapshot_id=held)
            if task is not None:
                if task.id in self._tasks.records:
                    raise RecordExists(f"task {task.id} is already registered")
                self._tasks.add(task.id, task)
            self._holders |= {name: snapshot.id, volume: snapshot.id}
            return self._snapshots.add(key, snapshot)

    def volume_snapshot(self, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
        with self._lock:
            return self._snapshots.get((environment_id, snapshot_id), snapshot_id)

    def volume_snapshots(self, environment_id: str) -> Iterator[VolumeSnapshot | DamagedVolumeSnapshot]:
        with self._lock:
            found = [one for (owner, _), one in self._snapshots.records.items() if owner == environment_id]
        yield from found

    def replace_volume_snapshot(self, snapshot: VolumeSnapshot, task: Task | None = None) -> VolumeSnapshot:
        with self._lock:
            if task is not None and task.id in self._tasks.records:
                raise RecordExists(f"task {task.id} is already registered")
            stored = self._snapshots.replace((snapshot.environment, snapshot.id), snapshot)
            gives_back = [] if snapshot.running else [_volume_of(snapshot)]
            if snapshot.state is VolumeSnapshotState.DELETED:
                gives_back.append(_name_of(snapshot))
            for place in gives_back:
                if self._holders.get(place) == snapshot.id:
                    del self._holders[place]
            if task is not None:
                self._tasks.add(task.id, task)
            return stored

    def remove_volume_snapshot(self, snapshot: VolumeSnapshot) -> None:
        with self._lock:
            self._snapshots.remove((snapshot.environment, snapshot.id), snapshot)

    def add_task(self, task: Task) -> Task:
        with self._lock:
            return self._tasks.add(task.id, task)

    def task(self, task_id: str) -> Task:
        with self._lock:
            return self._tasks.get(task_id, task_id)

    def replace_task(self, task: Task) -> Task:
        with self._lock:
            return self._tasks.replace(task.id, task)


def _name_of(snapshot: VolumeSnapshot) -> tuple[str, str, str]:
    return (snapshot.environment, "name", snapshot.name)


def _volume_of(snapshot: VolumeSnapshot) -> tuple[str, str, str]:
    return (snapshot.environment, "volume", snapshot.claims)
