"""Close what processes that died left of restores and templates: snapshots, volumes and images of EC2's that nobody
needs, uses of snapshots, tasks that no execution drives.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidemark.domain.environment import EnvironmentId
from tidemark.domain.volume import VolumeSnapshot
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.ports.volumes import Disk, DiskSnapshot, MachineImage
from tidemark.usecases.read_volume_snapshots import find_task
from tidemark.usecases.volume_phases.lifecycle import ENVIRONMENT_TAG, drop_dead_users, region_of, tasks_using
from tidemark.usecases.volume_restore_phases.lifecycle import TASK_TAG, end, is_pending, kept_of, made_by, see_through

type _Bearing = DiskSnapshot | Disk | MachineImage


class Closed(NamedTuple):
    """How many tasks were over and had left something, and how many were seen to be driven on; and a sentence for each
    that EC2 or the catalog did not let be closed.
    """

    ended: int
    driven: int
    problems: tuple[str, ...] = ()


def close_volume_restores(ports: Ports, environment_id: EnvironmentId) -> Closed:
    """Close what was left in an environment. Can be repeated. Raises EnvironmentNotFound, and where EC2 does not say
    what it has; a task that fails for itself is a problem, and stops none of the others.
    """
    # First what EC2 has: what a task makes that is registered later can't be taken for what one left that is over.
    found = _found(ports, environment_id)
    records = [one for one in ports.volumes.volume_snapshots(environment_id) if isinstance(one, VolumeSnapshot)]
    used = {identity: one for one in records for identity in tasks_using(one)}
    ended = driven = 0
    problems: list[str] = []
    for identity in sorted({*found, *used}):
        try:
            task = find_task(ports, identity)
            if task is None:
                # What EC2 has of no task that is known may be another stack's, or somebody's by now: it stays.
                if identity in used:
                    drop_dead_users(ports, used[identity])
                    ended += 1
            elif is_pending(task):
                see_through(ports, task)
                driven += 1
            elif identity in used or {one.id for one in found[identity] if made_by(task, one)} - kept_of(task):
                end(ports, task)
                ended += 1
        except TidemarkError as error:
            problems.append(f"task {identity} of {environment_id} was not closed: {error.message}")
    return Closed(ended, driven, tuple(problems))


def _found(ports: Ports, environment_id: EnvironmentId) -> Mapping[str, Sequence[_Bearing]]:
    """What EC2 has that bears the tags of tasks of the environment, by the ids of these."""
    disks, tags = region_of(ports, environment_id).disks, {ENVIRONMENT_TAG: environment_id}
    bearing: list[_Bearing] = [
        *disks.snapshots(tags),
        *disks.volumes(tags),
        *disks.images(tags),
    ]
    found: dict[str, list[_Bearing]] = {}
    for one in bearing:
        if TASK_TAG in one.tags:
            found.setdefault(one.tags[TASK_TAG], []).append(one)
    return found
