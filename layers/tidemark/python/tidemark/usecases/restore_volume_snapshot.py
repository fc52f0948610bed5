"""Ask for a volume, or a machine image, to be made of a snapshot: register the task with the use of the snapshot, and
start its state machine.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple

from tidemark.domain.asked import KEPT_FOR, Asked
from tidemark.domain.environment import MAX_TAGS, Environment, EnvironmentId
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Making, Operation, Task, TaskId, TaskStatus, new_task_id
from tidemark.domain.uuids import RANDOM_BYTES, derived_uuid
from tidemark.domain.volume import VolumeSnapshot
from tidemark.domain.volume_names import (
    RESERVED,
    check_name,
    check_template_name,
    check_volume_name,
    default_template_name,
)
from tidemark.errors import (
    InvalidRequest,
    RecordExists,
    StaleRecord,
    TemplateNameTaken,
    TidemarkError,
    VolumeNotFound,
)
from tidemark.ports import Ports
from tidemark.usecases.contention import FIRST_EXECUTION
from tidemark.usecases.read_volume_snapshots import find_task, get_volume_snapshot
from tidemark.usecases.read_volumes import get_volume
from tidemark.usecases.repeats import same_request
from tidemark.usecases.volume_phases.lifecycle import region_of, user_of_task
from tidemark.usecases.volume_restore_phases.lifecycle import OWN_TAGS, fail, is_pending, release

# Kinds of volumes that need to be told no more than their size. Of others EC2 wants to know how fast they are to be.
_PLAIN_KINDS: Final = frozenset({"gp2", "gp3", "st1", "sc1", "standard"})
_DEFAULT_KIND: Final = "gp3"


class RestoreWish(NamedTuple):
    """A volume that is asked for. Without a name it has that of the snapshot's volume; without a zone it is where that
    was.
    """

    name: str | None = None
    zone: str | None = None


class TemplateWish(NamedTuple):
    """A machine image that is asked for. Without a name it has the snapshot's."""

    name: str | None = None
    description: str = ""


def restore_volume_snapshot(
    ports: Ports, environment_id: EnvironmentId, snapshot_id: str, wish: RestoreWish, *, asked: Asked | None = None
) -> Task:
    """The task that makes a volume of the snapshot, with its execution started.

    What was `asked` for before, by a request that died, is not made again. Raises EnvironmentNotFound,
    VolumeSnapshotNotFound, WrongState, InvalidRequest, KeyReused.
    """

    def making(snapshot: VolumeSnapshot) -> Making:
        environment = ports.volumes.environment(environment_id)
        for key in environment.tags:
            if key.startswith(RESERVED):
                raise InvalidRequest(
                    f"no volume can be restored into {environment_id}: its volumes are told by the tag {key}, which "
                    "AWS alone sets; its operator has to choose another tag"
                )
        if len(environment.tags) > MAX_TAGS - OWN_TAGS:
            raise InvalidRequest(
                f"no volume can be restored into {environment_id}: its volumes have {len(environment.tags)} tags, and "
                f"{OWN_TAGS} more would be too many for EC2; its operator has to choose fewer"
            )
        kind = snapshot.source_kind if snapshot.source_kind in _PLAIN_KINDS else _DEFAULT_KIND
        zone = _zone(ports, environment, snapshot, wish.zone)
        # What a volume was called can be what the new one is called, whatever that is.
        name = check_volume_name(snapshot.volume_name if wish.name is None else check_name(wish.name))
        return Making(name, zone=zone, kind=kind)

    return _ask(ports, environment_id, snapshot_id, Operation.RESTORE, making, asked)


def create_volume_template(
    ports: Ports, environment_id: EnvironmentId, snapshot_id: str, wish: TemplateWish, *, asked: Asked | None = None
) -> Task:
    """The task that makes a machine image of the snapshot, with its execution started.

    What was `asked` for before, by a request that died, is not made again. Raises EnvironmentNotFound,
    VolumeSnapshotNotFound, WrongState, TemplateNameTaken, InvalidRequest, KeyReused.
    """

    def making(snapshot: VolumeSnapshot) -> Making:
        disks = region_of(ports, environment_id).disks
        if wish.name is None:
            names = (default_template_name(snapshot.name, sequence) for sequence in count(1))
            name = next(one for one in names if disks.image_named(one) is None)
        else:
            name = check_template_name(wish.name)
            image = disks.image_named(name)
            if image is not None:
                raise TemplateNameTaken(
                    f"the template {image.id} has the name {name!r}; choose another one", image_id=image.id
                )
        return Making(name, description=wish.description)

    return _ask(ports, environment_id, snapshot_id, Operation.CREATE_TEMPLATE, making, asked)


def _ask(
    ports: Ports,
    environment_id: EnvironmentId,
    snapshot_id: str,
    operation: Operation,
    making: Callable[[VolumeSnapshot], Making],
    asked: Asked | None,
) -> Task:
    begun = _asked_for(ports, asked)
    if begun is not None:
        return begun
    snapshot = get_volume_snapshot(ports, environment_id, snapshot_id)
    snapshot.check_stored()
    task = Task(
        id=_identity(ports, asked),
        environment=environment_id,
        operation=operation,
        snapshot_id=snapshot.id,
        created_at=ports.clock.now(),
        asked=asked,
        making=making(snapshot),
    )
    try:
        task = _register(ports, task)
    except RecordExists:
        # The same request was faster at this very moment.
        begun = _asked_for(ports, asked)
        if begun is None:
            raise
        return begun
    try:
        ports.workflows.start_volume_restore(environment_id, task.id, attempt=FIRST_EXECUTION)
    except TidemarkError as error:
        # Perhaps it was started all the same; then it finds that the task is over.
        release(ports, fail(ports, task.id, Failure(error.code, error.message)))
        raise
    return task


def _register(ports: Ports, task: Task) -> Task:
    """Add the record, with the use of the snapshot: so whoever looks at the snapshot finds every task that has begun.

    Raises WrongState once the snapshot is going.
    """
    user = user_of_task(task.id)
    while True:
        snapshot = ports.volumes.volume_snapshot(task.environment, task.snapshot_id)
        try:
            ports.volumes.replace_volume_snapshot(snapshot.using(user), task)
        except StaleRecord:
            continue
        return replace(task, version=task.version + 1)


def _zone(ports: Ports, environment: Environment, snapshot: VolumeSnapshot, given: str | None) -> str:
    """Where the volume is to be: as it was asked for, or where the snapshot's volume was, or is. EC2 is asked whether
    it can be there: it would say so by itself of a volume alone, once all blocks are written.
    """
    zones = ports.region(environment.region).disks.zones()
    choice = f"the zones of {environment.region} are {', '.join(zones)}"
    if given is not None:
        if given not in zones:
            raise InvalidRequest(f"there is no zone {given[:40]!r} for a volume: {choice}; choose one by 'zone'")
        return given
    zone = snapshot.zone
    if zone is None:
        try:
            zone = get_volume(ports, environment.id, snapshot.volume_id).zone
        except VolumeNotFound:
            raise InvalidRequest(
                f"it is not known where the volume of the snapshot {snapshot.id} was; say where the new one is to be "
                f"by the member 'zone': {choice}"
            ) from None
    if zone not in zones:
        raise InvalidRequest(
            f"the volume of the snapshot {snapshot.id} was in the zone {zone}, where no volume can be made now: "
            f"{choice}; choose one by the member 'zone'"
        )
    return zone


def _identity(ports: Ports, asked: Asked | None) -> TaskId:
    """The id of a new task. One that was asked for under a key can be found by that on this day and the next."""
    if asked is not None:
        derived = _derived(asked, ports.clock.now())
        if find_task(ports, derived) is None:
            return derived
    return new_task_id(ports.entropy.token_bytes(RANDOM_BYTES))


def _asked_for(ports: Ports, asked: Asked | None) -> Task | None:
    """The task that the same request has begun, with its execution started; None where it began none, or one that
    failed.
    """
    if asked is None:
        return None
    now = ports.clock.now()
    for identity in (_derived(asked, now), _derived(asked, now - KEPT_FOR)):
        task = find_task(ports, identity)
        if task is None or task.created_at < now - KEPT_FOR or not same_request(task.asked, asked):
            continue
        if task.status is not TaskStatus.FAILED:
            if is_pending(task):
                # Perhaps the request died before it did.
                ports.workflows.start_volume_restore(task.environment, task.id, attempt=FIRST_EXECUTION)
            return task
    return None


def _derived(asked: Asked, at: datetime) -> TaskId:
    return TaskId(derived_uuid("task", asked.key, f"{at:%Y-%m-%d}"))
