"""Read, change, and store again until nobody came between: the one way that use cases change catalog records."""

from collections.abc import Callable

from tidemark.domain.restore import Restore
from tidemark.domain.schedule import Schedule
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.task import Task
from tidemark.domain.tenant import Tenant
from tidemark.domain.volume import VolumeSnapshot
from tidemark.errors import StaleRecord
from tidemark.ports import Catalog, VolumeCatalog


def amend_snapshot(
    catalog: Catalog, tenant: Tenant, snapshot_id: str, change: Callable[[Snapshot], Snapshot]
) -> Snapshot:
    """The snapshot after `change`, which may raise to leave it as it is. Raises SnapshotNotFound."""
    while True:
        before = catalog.snapshot(tenant, snapshot_id)
        after = change(before)
        if after == before:
            return before
        try:
            return catalog.replace_snapshot(after)
        except StaleRecord:
            continue


def amend_restore(catalog: Catalog, tenant: Tenant, restore_id: str, change: Callable[[Restore], Restore]) -> Restore:
    """The restore after `change`, which may raise to leave it as it is. Raises RestoreNotFound."""
    while True:
        before = catalog.restore(tenant, restore_id)
        after = change(before)
        if after == before:
            return before
        try:
            return catalog.replace_restore(after)
        except StaleRecord:
            continue


def amend_schedule(
    catalog: Catalog, tenant: Tenant, schedule_id: str, change: Callable[[Schedule], Schedule]
) -> Schedule:
    """The schedule after `change`, which may raise to leave it as it is. Raises ScheduleNotFound."""
    while True:
        before = catalog.schedule(tenant, schedule_id)
        after = change(before)
        if after == before:
            return before
        try:
            return catalog.replace_schedule(after)
        except StaleRecord:
            continue


def amend_task(catalog: VolumeCatalog, task_id: str, change: Callable[[Task], Task]) -> Task:
    """The task after `change`, which may raise to leave it as it is. Raises TaskNotFound."""
    while True:
        before = catalog.task(task_id)
        after = change(before)
        if after == before:
            return before
        try:
            return catalog.replace_task(after)
        except StaleRecord:
            continue


def amend_volume_snapshot(
    catalog: VolumeCatalog, environment_id: str, snapshot_id: str, change: Callable[[VolumeSnapshot], VolumeSnapshot]
) -> VolumeSnapshot:
    """The snapshot of a volume after `change`, which may raise to leave it as it is. Raises VolumeSnapshotNotFound."""
    while True:
        before = catalog.volume_snapshot(environment_id, snapshot_id)
        after = change(before)
        if after == before:
            return before
        try:
            return catalog.replace_volume_snapshot(after)
        except StaleRecord:
            continue
