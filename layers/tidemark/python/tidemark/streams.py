"""The entry of the function that the stream of the catalog's table feeds: batches in, metrics and what is left out.

Lambda delivers a batch again from the first record on that the answer names; what lies before it counts as done.
Source: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit

from tidemark.adapters.dynamo_stream import changes
from tidemark.dialects.announcements import detail
from tidemark.domain.announcements import Announcement, Kind
from tidemark.domain.restore import Restore
from tidemark.domain.schedule import Schedule
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.task import Task
from tidemark.domain.volume import StoredImage, VolumeSnapshot
from tidemark.errors import TidemarkError
from tidemark.ports import Ports
from tidemark.telemetry import (
    BYTES,
    COUNT,
    ENVIRONMENT,
    ERROR_CODE,
    MILLISECONDS,
    RESTORE_ID,
    SCHEDULE_ID,
    SNAPSHOT_ID,
    TASK_ID,
    TENANT,
    VOLUME_ID,
    Field,
    logger,
    measure,
    report_damage,
)
from tidemark.usecases.announce import announce

type Event = Mapping[str, Any]

# Slots that were not run are counted by whoever notes them.
_COUNTED: Final = {
    Kind.SNAPSHOT_COMPLETED: "SnapshotsCompleted",
    Kind.SNAPSHOT_FAILED: "SnapshotsFailed",
    Kind.SNAPSHOT_DELETED: "SnapshotsDeleted",
    Kind.VERIFICATION_FAILED: "VerificationsFailed",
    Kind.RESTORE_STARTED: "RestoresStarted",
    Kind.RESTORE_CUT_OVER: "RestoresCutOver",
    Kind.RESTORE_COMPLETED: "RestoresCompleted",
    Kind.RESTORE_ROLLED_BACK: "RestoresRolledBack",
    Kind.BACKUP_FAILED: "BackupsFailed",
    Kind.VOLUME_SNAPSHOT_COMPLETED: "VolumeSnapshotsCompleted",
    Kind.VOLUME_SNAPSHOT_FAILED: "VolumeSnapshotsFailed",
    Kind.VOLUME_SNAPSHOT_DELETED: "VolumeSnapshotsDeleted",
    Kind.VOLUME_RESTORE_COMPLETED: "VolumeRestoresCompleted",
    Kind.VOLUME_RESTORE_FAILED: "VolumeRestoresFailed",
    Kind.VOLUME_TEMPLATE_COMPLETED: "VolumeTemplatesCompleted",
    Kind.VOLUME_TEMPLATE_FAILED: "VolumeTemplatesFailed",
}


def announce_batch(ports: Ports, event: Event) -> dict[str, Any]:
    """Announce what a batch of the stream says; the answer names the record from which on it is to be delivered again.

    A damaged record is reported and passed over: no repeat would make it whole. Raises what the event bus does where it
    answers nothing: then the whole batch is delivered again.
    """
    found = changes(event)
    try:
        said = announce(ports, found.transitions, detail)
    except TidemarkError as error:
        logger().error(f"the batch will be told again: {error.message}", extra={ERROR_CODE: error.code})
        raise
    report_damage(found.damage)
    for told in said.told:
        if values := metrics_of(told):
            measure(values, **_properties(told))
        logger().info(f"announced: {told.kind}", extra=_properties(told))
    if said.left is None:
        return {"batchItemFailures": []}
    logger().error(f"the event bus does not take everything ({said.reason}); it will be told again")
    return {"batchItemFailures": [{"itemIdentifier": said.left}]}


def metrics_of(told: Announcement) -> dict[str, tuple[float, MetricUnit]]:
    """The metrics that an announcement is counted in. One that is told again is counted again."""
    values: dict[str, tuple[float, MetricUnit]] = {}
    if told.kind in _COUNTED:
        values[_COUNTED[told.kind]] = (1, COUNT)
    match told.kind, told.record:
        case Kind.SNAPSHOT_COMPLETED, Snapshot() as snapshot:
            began_at = snapshot.origin.started_at if snapshot.origin else snapshot.created_at
            values["SnapshotDuration"] = (_milliseconds(told, snapshot.completed_at, began_at), MILLISECONDS)
            values["SnapshotEntities"] = (snapshot.entity_count, COUNT)
            values["SnapshotBytes"] = (snapshot.stored_bytes, BYTES)
            values["SnapshotNewBytes"] = (snapshot.new_bytes, BYTES)
        case Kind.RESTORE_COMPLETED, Restore() as restore:
            values["RestoreDuration"] = (_milliseconds(told, restore.finished_at, restore.created_at), MILLISECONDS)
            values["RestoreEntities"] = (restore.total, COUNT)
        case Kind.VOLUME_SNAPSHOT_COMPLETED, VolumeSnapshot(image=StoredImage() as image) as of_volume:
            duration_ms = _milliseconds(told, image.verified_at, of_volume.created_at)
            values["VolumeSnapshotDuration"] = (duration_ms, MILLISECONDS)
            values["VolumeSnapshotBytes"] = (image.stored_bytes, BYTES)
            values["VolumeSnapshotNewBytes"] = (image.new_bytes, BYTES)
        case Kind.VOLUME_RESTORE_COMPLETED, Task() as task:
            values["VolumeRestoreDuration"] = (_milliseconds(told, task.finished_at, task.created_at), MILLISECONDS)
        case _:
            pass
    return values


def _milliseconds(told: Announcement, ended_at: datetime | None, began_at: datetime) -> float:
    return round(((ended_at or told.at) - began_at).total_seconds() * 1000)


def _properties(told: Announcement) -> dict[str, Field]:
    """What it is about, as logs call that."""
    match told.record:
        case Snapshot(id=name, tenant=tenant):
            return {TENANT: tenant, SNAPSHOT_ID: name}
        case Restore(id=name, tenant=tenant, snapshot_id=of):
            return {TENANT: tenant, RESTORE_ID: name, SNAPSHOT_ID: of}
        case Schedule(id=name, tenant=tenant, volume_id=volume_id):
            of_volume = None if volume_id is None else {ENVIRONMENT: told.owner, VOLUME_ID: volume_id}
            return {**(of_volume or {TENANT: tenant}), SCHEDULE_ID: name}
        case VolumeSnapshot(id=name, volume_id=volume_id):
            return {ENVIRONMENT: told.owner, VOLUME_ID: volume_id, SNAPSHOT_ID: name}
        case Task(id=name, snapshot_id=of):
            return {ENVIRONMENT: told.owner, TASK_ID: name, SNAPSHOT_ID: of}
