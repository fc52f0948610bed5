"""Add, list, change and remove environments: one by one, or as a parameter of the stack declares them."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from tidemark.domain.environment import Environment, EnvironmentId, image_owner
from tidemark.domain.volume import VolumeSnapshot, VolumeSnapshotState
from tidemark.errors import (
    EnvironmentExists,
    EnvironmentInUse,
    EnvironmentNotFound,
    RecordExists,
    StaleRecord,
)
from tidemark.ports import Ports


class Declared(NamedTuple):
    """The ids of the environments that a declaration has added, changed and removed."""

    added: list[EnvironmentId]
    changed: list[EnvironmentId]
    removed: list[EnvironmentId]


def add_environment(ports: Ports, wanted: Environment) -> Environment:
    """The environment as it is stored. One that is there and is the same stays as it is: repeating it changes nothing.

    Raises InvalidRequest, and EnvironmentExists where it is there with another region or other tags.
    """
    wanted.checked()
    try:
        return ports.volumes.add_environment(wanted)
    except RecordExists as error:
        found = ports.volumes.environment(wanted.id)
        if (found.region, dict(found.tags)) == (wanted.region, dict(wanted.tags)):
            return found
        raise EnvironmentExists(
            f"there is an environment {wanted.id} already, of other volumes; change that one, or choose another name"
        ) from error


def list_environments(ports: Ports) -> list[Environment]:
    """Every environment, in the order of their ids."""
    return list(ports.volumes.environments())


def update_environment(
    ports: Ports, environment_id: EnvironmentId, *, region: str | None = None, tags: Mapping[str, str] | None = None
) -> Environment:
    """The environment with another region, or other tags in place of all that it had; None leaves them.

    Raises EnvironmentNotFound, InvalidRequest; and EnvironmentInUse for one that a parameter declares, or another
    region for one that has snapshots or schedules.
    """

    def changed(before: Environment) -> Environment:
        _check_not_declared(before, "change")
        return replace(
            before,
            region=before.region if region is None else region,
            tags=before.tags if tags is None else dict(tags),
        )

    return _amend(ports, environment_id, changed)


def remove_environment(ports: Ports, environment_id: EnvironmentId) -> None:
    """Forget an environment: its volumes are EC2's and stay.

    Raises EnvironmentNotFound; and EnvironmentInUse for one that a parameter declares, or that has snapshots or
    schedules: what is stored of it could neither be read nor collected without it.
    """
    while True:
        found = ports.volumes.environment(environment_id)
        _check_not_declared(found, "remove")
        with suppress(StaleRecord):
            return _remove(ports, found)


def declare_environments(ports: Ports, wanted: Iterable[Environment]) -> Declared:
    """Make the environments that are declared be as they are declared, and remove those that were and are no longer.

    Others are left alone; one of them that is declared now is taken over, until it is no longer: a deployment that is
    rolled back must not remove what it has not made. Nothing is changed where something of it is refused. Can be
    repeated. Raises InvalidRequest, EnvironmentInUse.
    """
    present = {one.id: one for one in ports.volumes.environments()}
    declared = {one.id: one.checked() for one in wanted}
    gone = [one for one in present.values() if one.declared and one.id not in declared and not one.taken_over]
    given_back = [one for one in present.values() if one.declared and one.id not in declared and one.taken_over]
    for one in gone:
        _check_unused(ports, one)
    for one in declared.values():
        if one.id in present:
            _check_may_move(ports, present[one.id], one)
    done = Declared([], [], [])
    for one in declared.values():
        if one.id not in present:
            with suppress(RecordExists):
                ports.volumes.add_environment(one)
                done.added.append(one.id)
                continue
        before = ports.volumes.environment(one.id)
        after = _amend(ports, one.id, _as_declared(one))
        if after != before:
            done.changed.append(one.id)
    for one in given_back:
        _amend(ports, one.id, lambda record: replace(record, declared=False, taken_over=False))
        done.changed.append(one.id)
    for one in gone:
        # Who has changed it meanwhile is another run of this, which has seen it be gone from the declaration too.
        with suppress(StaleRecord, EnvironmentNotFound):
            _remove(ports, one)
            done.removed.append(one.id)
    return done


def _as_declared(one: Environment) -> Callable[[Environment], Environment]:
    def changed(record: Environment) -> Environment:
        taken_over = record.taken_over or not record.declared
        return replace(record, region=one.region, tags=dict(one.tags), declared=True, taken_over=taken_over)

    return changed


def _amend(ports: Ports, environment_id: EnvironmentId, change: Callable[[Environment], Environment]) -> Environment:
    while True:
        before = ports.volumes.environment(environment_id)
        after = change(before).checked()
        if after == before:
            return before
        _check_may_move(ports, before, after)
        with suppress(StaleRecord):
            return ports.volumes.replace_environment(after)


def _remove(ports: Ports, environment: Environment) -> None:
    """Forget it, unless it is in use: which is looked at again when it is gone, since a request that had found it
    before may have begun a snapshot. Raises StaleRecord, EnvironmentInUse.
    """
    _check_unused(ports, environment)
    ports.volumes.remove_environment(environment)
    try:
        _check_unused(ports, environment)
    except EnvironmentInUse:
        with suppress(RecordExists):
            ports.volumes.add_environment(replace(environment, version=0))
        raise


def _check_not_declared(environment: Environment, doing: str) -> None:
    if environment.declared:
        raise EnvironmentInUse(
            f"the environment {environment.id} is declared by the stack's parameter Environments, which the next "
            f"deployment would follow; {doing} it there"
        )


def _check_may_move(ports: Ports, before: Environment, after: Environment) -> None:
    if before.region == after.region:
        return
    snapshots = ports.volumes.volume_snapshots(before.id)
    # A schedule names a volume by what its region makes of it.
    schedules = ports.catalog.found_schedules(image_owner(before.id))
    for what, found in (("snapshots", snapshots), ("schedules", schedules)):
        if any(True for _ in found):
            raise EnvironmentInUse(
                f"the environment {before.id} has {what} of volumes of {before.region}, so it can't become one of "
                f"{after.region}; add another environment for that region"
            )


def _check_unused(ports: Ports, environment: Environment) -> None:
    found = list(ports.volumes.volume_snapshots(environment.id))
    deleted = sum(1 for one in found if isinstance(one, VolumeSnapshot) and one.state is VolumeSnapshotState.DELETED)
    schedules = sum(1 for _ in ports.catalog.found_schedules(image_owner(environment.id)))
    left = [
        (len(found) - deleted, "snapshots of volumes; delete them first"),
        (schedules, "schedules; delete them first"),
        (deleted, "deleted snapshots of volumes, whose bytes the next collection removes; try again after that"),
    ]
    for number, what in left:
        if number:
            raise EnvironmentInUse(f"the environment {environment.id} can't be removed: it has {number} {what}")
