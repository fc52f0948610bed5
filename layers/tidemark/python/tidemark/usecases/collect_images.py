"""Collect the garbage among the images of an environment's volumes: what deleted and failed snapshots stored, once no
other one needs it. Before that, close what died.

The order is that of `engine.collect`, the argument for images that of `layers/DESIGN.md`.
"""

from contextlib import suppress
from dataclasses import replace

from tidemark.domain.collection import Collection
from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.volume import VolumeSnapshot
from tidemark.engine import collect
from tidemark.engine.blocks import collection
from tidemark.errors import CatalogCorrupt, StaleRecord, TaskNotFound, TidemarkError
from tidemark.ports import Ports
from tidemark.usecases.close_volume_backups import close_volume_backups
from tidemark.usecases.close_volume_restores import close_volume_restores
from tidemark.usecases.read_volume_snapshots import as_it_stands


def collect_images(
    ports: Ports, environment: EnvironmentId, *, dry_run: bool = False, budget_s: float = 600.0
) -> Collection:
    """Remove what nobody needs; the report. Where its `done` is false the budget was spent: call again to go on.

    It can be repeated, and several may run at once, beside backups and restores. `dry_run` deletes, closes and changes
    nothing and reports what would be. What EC2 does not let it close is a problem of the report and stops nothing.
    While a record of the environment is damaged nobody knows what it needs, so nothing is deleted, and the report names
    it.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    owner = image_owner(environment)
    closed, not_closed = (0, ()) if dry_run else _close(ports, environment)
    listed = collect.list_objects(ports, owner)
    try:
        snapshots = collection.read_records(ports, environment)
        problems = (f"the snapshots of {environment} changed each time they were read: nothing was collected",)
    except CatalogCorrupt as error:
        snapshots, problems = None, (f"{error.message}; nothing of environment {environment} was collected",)
    if snapshots is None:
        report = collect.untouched(owner, listed, problems, dry_run=dry_run)
    else:
        named = collection.read_manifests(ports, snapshots)
        if named.problems:
            report = collect.untouched(owner, listed, named.problems, dry_run=dry_run)
        else:
            found = collection.garbage(listed, snapshots, named)
            report, left = collect.remove(ports, owner, listed, found, until_s, dry_run=dry_run)
            going = collection.forgettable(snapshots, named, left)
            report = replace(report, purged=len(going) if dry_run else sum(_forget(ports, one) for one in going))
    return replace(report, closed=closed, problems=(*not_closed, *report.problems))


def _close(ports: Ports, environment: EnvironmentId) -> tuple[int, tuple[str, ...]]:
    """How much was closed, and a sentence for each thing that could not be."""
    closed = 0
    problems: list[str] = []
    try:
        restores = close_volume_restores(ports, environment)
    except TidemarkError as error:
        problems.append(f"restores that died in environment {environment} were not closed: {error.message}")
    else:
        closed += restores.ended
        problems += restores.problems
    try:
        backups = close_volume_backups(ports, environment)
    except TidemarkError as error:
        problems.append(f"backups that died in environment {environment} were not closed: {error.message}")
    else:
        closed += backups.removed + backups.deleted
        problems += backups.problems
    return closed, tuple(problems)


def _forget(ports: Ports, snapshot: VolumeSnapshot) -> bool:
    """Remove the record of a snapshot that is gone; whether that was still as it was read.

    The task that made it follows from that record, so first what is to be seen there without it.
    """
    if snapshot.task_id is not None:
        # A task that can't be read says nothing to anybody.
        with suppress(TaskNotFound, StaleRecord, CatalogCorrupt):
            task = ports.volumes.task(snapshot.task_id)
            settled = as_it_stands(task, snapshot)
            if settled != task:
                ports.volumes.replace_task(settled)
    try:
        ports.volumes.remove_volume_snapshot(snapshot)
    except StaleRecord:
        return False
    return True
