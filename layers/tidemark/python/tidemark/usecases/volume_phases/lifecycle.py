"""What a snapshot of a volume has while it is made, and gives back when that is over: a snapshot of EC2's, and the use
of the snapshot that it is stored incrementally from. Whoever meets one that nobody makes any more drives it on.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from tidemark.domain.environment import EnvironmentId
from tidemark.domain.patience import ask_again_in_s
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import TaskStatus
from tidemark.domain.volume import VolumeSnapshot
from tidemark.engine.blocks import uploads
from tidemark.errors import TaskNotFound, VolumeSnapshotNotFound
from tidemark.ports import Ports
from tidemark.ports.volumes import Region
from tidemark.usecases.contention import next_attempt
from tidemark.usecases.records import amend_volume_snapshot

ENVIRONMENT_TAG: Final = "tidemark:environment"
SNAPSHOT_TAG: Final = "tidemark:snapshot"
_USER: Final = "snapshot "
_TASK_USER: Final = "task "


def tags_of(snapshot: VolumeSnapshot) -> Mapping[str, str]:
    """What EC2's snapshot bears, so that whoever makes it a second time finds it, and whoever ends this one too."""
    return {ENVIRONMENT_TAG: snapshot.environment, SNAPSHOT_TAG: snapshot.id}


def user_of(snapshot: VolumeSnapshot) -> str:
    """What is noted of the snapshot that this one is stored incrementally from."""
    return f"{_USER}{snapshot.id}"


def user_of_task(task_id: str) -> str:
    """What is noted of the snapshot that a task makes something of."""
    return f"{_TASK_USER}{task_id}"


def tasks_using(snapshot: VolumeSnapshot) -> list[str]:
    """The tasks that make something of a snapshot, or did and have not let go of it."""
    return sorted(user.removeprefix(_TASK_USER) for user in snapshot.used_by if user.startswith(_TASK_USER))


def region_of(ports: Ports, environment_id: str) -> Region:
    """The disks of the environment. Raises EnvironmentNotFound."""
    return ports.region(ports.volumes.environment(environment_id).region)


def ask_ec2_again_in_s(waited: timedelta) -> int:
    """After how many seconds to ask EC2 again how far something is that was waited for so long."""
    return ask_again_in_s(waited, shortest_s=2, longest_s=300)


def see_through(ports: Ports, environment_id: EnvironmentId, snapshot_id: str) -> None:
    """Make sure that an execution ends the snapshot: nothing is done while one runs or where it is over, otherwise the
    next attempt is started. An import whose parts are waited for needs none yet.
    """
    attempt = next_attempt(lambda number: ports.workflows.volume_backup_running(snapshot_id, attempt=number))
    # It may have come to its end while its executions were looked at.
    snapshot = ports.volumes.volume_snapshot(environment_id, snapshot_id)
    if attempt is not None and snapshot.running and not snapshot.awaits_upload:
        ports.workflows.start_volume_backup(environment_id, snapshot_id, attempt=attempt)


def give_up(ports: Ports, environment_id: str, snapshot_id: str, failure: Failure) -> VolumeSnapshot:
    """Record why the snapshot can't be made, and give back what it has; one that is over stays what it is. Can be
    repeated.
    """
    snapshot = amend_volume_snapshot(
        ports.volumes, environment_id, snapshot_id, lambda record: record.failed(failure) if record.running else record
    )
    return end(ports, snapshot)


def end(ports: Ports, snapshot: VolumeSnapshot) -> VolumeSnapshot:
    """Give back what a snapshot has that is over; one that is being made is left alone. Can be repeated."""
    if snapshot.running:
        return snapshot
    if snapshot.parent_id is not None:
        user = user_of(snapshot)
        # A parent that is gone has no users.
        with suppress(VolumeSnapshotNotFound):
            amend_volume_snapshot(
                ports.volumes, snapshot.environment, snapshot.parent_id, lambda record: record.released_by(user)
            )
    return remove_source(ports, snapshot)


def remove_source(ports: Ports, snapshot: VolumeSnapshot) -> VolumeSnapshot:
    """Remove every snapshot of EC2's that was made for this one, which is over, and is not to be kept. Can be repeated.

    They are looked for by their tags too: whoever dies right after EC2 has made one has not told of it. Of an import,
    what was uploaded is removed.
    """
    if snapshot.uploaded is not None:
        uploads.remove_all(ports, snapshot)
        return snapshot
    disks = region_of(ports, snapshot.environment).disks
    kept_id = None if snapshot.leaves_source else snapshot.source_id
    found = {one.id for one in disks.snapshots(tags_of(snapshot))}
    if snapshot.source_id is not None:
        found.add(snapshot.source_id)
    for source_id in sorted(found - {kept_id}):
        disks.delete_snapshot(source_id)
    # Last: while the record names it, somebody knows that it is there.
    return amend_volume_snapshot(
        ports.volumes,
        snapshot.environment,
        snapshot.id,
        lambda record: record.without_source() if record.leaves_source else record,
    )


def drop_dead_users(ports: Ports, snapshot: VolumeSnapshot) -> None:
    """Take off a snapshot the notes of those that are over and died before they let go of it."""
    dead = {user for user in snapshot.used_by if user.startswith(_USER)}
    dead = {user for user in dead if not _runs(ports, snapshot.environment, user.removeprefix(_USER))}
    dead |= {user_of_task(one) for one in tasks_using(snapshot) if not _is_pending(ports, one)}

    def without(record: VolumeSnapshot) -> VolumeSnapshot:
        for user in dead:
            record = record.released_by(user)
        return record

    amend_volume_snapshot(ports.volumes, snapshot.environment, snapshot.id, without)


def _runs(ports: Ports, environment_id: EnvironmentId, snapshot_id: str) -> bool:
    try:
        return ports.volumes.volume_snapshot(environment_id, snapshot_id).running
    except VolumeSnapshotNotFound:
        return False


def _is_pending(ports: Ports, task_id: str) -> bool:
    try:
        return ports.volumes.task(task_id).status is TaskStatus.PENDING
    except TaskNotFound:
        return False
