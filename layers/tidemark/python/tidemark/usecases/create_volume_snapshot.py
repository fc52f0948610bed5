"""Ask for a snapshot of a volume: register it with its task, and start its state machine."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import NamedTuple

from tidemark.domain.asked import KEPT_FOR, Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.interval import IntervalType
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task, new_task_id
from tidemark.domain.uuids import RANDOM_BYTES
from tidemark.domain.volume import (
    VolumeId,
    VolumeSnapshot,
    VolumeSnapshotState,
    new_volume_snapshot_id,
)
from tidemark.domain.volume_names import check_name, default_name
from tidemark.errors import NameTaken, TidemarkError, VolumeBusy
from tidemark.ports import Ports
from tidemark.usecases.contention import FIRST_EXECUTION
from tidemark.usecases.read_volume_snapshots import list_volume_snapshots
from tidemark.usecases.read_volumes import get_volume
from tidemark.usecases.repeats import same_request
from tidemark.usecases.volume_phases.lifecycle import give_up, see_through


class Wanted(NamedTuple):
    """A snapshot that is asked for. Without a name it has the default one; `keeps_source` keeps EC2's snapshot. One
    that a schedule asks for says which, and the slot.
    """

    volume_id: VolumeId
    name: str | None = None
    keeps_source: bool = False
    interval: IntervalType = IntervalType.MANUAL
    schedule_id: str | None = None
    slot_at: datetime | None = None


def create_volume_snapshot(
    ports: Ports, environment_id: EnvironmentId, wanted: Wanted, *, asked: Asked | None = None
) -> Task:
    """The task that makes the snapshot, with its execution started.

    What was `asked` for before, by a request that died, is not made again: the task is the one that it registered.
    Raises EnvironmentNotFound, VolumeNotFound, WrongState, NameTaken, KeyReused; and VolumeBusy while another snapshot
    of the volume is being made, after making sure that it will come to an end.
    """
    if wanted.name is not None:
        check_name(wanted.name)
    if asked is not None:
        begun = begun_before(ports, environment_id, asked)
        if begun is not None:
            return begun
    volume = get_volume(ports, environment_id, wanted.volume_id)
    volume.check_ready()
    now = ports.clock.now()
    draft = VolumeSnapshot(
        environment=volume.environment,
        id=new_volume_snapshot_id(ports.entropy.token_bytes(RANDOM_BYTES)),
        name=wanted.name or "",
        volume_id=volume.id,
        volume_name=volume.name,
        volume_kind=volume.kind,
        size_bytes=volume.size_bytes,
        created_at=now,
        keeps_source=wanted.keeps_source,
        interval=wanted.interval,
        schedule_id=wanted.schedule_id,
        slot_at=wanted.slot_at,
        asked=asked,
        zone=volume.zone,
        source_kind=volume.source_kind,
    )
    try:
        snapshot, task = register(ports, draft, lambda sequence: default_name(volume, now, sequence))
    except VolumeBusy as busy:
        see_through(ports, environment_id, busy.snapshot_id)
        raise
    try:
        ports.workflows.start_volume_backup(environment_id, snapshot.id, attempt=FIRST_EXECUTION)
    except TidemarkError as error:
        # Perhaps it was started all the same; then it finds that the snapshot is over.
        give_up(ports, environment_id, snapshot.id, Failure(error.code, error.message))
        raise
    return task


def register(ports: Ports, draft: VolumeSnapshot, default: Callable[[int], str]) -> tuple[VolumeSnapshot, Task]:
    """Add the record of a snapshot, and that of the task which makes it. One that has no name is given the first
    default one that is free; these are counted from 1. Raises NameTaken, VolumeBusy.
    """
    task = Task(
        id=new_task_id(ports.entropy.token_bytes(RANDOM_BYTES)),
        environment=draft.environment,
        operation=Operation.CREATE,
        snapshot_id=draft.id,
        created_at=draft.created_at,
        asked=draft.asked,
    )
    for sequence in count(1):
        named = replace(draft, name=draft.name or default(sequence), task_id=task.id)
        try:
            return ports.volumes.add_volume_snapshot(named, task), replace(task, version=task.version + 1)
        except NameTaken:
            if draft.name:
                raise
    raise AssertionError("count() ended")


def begun_before(ports: Ports, environment_id: EnvironmentId, asked: Asked) -> Task | None:
    """The task that the same request has begun; None where it began none, or one whose snapshot failed. One that is
    under way is seen through.
    """
    since = ports.clock.now() - KEPT_FOR
    for snapshot in list_volume_snapshots(ports, environment_id).snapshots:
        if snapshot.created_at < since:
            return None
        if snapshot.state is VolumeSnapshotState.FAILED or snapshot.task_id is None:
            continue
        if same_request(snapshot.asked, asked):
            if snapshot.running:
                see_through(ports, environment_id, snapshot.id)
            return ports.volumes.task(snapshot.task_id)
    return None
