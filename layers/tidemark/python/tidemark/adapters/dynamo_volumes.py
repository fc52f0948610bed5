"""The records of volumes in the catalog's DynamoDB table. Their keys:

- environments: `ENVIRONMENTS` / `{service code}/{name}`
- snapshots of volumes: `ENV#{environment}` / `VOLUME-SNAPSHOT#{id}`
- names that snapshots have: `ENV#{environment}` / `NAME#{name}`, or `LONG-NAME#{sha256}` of one that is too long for a
  key, which have no record but say whose the name is
- volumes of which a snapshot is being made: `ENV#{environment}` / `VOLUME#{id}`, which say which one, and no more; an
  import has a row of its own there, under its own id
- tasks: `TASK#{id}` / `TASK`

A snapshot is written in one transaction with what it takes or gives back: a name, a volume.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import THROTTLING, code_of, failure, named
from tidemark.adapters.dynamo_records import Kind, RecordRows, decoded, learn, row_of
from tidemark.adapters.dynamo_rows import Row, number, text
from tidemark.domain.environment import Environment, EnvironmentId
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Task
from tidemark.domain.volume import DamagedVolumeSnapshot, VolumeSnapshot, VolumeSnapshotId, VolumeSnapshotState
from tidemark.errors import (
    CatalogCorrupt,
    EnvironmentNotFound,
    NameTaken,
    RecordExists,
    StaleRecord,
    TaskNotFound,
    TidemarkError,
    VolumeBusy,
    VolumeSnapshotNotFound,
    WriteConflict,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_ENVIRONMENTS: Final = "ENVIRONMENTS"
SNAPSHOT: Final = "VOLUME-SNAPSHOT#"
TASK: Final = "TASK"
# What DynamoDB takes.
_SORT_KEY_BYTES: Final = 1024
_CANCELLED: Final = "TransactionCanceledException"
# As reasons of a cancelled transaction have them.
_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"
_IN_PROGRESS: Final = "TransactionInProgressException"

learn(Environment, VolumeSnapshot, Task)
_ENVIRONMENT_KIND: Final = Kind("environment", Environment, EnvironmentNotFound)
_SNAPSHOT_KIND: Final = Kind("snapshot", VolumeSnapshot, VolumeSnapshotNotFound)
_TASK_KIND: Final = Kind("task", Task, TaskNotFound)


class DynamoVolumeCatalog:
    """See `tidemark.ports.VolumeCatalog`. Safe to share between threads, as its client is."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._rows = RecordRows(client, table)

    def add_environment(self, environment: Environment) -> Environment:
        return self._rows.add(_ENVIRONMENT_KIND, _environment_key(environment.id), environment)

    def environment(self, environment_id: str) -> Environment:
        return self._rows.get(_ENVIRONMENT_KIND, _environment_key(environment_id), environment_id)

    def environments(self) -> Iterator[Environment]:
        for row in self._rows.query(_ENVIRONMENTS):
            yield decoded(row, Environment)

    def environment_ids(self) -> Iterator[EnvironmentId]:
        for row in self._rows.query(_ENVIRONMENTS):
            yield EnvironmentId(row["sk"]["S"])

    def replace_environment(self, environment: Environment) -> Environment:
        return self._rows.replace(_ENVIRONMENT_KIND, _environment_key(environment.id), environment)

    def remove_environment(self, environment: Environment) -> None:
        self._rows.remove(_ENVIRONMENT_KIND, _environment_key(environment.id), environment)

    def add_volume_snapshot(self, snapshot: VolumeSnapshot, task: Task | None = None) -> VolumeSnapshot:
        wanted = replace(snapshot, version=snapshot.version + 1)
        new = "attribute_not_exists(pk)"
        holder = {"holder": text(snapshot.id)}
        puts = [
            (row_of(_snapshot_key(snapshot.environment, snapshot.id), wanted), new),
            (_name_key(snapshot) | holder, new),
            (_volume_key(snapshot) | holder, new),
        ]
        tasks = [] if task is None else [{"Put": self._new_task(task)}]
        doing = f"storing snapshot {snapshot.id}"
        reasons = self._transact([*({"Put": self._put(row, condition)} for row, condition in puts), *tasks], doing)
        if reasons is None:
            return wanted
        record, name, volume, *_ = (reason.get("Item") for reason in reasons)
        if record:
            # The same content: an earlier try was stored though its answer was lost.
            if _stored(record) == wanted:
                return wanted
            raise RecordExists(f"snapshot {snapshot.id} is already registered")
        if name:
            raise NameTaken(
                f"another snapshot has the name {snapshot.name!r}; choose another one", snapshot_id=_holder(name)
            )
        if volume:
            raise VolumeBusy(
                f"the snapshot {_holder(volume)} is being made of the volume {snapshot.volume_id}; wait for that one",
                volume_id=snapshot.volume_id,
                snapshot_id=_holder(volume),
            )
        raise _why(reasons, doing, RecordExists(f"the task of snapshot {snapshot.id} is already registered"))

    def volume_snapshot(self, environment_id: str, snapshot_id: str) -> VolumeSnapshot:
        return self._rows.get(_SNAPSHOT_KIND, _snapshot_key(environment_id, snapshot_id), snapshot_id)

    def volume_snapshots(self, environment_id: str) -> Iterator[VolumeSnapshot | DamagedVolumeSnapshot]:
        for row in self._rows.query(f"ENV#{environment_id}", SNAPSHOT):
            try:
                found: VolumeSnapshot | DamagedVolumeSnapshot = decoded(row, VolumeSnapshot)
            except CatalogCorrupt as error:
                identity = VolumeSnapshotId(row["sk"]["S"].removeprefix(SNAPSHOT))
                found = DamagedVolumeSnapshot(identity, Failure(error.code, error.message))
            yield found

    def replace_volume_snapshot(self, snapshot: VolumeSnapshot, task: Task | None = None) -> VolumeSnapshot:
        key = _snapshot_key(snapshot.environment, snapshot.id)
        gives_back = [] if snapshot.running else [_volume_key(snapshot)]
        if snapshot.state is VolumeSnapshotState.DELETED:
            gives_back.append(_name_key(snapshot))
        if not gives_back and task is None:
            return self._rows.replace(_SNAPSHOT_KIND, key, snapshot)
        wanted = replace(snapshot, version=snapshot.version + 1)
        # Where another snapshot has it by now, it was given back before.
        own = {":id": text(snapshot.id)}
        deletions = [self._delete_unless_others(one, own) for one in self._held(gives_back, snapshot.id)]
        put = self._put(row_of(key, wanted), "#version = :version") | {
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":version": number(snapshot.version)},
        }
        doing = f"storing snapshot {snapshot.id}"
        tasks = [] if task is None else [{"Put": self._new_task(task)}]
        reasons = self._transact([{"Put": put}, *tasks, *deletions], doing)
        if reasons is None:
            return wanted
        record = reasons[0].get("Item")
        if reasons[0].get("Code") == _CONDITION_FAILED:
            if not record:
                raise VolumeSnapshotNotFound(f"no snapshot {snapshot.id}")
            if _stored(record) == wanted:
                return wanted
            raise StaleRecord(f"snapshot {snapshot.id} has changed since it was read")
        if task is not None and reasons[1].get("Code") == _CONDITION_FAILED:
            raise RecordExists(f"task {task.id} is already registered")
        raise _why(reasons, doing, WriteConflict(f"{doing}: another one was faster; try again"))

    def remove_volume_snapshot(self, snapshot: VolumeSnapshot) -> None:
        self._rows.remove(_SNAPSHOT_KIND, _snapshot_key(snapshot.environment, snapshot.id), snapshot)

    def add_task(self, task: Task) -> Task:
        return self._rows.add(_TASK_KIND, _task_key(task.id), task)

    def task(self, task_id: str) -> Task:
        return self._rows.get(_TASK_KIND, _task_key(task_id), task_id)

    def replace_task(self, task: Task) -> Task:
        return self._rows.replace(_TASK_KIND, _task_key(task.id), task)

    def _held(self, keys: list[Row], snapshot_id: str) -> list[Row]:
        """Those of the places that are the snapshot's."""
        with named(f"looking at what snapshot {snapshot_id} has"):
            rows = [
                self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item") for key in keys
            ]
        return [key for key, row in zip(keys, rows, strict=True) if row is not None and _holder(row) == snapshot_id]

    def _new_task(self, task: Task) -> dict[str, Any]:
        return self._put(
            row_of(_task_key(task.id), replace(task, version=task.version + 1)), "attribute_not_exists(pk)"
        )

    def _put(self, row: Row, condition: str) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Item": row,
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _delete_unless_others(self, key: Row, own: Row) -> dict[str, Any]:
        return {
            "Delete": {
                "TableName": self._table,
                "Key": key,
                "ConditionExpression": "attribute_not_exists(pk) OR holder = :id",
                "ExpressionAttributeValues": own,
            }
        }

    def _transact(self, actions: list[Any], doing: str) -> list[Any] | None:
        """Do all of it, or tell of each action why nothing was done."""
        lost = WriteConflict(f"{doing}: another one was faster; try again")
        with named(doing, {_IN_PROGRESS: lost}):
            try:
                self._client.transact_write_items(TransactItems=actions)
            except ClientError as error:
                if code_of(error) != _CANCELLED:
                    raise
                reasons: list[Any] = list(error.response.get("CancellationReasons", []))
                if len(reasons) != len(actions):
                    raise
                return reasons
        return None


def _why(reasons: list[Any], doing: str, otherwise: TidemarkError) -> TidemarkError:
    """The error for a transaction of which no record says why it was cancelled."""
    codes = [reason.get("Code") or "None" for reason in reasons]
    if _CONFLICT in codes:
        return WriteConflict(f"{doing}: another one was faster; try again")
    for code in codes:
        if code in THROTTLING:
            return failure(doing, code)
    unknown = [code for code in codes if code not in {"None", _CONDITION_FAILED}]
    return failure(doing, unknown[0]) if unknown else otherwise


def _stored(row: Row) -> VolumeSnapshot | None:
    """The snapshot in a row; None where it can't be read, so whatever it was, it is not what was to be stored."""
    try:
        return decoded(row, VolumeSnapshot)
    except CatalogCorrupt:
        return None


def _holder(row: Row) -> str:
    """Which snapshot a name or volume is held by. Raises CatalogCorrupt where the row does not say."""
    try:
        holder: str = row["holder"]["S"]
    except KeyError:
        where = f"{row['pk']['S']} / {row['sk']['S']}"
        raise CatalogCorrupt(f"the catalog's row {where} is damaged: it does not say whose it is") from None
    return holder


def _environment_key(environment_id: str) -> Row:
    return {"pk": text(_ENVIRONMENTS), "sk": text(environment_id)}


def _snapshot_key(environment_id: str, snapshot_id: str) -> Row:
    return {"pk": text(f"ENV#{environment_id}"), "sk": text(f"{SNAPSHOT}{snapshot_id}")}


def _name_key(snapshot: VolumeSnapshot) -> Row:
    name = f"NAME#{snapshot.name}"
    if len(name.encode()) > _SORT_KEY_BYTES:
        name = f"LONG-NAME#{hashlib.sha256(snapshot.name.encode()).hexdigest()}"
    return {"pk": text(f"ENV#{snapshot.environment}"), "sk": text(name)}


def _volume_key(snapshot: VolumeSnapshot) -> Row:
    return {"pk": text(f"ENV#{snapshot.environment}"), "sk": text(f"VOLUME#{snapshot.claims}")}


def _task_key(task_id: str) -> Row:
    return {"pk": text(f"TASK#{task_id}"), "sk": text(TASK)}
