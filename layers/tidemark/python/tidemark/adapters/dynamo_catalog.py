"""The catalog in DynamoDB: the records of snapshots, restores and API keys.

A record is one JSON string, `record`, beside the two attributes that conditions and people look at. Keys:

- snapshots: `TENANT#{tenant}` / `SNAPSHOT#{second}#{sequence}`, so that a query from the end gives the newest first
- restores: `TENANT#{tenant}` / `RESTORE#{second}#{sequence}`
- results of staging: `TENANT#{tenant}#RESTORE#{restore id}` / `PART#{number}`: apart, so no list of restores reads them
- API keys: `KEY#{id}` / `KEY`
- tenants that have snapshots: `TENANTS` / `{tenant}`, which have no record

`sha256` is of the row's keys and its record, so a record that was altered, or put in another one's place, is noticed.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import CONDITION_FAILED, code_of, named
from tidemark.adapters.dynamo_rows import Row, number, old_row, text
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
from tidemark.errors import (
    CatalogCorrupt,
    KeyNotFound,
    NotFound,
    RecordExists,
    RestoreNotFound,
    SnapshotNotFound,
    StaleRecord,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_SNAPSHOT: Final = "SNAPSHOT#"
_RESTORE: Final = "RESTORE#"
_PART: Final = "PART#"
_KEY: Final = "KEY"
# Sorts behind the key of every snapshot.
_PAST_SNAPSHOTS: Final = "SNAPSHOT$"
_TENANTS: Final = "TENANTS"
_RESTORE_ID: Final = re.compile(r"restore_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-([1-9]\d{0,5}))?")


class _Kind[V: (Snapshot, Restore, ApiKey)](NamedTuple):
    """What differs between the kinds of record."""

    name: str
    record: type[V]
    absent: type[NotFound]


_SNAPSHOTS: Final = _Kind("snapshot", Snapshot, SnapshotNotFound)
_RESTORES: Final = _Kind("restore", Restore, RestoreNotFound)
_KEYS: Final = _Kind("API key", ApiKey, KeyNotFound)


class DynamoCatalog:
    """See `tidemark.ports.Catalog`. Safe to share between threads, as its client is."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add_tenant(self, tenant: Tenant) -> None:
        with named(f"noting tenant {tenant}"):
            self._client.put_item(TableName=self._table, Item={"pk": text(_TENANTS), "sk": text(tenant)})

    def tenants(self) -> Iterator[Tenant]:
        for row in self._query(_TENANTS):
            yield Tenant(row["sk"]["S"])

    def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return self._add(_SNAPSHOTS, _snapshot_key(snapshot.tenant, snapshot.id), snapshot)

    def snapshot(self, tenant: Tenant, snapshot_id: str) -> Snapshot:
        return self._get(_SNAPSHOTS, _snapshot_key(tenant, snapshot_id), snapshot_id)

    def snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot]:
        for row in self._rows_of_snapshots(tenant, since, before):
            yield _decode(row, Snapshot)

    def found_snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot | DamagedSnapshot]:
        for row in self._rows_of_snapshots(tenant, since, before):
            try:
                found: Snapshot | DamagedSnapshot = _decode(row, Snapshot)
            except CatalogCorrupt as error:
                created_at, sequence = _place_of(row)
                identity = None if created_at is None else snapshot_id(created_at, sequence)
                found = DamagedSnapshot(identity, created_at, Failure(error.code, error.message))
            yield found

    def replace_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return self._replace(_SNAPSHOTS, _snapshot_key(snapshot.tenant, snapshot.id), snapshot)

    def remove_snapshot(self, snapshot: Snapshot) -> None:
        stale = StaleRecord(f"snapshot {snapshot.id} has changed since it was read")
        with named(f"removing snapshot {snapshot.id}", {CONDITION_FAILED: stale}):
            self._client.delete_item(
                TableName=self._table,
                Key=_snapshot_key(snapshot.tenant, snapshot.id),
                ConditionExpression="attribute_not_exists(pk) OR #version = :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":version": number(snapshot.version)},
            )

    def add_restore(self, restore: Restore) -> Restore:
        return self._add(_RESTORES, _restore_key(restore.tenant, restore.id), restore)

    def restore(self, tenant: Tenant, restore_id: str) -> Restore:
        return self._get(_RESTORES, _restore_key(tenant, restore_id), restore_id)

    def restores(self, tenant: Tenant) -> Iterator[Restore]:
        for row in self._query(f"TENANT#{tenant}", _RESTORE, newest_first=True):
            yield _decode(row, Restore)

    def found_restores(self, tenant: Tenant) -> Iterator[Restore | DamagedRestore]:
        for row in self._query(f"TENANT#{tenant}", _RESTORE, newest_first=True):
            try:
                found: Restore | DamagedRestore = _decode(row, Restore)
            except CatalogCorrupt as error:
                created_at, sequence = _place_of(row)
                identity = None if created_at is None else RestoreId(restore_id(created_at, sequence))
                found = DamagedRestore(identity, created_at, Failure(error.code, error.message))
            yield found

    def replace_restore(self, restore: Restore) -> Restore:
        return self._replace(_RESTORES, _restore_key(restore.tenant, restore.id), restore)

    def record_part(self, tenant: Tenant, restore_id: str, part: StagedPart) -> None:
        row = _sealed({"pk": text(_parts_of(tenant, restore_id)), "sk": text(f"{_PART}{part.part:06d}")}, part)
        with named(f"noting part {part.part} of restore {restore_id}"):
            self._client.put_item(TableName=self._table, Item=row)

    def parts(self, tenant: Tenant, restore_id: str) -> list[StagedPart]:
        return [_decode(row, StagedPart) for row in self._query(_parts_of(tenant, restore_id), _PART)]

    def remove_parts(self, tenant: Tenant, restore_id: str) -> None:
        rows = self._query(_parts_of(tenant, restore_id), _PART)
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
        return sum(int(row["entities"]["N"]) for row in self._query(_transfer_of(tenant, transfer_id), _PART))

    def add_key(self, key: ApiKey) -> ApiKey:
        return self._add(_KEYS, _api_key_key(key.id), key)

    def key(self, key_id: str) -> ApiKey:
        return self._get(_KEYS, _api_key_key(key_id), key_id)

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
                    yield _decode(row, ApiKey)

    def replace_key(self, key: ApiKey) -> ApiKey:
        return self._replace(_KEYS, _api_key_key(key.id), key)

    def _rows_of_snapshots(self, tenant: Tenant, since: datetime | None, before: datetime | None) -> Iterator[Row]:
        if since is not None and before is not None and since >= before:
            # DynamoDB refuses bounds that are the wrong way round.
            return
        first = f"{_SNAPSHOT}{_whole_second(since)}" if since else _SNAPSHOT
        end = f"{_SNAPSHOT}{_whole_second(before)}" if before else _PAST_SNAPSHOTS
        yield from self._query(f"TENANT#{tenant}", between=(first, end), newest_first=True)

    def _add[V: (Snapshot, Restore, ApiKey)](self, kind: _Kind[V], key: Row, record: V) -> V:
        wanted = replace(record, version=record.version + 1)
        taken = RecordExists(f"{kind.name} {record.id} is already registered")
        try:
            present = self._put(kind, key, wanted, {"ConditionExpression": "attribute_not_exists(pk)"})
        except CatalogCorrupt as error:
            # Whatever it was: it takes the place, and is not what was to be stored.
            raise taken from error
        if present in (None, wanted):
            return wanted
        raise taken

    def _replace[V: (Snapshot, Restore, ApiKey)](self, kind: _Kind[V], key: Row, record: V) -> V:
        wanted = replace(record, version=record.version + 1)
        condition = {
            "ConditionExpression": "#version = :version",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":version": number(record.version)},
        }
        if self._put(kind, key, wanted, condition) in (None, wanted):
            return wanted
        raise StaleRecord(f"{kind.name} {record.id} has changed since it was read")

    def _put[V: (Snapshot, Restore, ApiKey)](
        self, kind: _Kind[V], key: Row, record: V, condition: dict[str, Any]
    ) -> V | None:
        """Store the record: None if the condition held, else what is stored. Raises the kind's not-found error."""
        row = _sealed(key, record) | {"version": number(record.version)}
        if not isinstance(record, ApiKey):
            row["status"] = text(record.status)
        with named(f"storing {kind.name} {record.id}"):
            try:
                self._client.put_item(
                    TableName=self._table, Item=row, ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition
                )
            except ClientError as error:
                if code_of(error) != CONDITION_FAILED:
                    raise
                present = old_row(error)
                if not present:
                    raise kind.absent(f"no {kind.name} {record.id}") from error
                # The same content: an earlier try was stored though its answer was lost.
                return _decode(present, kind.record)
        return None

    def _get[V: (Snapshot, Restore, ApiKey)](self, kind: _Kind[V], key: Row, name: str) -> V:
        with named(f"reading {kind.name} {name}"):
            row = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if row is None:
            raise kind.absent(f"no {kind.name} {name}")
        return _decode(row, kind.record)

    def _query(
        self, pk: str, sk_prefix: str = "", *, between: tuple[str, str] | None = None, newest_first: bool = False
    ) -> Iterator[Row]:
        """The rows of a partition: those whose sort key has the prefix, or lies between two, the bounds included."""
        condition, values = "pk = :pk", {":pk": text(pk)}
        if between is not None:
            condition += " AND sk BETWEEN :first AND :last"
            values |= {":first": text(between[0]), ":last": text(between[1])}
        elif sk_prefix:
            # A prefix of nothing is refused by DynamoDB.
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = text(sk_prefix)
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ScanIndexForward=not newest_first,
        )
        with named(f"listing records of {pk}"):
            for page in pages:
                yield from page["Items"]


def _sealed(key: Row, record: Snapshot | Restore | ApiKey | StagedPart) -> Row:
    """The row of a record, with the checksum that `_decode` looks at."""
    content = msgspec.json.encode(record).decode()
    return key | {"record": text(content), "sha256": text(_checksum(key, content))}


def _checksum(key: Row, content: str) -> str:
    return hashlib.sha256(f"{key['pk']['S']}\n{key['sk']['S']}\n{content}".encode()).hexdigest()


def _decode[V: (Snapshot, Restore, ApiKey, StagedPart)](row: Row, kind: type[V]) -> V:
    """The record in a row. Raises CatalogCorrupt, naming the row, when it is not what was stored there."""
    where = f"the catalog's record {row['pk']['S']} / {row['sk']['S']}"
    try:
        content = row["record"]["S"]
        if _checksum(row, content) != row["sha256"]["S"]:
            raise CatalogCorrupt(f"{where} is damaged: it has the wrong checksum")
        record = msgspec.json.decode(content, type=kind)
        # The result of a staging worker has no version.
        version = getattr(record, "version", None)
        if version is not None and number(version) != row["version"]:
            raise CatalogCorrupt(f"{where} is damaged: its version is not that of its row")
    except (KeyError, UnicodeEncodeError, msgspec.DecodeError) as error:
        raise CatalogCorrupt(f"{where} cannot be read as a {kind.__name__}") from error
    return record


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
    return {"pk": text(f"TENANT#{tenant}"), "sk": text(f"{_SNAPSHOT}{second}#{sequence:06d}")}


def _restore_key(tenant: Tenant, restore_id: str) -> Row:
    match = _RESTORE_ID.fullmatch(restore_id)
    if match is None or match[2] == "1":
        raise RestoreNotFound(f"no restore {restore_id[:100]!r}: an id looks like restore_2026-01-15T10-00-00Z")
    return {"pk": text(f"TENANT#{tenant}"), "sk": text(f"{_RESTORE}{match[1]}#{int(match[2] or 1):06d}")}


def _parts_of(tenant: Tenant, restore_id: str) -> str:
    return f"TENANT#{tenant}#RESTORE#{restore_id}"


def _transfer_of(tenant: Tenant, transfer_id: str) -> str:
    return f"TENANT#{tenant}#TRANSFER#{transfer_id}"


def _api_key_key(key_id: str) -> Row:
    return {"pk": text(f"KEY#{key_id}"), "sk": text(_KEY)}
