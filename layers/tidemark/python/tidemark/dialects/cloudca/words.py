"""What this dialect calls the states and kinds of things.

Source: the cloud.ca documentation, "Snapshots" and "Volumes"; Apache CloudStack's `Snapshot.State`, `Volume.State` and
`Volume.Type` for the values that it only names.
"""

from collections.abc import Mapping
from typing import Final

from tidemark.domain.interval import IntervalType
from tidemark.domain.task import TaskStatus
from tidemark.domain.volume import VolumeKind, VolumeSnapshotState, VolumeState

SNAPSHOT_STATES: Final[Mapping[VolumeSnapshotState, str]] = {
    VolumeSnapshotState.ALLOCATED: "Allocated",
    VolumeSnapshotState.CREATING: "Creating",
    VolumeSnapshotState.CUT: "CreatedOnPrimary",
    VolumeSnapshotState.STORING: "BackingUp",
    VolumeSnapshotState.STORED: "BackedUp",
    VolumeSnapshotState.FAILED: "Error",
    VolumeSnapshotState.DELETING: "Destroying",
    VolumeSnapshotState.DELETED: "Destroyed",
}
VOLUME_STATES: Final[Mapping[VolumeState, str]] = {
    VolumeState.CREATING: "Creating",
    VolumeState.AVAILABLE: "Ready",
    VolumeState.IN_USE: "Ready",
    VolumeState.DELETING: "Destroy",
    VolumeState.DELETED: "Destroy",
    VolumeState.ERROR: "Error",
}
INTERVALS: Final[Mapping[IntervalType, str]] = {interval: interval.name for interval in IntervalType}
TASKS: Final[Mapping[TaskStatus, str]] = {status: status.name for status in TaskStatus}
# A snapshot says of its volume what CloudStack does, a volume what cloud.ca does.
SNAPSHOT_VOLUME_TYPES: Final[Mapping[VolumeKind, str]] = {VolumeKind.ROOT: "ROOT", VolumeKind.DATA: "DATADISK"}
VOLUME_TYPES: Final[Mapping[VolumeKind, str]] = {VolumeKind.ROOT: "os", VolumeKind.DATA: "data"}

_OF_SUBJECT: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "snapshot": ("snapshots", {state.value: word for state, word in SNAPSHOT_STATES.items()}),
    "volume": ("volumes", {state.value: word for state, word in VOLUME_STATES.items()}),
    "task": ("tasks", {status.value: word for status, word in TASKS.items()}),
}


def kind_of(subject: str) -> str:
    """What the documented errors call the kind of a thing: `snapshots`."""
    return _OF_SUBJECT[subject][0]


def state_of(subject: str, state: str) -> str:
    """What this dialect calls a state that a `WrongState` names."""
    return _OF_SUBJECT[subject][1][state]
