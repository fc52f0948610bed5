"""Records of the catalog in the rows of its DynamoDB table: stored, changed, read and listed, of whatever kind.

A record is one JSON string, `record`, beside the two attributes that conditions and people look at. `sha256` is of the
row's keys and its record, so a record that was altered, or put in another one's place, is noticed.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

import msgspec
from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import CONDITION_FAILED, code_of, named
from tidemark.adapters.dynamo_rows import Row, number, old_row, text
from tidemark.domain.api_key import ApiKey
from tidemark.domain.restore import Restore, StagedPart
from tidemark.domain.snapshot import Snapshot
from tidemark.errors import CatalogCorrupt, NotFound, RecordExists, StaleRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Stored(Protocol):
    """What all records are: dataclasses with an id, and a version that grows by one each time they are stored."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @property
    def id(self) -> str:
        """What it is known by."""
        ...

    @property
    def version(self) -> int:
        """The compare-and-swap token."""
        ...


# Made while the module is imported, by one thread. msgspec looks into a type when it first decodes it; where two
# threads do so at once, one may be given what the other has only half looked into, and the process dies.
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Snapshot, Restore, ApiKey, StagedPart)
}


def learn(*kinds: type[Stored]) -> None:
    """Know further kinds of record. For modules that few functions import, while they are imported."""
    _DECODERS.update({kind: msgspec.json.Decoder(kind) for kind in kinds})


class Kind[V: Stored](NamedTuple):
    """What differs between the kinds of record."""

    name: str
    record: type[V]
    absent: type[NotFound]


class RecordRows:
    """The rows of one table. Safe to share between threads, as its client is."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add[V: Stored](self, kind: Kind[V], key: Row, record: V) -> V:
        """Store a record that is new. Raises RecordExists."""
        wanted = dataclasses.replace(record, version=record.version + 1)
        taken = RecordExists(f"{kind.name} {record.id} is already registered")
        try:
            present = self._put(kind, key, wanted, {"ConditionExpression": "attribute_not_exists(pk)"})
        except CatalogCorrupt as error:
            # Whatever it was: it takes the place, and is not what was to be stored.
            raise taken from error
        if present in (None, wanted):
            return wanted
        raise taken

    def replace[V: Stored](self, kind: Kind[V], key: Row, record: V) -> V:
        """Store a changed record, if the stored version is its own. Raises StaleRecord, or that there is none."""
        wanted = dataclasses.replace(record, version=record.version + 1)
        condition = {
            "ConditionExpression": "#version = :version",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":version": number(record.version)},
        }
        if self._put(kind, key, wanted, condition) in (None, wanted):
            return wanted
        raise StaleRecord(f"{kind.name} {record.id} has changed since it was read")

    def _put[V: Stored](self, kind: Kind[V], key: Row, record: V, condition: dict[str, Any]) -> V | None:
        """Store the record: None if the condition held, else what is stored. Raises the kind's not-found error."""
        row = row_of(key, record)
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
                return decoded(present, kind.record)
        return None

    def remove[V: Stored](self, kind: Kind[V], key: Row, record: V) -> None:
        """Forget a record, if the stored version is its own. Repeating it changes nothing. Raises StaleRecord."""
        stale = StaleRecord(f"{kind.name} {record.id} has changed since it was read")
        with named(f"removing {kind.name} {record.id}", {CONDITION_FAILED: stale}):
            self._client.delete_item(
                TableName=self._table,
                Key=key,
                ConditionExpression="attribute_not_exists(pk) OR #version = :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":version": number(record.version)},
            )

    def remove_damaged[V: Stored](self, kind: Kind[V], key: Row, name: str) -> None:
        """Forget a record that can't be read, unless it has changed since. Repeating it changes nothing. Raises
        StaleRecord.
        """
        with named(f"reading {kind.name} {name}"):
            row = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        stale = StaleRecord(f"{kind.name} {name} is not damaged, or has changed since it was read")
        if row is None:
            return
        try:
            decoded(row, kind.record)
        except CatalogCorrupt:
            # Nothing of the row is sure to be there; what was not is compared as the empty string.
            seen = {f":{name}": row.get(name, text("")) for name in ("record", "sha256", "version")}
            with named(f"removing {kind.name} {name}", {CONDITION_FAILED: stale}):
                self._client.delete_item(
                    TableName=self._table,
                    Key=key,
                    ConditionExpression=" AND ".join(
                        f"(#{field[1:]} = {field} OR attribute_not_exists(#{field[1:]}))" for field in seen
                    ),
                    ExpressionAttributeNames={f"#{field[1:]}": field[1:] for field in seen},
                    ExpressionAttributeValues=seen,
                )
        else:
            raise stale

    def get[V: Stored](self, kind: Kind[V], key: Row, name: str) -> V:
        """The record of that name. Raises the kind's not-found error."""
        with named(f"reading {kind.name} {name}"):
            row = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if row is None:
            raise kind.absent(f"no {kind.name} {name}")
        return decoded(row, kind.record)

    def query(
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


def row_of(key: Row, record: Stored) -> Row:
    """The whole row of a record that has a version: beside the record, what conditions and people look at."""
    row = sealed(key, record) | {"version": number(record.version)}
    status = getattr(record, "status", getattr(record, "state", None))
    if status is not None:
        row |= {"status": text(status)}
    # DynamoDB removes it some time after.
    until: datetime | None = getattr(record, "kept_until", None)
    return row if until is None else row | {"expiresAt": number(int(until.timestamp()))}


def sealed(key: Row, record: Stored | StagedPart) -> Row:
    """The row of a record, with the checksum that `decoded` looks at."""
    content = msgspec.json.encode(record).decode()
    return key | {"record": text(content), "sha256": text(_checksum(key, content))}


def _checksum(key: Row, content: str) -> str:
    return hashlib.sha256(f"{key['pk']['S']}\n{key['sk']['S']}\n{content}".encode()).hexdigest()


def decoded[V](row: Row, kind: type[V]) -> V:
    """The record in a row. Raises CatalogCorrupt, naming the row, when it is not what was stored there."""
    where = f"the catalog's record {row['pk']['S']} / {row['sk']['S']}"
    try:
        content = row["record"]["S"]
        if _checksum(row, content) != row["sha256"]["S"]:
            raise CatalogCorrupt(f"{where} is damaged: it has the wrong checksum")
        record: V = _DECODERS[kind].decode(content)
        # The result of a staging worker has no version.
        version = getattr(record, "version", None)
        if version is not None and number(version) != row["version"]:
            raise CatalogCorrupt(f"{where} is damaged: its version is not that of its row")
    except (KeyError, UnicodeEncodeError, msgspec.DecodeError) as error:
        raise CatalogCorrupt(f"{where} cannot be read as a {kind.__name__}") from error
    return record
