"""Read, change, and store again until nobody came between: the one way that use cases change catalog records."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidemark.domain.restore import Restore
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import StaleRecord
from tidemark.ports import Catalog

if TYPE_CHECKING:
    # Each function that changes a record loads this module, and few of them see one of these.
    from tidemark.domain.schedule import Schedule
    from tidemark.domain.task import Task
    from tidemark.domain.volume import VolumeSnapshot
    from tidemark.ports.volume_catalog import VolumeCatalog


def amend_snapshot(
    catalog: Catalog, tenant: Tenant, snapshot_id: str, change: Callable[[Snapshot], Snapshot]
) -> Snapshot:
    """The snapshot after `change`, which may raise to leave it as it is. Raises SnapshotNotFound."""
    return _amended(lambda: catalog.snapshot(tenant, snapshot_id), change, lambda: catalog.replace_snapshot)


def amend_restore(catalog: Catalog, tenant: Tenant, restore_id: str, change: Callable[[Restore], Restore]) -> Restore:
    """The restore after `change`, which may raise to leave it as it is. Raises RestoreNotFound."""
    return _amended(lambda: catalog.restore(tenant, restore_id), change, lambda: catalog.replace_restore)


def amend_schedule(
    catalog: Catalog, tenant: Tenant, schedule_id: str, change: "Callable[[Schedule], Schedule]"
) -> "Schedule":
    """The schedule after `change`, which may raise to leave it as it is. Raises ScheduleNotFound."""
    return _amended(lambda: catalog.schedule(tenant, schedule_id), change, lambda: catalog.replace_schedule)


def amend_task(catalog: "VolumeCatalog", task_id: str, change: "Callable[[Task], Task]") -> "Task":
    """The task after `change`, which may raise to leave it as it is. Raises TaskNotFound."""
    return _amended(lambda: catalog.task(task_id), change, lambda: catalog.replace_task)


def amend_volume_snapshot(
    catalog: "VolumeCatalog",
    environment_id: str,
    snapshot_id: str,
    change: "Callable[[VolumeSnapshot], VolumeSnapshot]",
) -> "VolumeSnapshot":
    """The snapshot of a volume after `change`, which may raise to leave it as it is. Raises VolumeSnapshotNotFound."""
    return _amended(
        lambda: catalog.volume_snapshot(environment_id, snapshot_id), change, lambda: catalog.replace_volume_snapshot
    )


def _amended[R](read: Callable[[], R], change: Callable[[R], R], store: Callable[[], Callable[[R], R]]) -> R:
    """The record as it is stored in the end. `store` gives what stores it, and is asked anew for each try."""
    while True:
        before = read()
        after = change(before)
        if after == before:
            return before
        try:
            return store()(after)
        except StaleRecord:
            continue
