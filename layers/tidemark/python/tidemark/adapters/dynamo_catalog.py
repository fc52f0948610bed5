"""The catalog in DynamoDB: the records of snapshots, restores, schedules and API keys. Their keys:

- snapshots: `TENANT#{tenant}` / `SNAPSHOT#{second}#{sequence}`, so that a query from the end gives the newest first
- restores: `TENANT#{tenant}` / `RESTORE#{second}#{sequence}`
- schedules: `TENANT#{tenant}` / `SCHEDULE#{id}`, see `dynamo_schedules`
- results of staging: `TENANT#{tenant}#RESTORE#{restore id}` / `PART#{number}`: apart, so no list of restores reads them
- API keys: `KEY#{id}` / `KEY`
- tenants that have snapshots: `TENANTS` / `{tenant}`, which have no record
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tidemark.adapters.aws_errors import CONDITION_FAILED, named
from tidemark.adapters.dynamo_records import Kind, RecordRows, decoded, sealed
from tidemark.adapters.dynamo_rows import Row, number, text
from tidemark.domain.api_key import ApiKey
from tidemark.domain.restore import DamagedRestore, Restore, RestoreId, StagedPart
from tidemark.domain.snapshot import (
    DamagedSnapshot,
    Failure,
    Snapshot,
    parse_snapshot_id,
    restore_id,
    snapshot_id,
    stamp,
)
from tidemark.domain.tenant import Tenant
from tidemark.errors import CatalogCorrupt, KeyNotFound, RestoreNotFound, SnapshotNotFound, StaleRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from tidemark.adapters.dynamo_schedules import ScheduleRows
    from tidemark.domain.schedule import DamagedSchedule, Schedule

SNAPSHOT: Final = "SNAPSHOT#"
RESTORE: Final = "RESTORE#"
_PART: Final = "PART#"
_KEY: Final = "KEY"
# Sorts behind the key of every snapshot.
_PAST_SNAPSHOTS: Final = "SNAPSHOT$"
_TENANTS: Final = "TENANTS"
_RESTORE_ID: Final = re.compile(r"restore_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-([1-9]\d{0,5}))?")


_SNAPSHOTS: Final = Kind("snapshot", Snapshot, SnapshotNotFound)
_RESTORES: Final = Kind("restore", Restore, RestoreNotFound)
_KEYS: Final = Kind("API key", ApiKey, KeyNotFound)


class DynamoCatalog:
    """See `tidemark.ports.Catalog`. Safe to share between threads, as its client is."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._rows = RecordRows(client, table)

    def add_tenant(self, tenant: Tenant) -> None:
        with named(f"noting tenant {tenant}"):
            self._client.put_item(TableName=self._table, Item={"pk": text(_TENANTS), "sk": text(tenant)})

    def tenants(self) -> Iterator[Tenant]:
        for row in self._rows.query(_TENANTS):
            yield Tenant(row["sk"]["S"])

    def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return self._rows.add(_SNAPSHOTS, _snapshot_key(snapshot.tenant, snapshot.id), snapshot)

    def snapshot(self, tenant: Tenant, snapshot_id: str) -> Snapshot:
        return self._rows.get(_SNAPSHOTS, _snapshot_key(tenant, snapshot_id), snapshot_id)

    def snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot]:
        for row in self._rows_of_snapshots(tenant, since, before):
            yield decoded(row, Snapshot)

    def found_snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot | DamagedSnapshot]:
        for row in self._rows_of_snapshots(tenant, since, before):
            try:
                found: Snapshot | DamagedSnapshot = decoded(row, Snapshot)
            except CatalogCorrupt as error:
                created_at, sequence = _place_of(row)
                identity = None if created_at is None else snapshot_id(created_at, sequence)
                found = DamagedSnapshot(identity, created_at, Failure(error.code, error.message))
            yield found

    def replace_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return self._rows.replace(_SNAPSHOTS, _snapshot_key(snapshot.tenant, snapshot.id), snapshot)

    def remove_snapshot(self, snapshot: Snapshot) -> None:
        self._rows.remove(_SNAPSHOTS, _snapshot_key(snapshot.tenant, snapshot.id), snapshot)

    def add_restore(self, restore: Restore) -> Restore:
        return self._rows.add(_RESTORES, _restore_key(restore.tenant, restore.id), restore)

    def restore(self, tenant: Tenant, restore_id: str) -> Restore:
        return self._rows.get(_RESTORES, _restore_key(tenant, restore_id), restore_id)

    def restores(self, tenant: Tenant) -> Iterator[Restore]:
        for row in self._rows.query(f"TENANT#{tenant}", RESTORE, newest_first=True):
            yield decoded(row, Restore)

    def found_restores(self, tenant: Tenant) -> Iterator[Restore | DamagedRestore]:
        for row in self._rows.query(f"TENANT#{tenant}", RESTORE, newest_first=True):
            try:
                found: Restore | DamagedRestore = decoded(row, Restore)
            except CatalogCorrupt as error:
                created_at, sequence = _place_of(row)
                identity = None if created_at is None else RestoreId(restore_id(created_at, sequence))
                found = DamagedRestore(identity, created_at, Failure(error.code, error.message))
            yield found

    def replace_restore(self, restore: Restore) -> Restore:
        return self._rows.replace(_RESTORES, _restore_key(restore.tenant, restore.id), restore)

    def add_schedule(self, schedule: "Schedule") -> "Schedule":
        return self._schedules.add(schedule)

    def schedule(self, tenant: Tenant, schedule_id: str) -> "Schedule":
        return self._schedules.get(tenant, schedule_id)

    def found_schedules(self, tenant: Tenant) -> "Iterator[Schedule | DamagedSchedule]":
        return self._schedules.found(tenant)

    def replace_schedule(self, schedule: "Schedule") -> "Schedule":
        return self._schedules.replace(schedule)

    def remove_schedule(self, schedule: "Schedule") -> None:
        self._schedules.remove(schedule)

    def remove_damaged_schedule(self, tenant: Tenant, schedule_id: str) -> None:
        self._schedules.remove_damaged(tenant, schedule_id)

    def record_part(
        self, tenant: Tenant, restore_id: str, part: StagedPart, *, after: StagedPart | None = None
    ) -> None:
        row = sealed(_part_key(tenant, restore_id, part.part), part)
        if part.reached is not None:
            # No two notes of a part have reached the same entity.
            row |= {"reached": text(part.reached)}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if after is not None:
            reached = text(after.reached or "")
            condition = {"ConditionExpression": "reached = :was", "ExpressionAttributeValues": {":was": reached}}
        stale = StaleRecord(f"part {part.part} of restore {restore_id} was staged further by somebody else")
        with named(f"noting part {part.part} of restore {restore_id}", {CONDITION_FAILED: stale}):
            self._client.put_item(TableName=self._table, Item=row, **condition)

    def part(self, tenant: Tenant, restore_id: str, number: int) -> StagedPart | None:
        key = _part_key(tenant, restore_id, number)
        with named(f"reading part {number} of restore {restore_id}"):
            row = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return None if row is None else decoded(row, StagedPart)

    def parts(self, tenant: Tenant, restore_id: str) -> list[StagedPart]:
        return [decoded(row, StagedPart) for row in self._rows.query(_parts_of(tenant, restore_id), _PART)]

    def remove_parts(self, tenant: Tenant, restore_id: str) -> None:
        rows = self._rows.query(_parts_of(tenant, restore_id), _PART)
        with named(f"forgetting the parts of restore {restore_id}"):
            for row in rows:
                self._client.delete_item(TableName=self._table, Key={"pk": row["pk"], "sk": row["sk"]})

    def note_done(self, tenant: Tenant, transfer_id: str, part: int, entities: int, *, until: datetime) -> None:
        row = {
            "pk": text(_transfer_of(tenant, transfer_id)),
            "sk": text(f"{_PART}{part:018d}"),
            "entities": number(entities),
            "expiresAt": number(int(until.timestamp())),
        }
        with named(f"noting part {part} of {transfer_id}"):
            self._client.put_item(TableName=self._table, Item=row)

    def done(self, tenant: Tenant, transfer_id: str) -> int:
        return sum(int(row["entities"]["N"]) for row in self._rows.query(_transfer_of(tenant, transfer_id), _PART))

    def add_key(self, key: ApiKey) -> ApiKey:
        return self._rows.add(_KEYS, _api_key_key(key.id), key)

    def key(self, key_id: str) -> ApiKey:
        return self._rows.get(_KEYS, _api_key_key(key_id), key_id)

    def keys(self) -> Iterator[ApiKey]:
        # Keys are few and are listed by operators alone, so they have no partition in common: the whole table is read.
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            ConsistentRead=True,
            FilterExpression="sk = :key",
            ExpressionAttributeValues={":key": text(_KEY)},
        )
        with named("listing API keys"):
            for page in pages:
                for row in page["Items"]:
                    yield decoded(row, ApiKey)

    def replace_key(self, key: ApiKey) -> ApiKey:
        return self._rows.replace(_KEYS, _api_key_key(key.id), key)

    @cached_property
    def _schedules(self) -> "ScheduleRows":
        from tidemark.adapters.dynamo_schedules import ScheduleRows  # noqa: PLC0415 - few functions see a schedule

        return ScheduleRows(self._rows)

    def _rows_of_snapshots(self, tenant: Tenant, since: datetime | None, before: datetime | None) -> Iterator[Row]:
        if since is not None and before is not None and since >= before:
            # DynamoDB refuses bounds that are the wrong way round.
            return
        first = f"{SNAPSHOT}{_whole_second(since)}" if since else SNAPSHOT
        end = f"{SNAPSHOT}{_whole_second(before)}" if before else _PAST_SNAPSHOTS
        yield from self._rows.query(f"TENANT#{tenant}", between=(first, end), newest_first=True)


def _whole_second(moment: datetime) -> str:
    """The first whole second that is not before the moment. As a bound of keys, it sorts before all of that second."""
    return stamp(moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1))


def _place_of(row: Row) -> tuple[datetime | None, int]:
    """What the place of a damaged record says: its second and its number in that; None where it is no record's."""
    _, _, rest = row["sk"]["S"].partition("#")
    second, _, sequence = rest.partition("#")
    try:
        return datetime.strptime(second, "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC), int(sequence)
    except ValueError:
        return None, 0


def _snapshot_key(tenant: Tenant, snapshot_id: str) -> Row:
    second, sequence = parse_snapshot_id(snapshot_id)
    return {"pk": text(f"TENANT#{tenant}"), "sk": text(f"{SNAPSHOT}{second}#{sequence:06d}")}


def _restore_key(tenant: Tenant, restore_id: str) -> Row:
    match = _RESTORE_ID.fullmatch(restore_id)
    if match is None or match[2] == "1":
        raise RestoreNotFound(f"no restore {restore_id[:100]!r}: an id looks like restore_2026-01-15T10-00-00Z")
    return {"pk": text(f"TENANT#{tenant}"), "sk": text(f"{RESTORE}{match[1]}#{int(match[2] or 1):06d}")}


def _part_key(tenant: Tenant, restore_id: str, number: int) -> Row:
    return {"pk": text(_parts_of(tenant, restore_id)), "sk": text(f"{_PART}{number:06d}")}


def _parts_of(tenant: Tenant, restore_id: str) -> str:
    return f"TENANT#{tenant}#RESTORE#{restore_id}"


def _transfer_of(tenant: Tenant, transfer_id: str) -> str:
    return f"TENANT#{tenant}#TRANSFER#{transfer_id}"


def _api_key_key(key_id: str) -> Row:
    return {"pk": text(f"KEY#{key_id}"), "sk": text(_KEY)}
