"""Transactions, batches and PartiQL inserts of moto's DynamoDB, as AWS does them; see `moto_dynamodb.py` for why.

All of it runs under the one lock of `moto_dynamodb.py`.
"""

import copy
import functools
import re
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    MockValidationException,
    MultipleTransactionsException,
    ResourceNotFoundException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from tests.local.patching import replace

_MAX_BATCH_WRITES = 25
_MAX_TRANSACTION_ITEMS = 100
_MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
_INSERT = re.compile(
    r"""\s*INSERT\s+INTO\s+"?([A-Za-z0-9_.-]+)"?\s+VALUE\s*\{(.*)\}\s*;?\s*""", re.IGNORECASE | re.DOTALL
)
_INSERT_MEMBER = re.compile(r"""\s*'([^']+)'\s*:\s*\?\s*""")

type _Reason = tuple[str | None, str | None, dict[str, Any] | None]


@dataclass
class _Operation:
    """One operation of a transaction."""

    kind: str
    body: dict[str, Any]
    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None

    def current(self) -> Item | None:
        return self.table.get_item(self.hash_key, self.range_key)

    def size_bytes(self) -> int:
        parts = (self.body.get(name, {}) for name in ("Item", "Key", "ExpressionAttributeValues"))
        return sum(DynamoType(value).size() for part in parts for value in part.values())

    def check(self) -> _Reason:
        """Why it cannot be done; all None if it can."""
        condition = self.body.get("ConditionExpression")
        if condition is None:
            return None, None, None
        names, values = self.body.get("ExpressionAttributeNames"), self.body.get("ExpressionAttributeValues")
        current = self.current()
        if get_filter_expression(condition, names, values).expr(current):
            return None, None, None
        wants_old = self.body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        old = current.to_json()["Attributes"] if wants_old and current is not None else None
        return "ConditionalCheckFailed", str(ConditionalCheckFailed().message), old

    def write(self, backend: DynamoDBBackend) -> None:
        if self.kind == "Put":
            self.table.put_item(self.body["Item"], overwrite=True)
        elif self.kind == "Delete":
            self.table.delete_item(self.hash_key, self.range_key)
        elif self.kind == "Update":
            names, values = self.body.get("ExpressionAttributeNames"), self.body.get("ExpressionAttributeValues")
            backend.update_item(
                self.table.name, self.body["Key"], self.body["UpdateExpression"], names or {}, values or {}
            )

    def put_back(self, before: Item | None) -> None:
        if before is None:
            self.table.delete_item(self.hash_key, self.range_key)
        elif self.range_key is None:
            self.table.items[self.hash_key] = before  # type: ignore[assignment]
        else:
            self.table.items[self.hash_key][self.range_key] = before


def _operation(backend: DynamoDBBackend, item: dict[str, Any]) -> _Operation:
    if len(item) > 1:
        raise TransactWriteSingleOpException
    kind, body = next(iter(item.items()))
    table = backend.get_table(body["TableName"])
    hash_key, range_key = backend.get_keys_value(table, body["Item"] if kind == "Put" else body["Key"])
    return _Operation(kind, body, table, hash_key, range_key)


def _transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Check every operation first; then write them all, or none.

    No two operations may touch the same item, so a condition never depends on another operation's write.
    """
    if len(transact_items) > _MAX_TRANSACTION_ITEMS:
        raise TooManyTransactionsException
    operations = [_operation(backend, item) for item in transact_items]
    if len({(one.table.name, one.hash_key, one.range_key) for one in operations}) < len(operations):
        raise MultipleTransactionsException
    if sum(one.size_bytes() for one in operations) > _MAX_TRANSACTION_BYTES:
        raise MockValidationException("Collection size exceeded: a transaction holds at most 4 MB")
    reasons = [one.check() for one in operations]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    before = [copy.deepcopy(one.current()) for one in operations]
    try:
        for one in operations:
            one.write(backend)
    except Exception:
        for one, item in zip(operations, before, strict=True):
            one.put_back(item)
        raise


def _batch_write_item(handler: DynamoHandler) -> Any:
    count = sum(len(requests) for requests in handler.body["RequestItems"].values())
    if count > _MAX_BATCH_WRITES:
        raise MockValidationException(
            "1 validation error detected: Value at 'requestItems' failed to satisfy constraint: "
            f"Map value must satisfy constraint: [Member must have length less than or equal to {_MAX_BATCH_WRITES}]"
        )
    return _original_batch_write_item(handler)


@functools.lru_cache(maxsize=256)
def _parse_insert(statement: str) -> tuple[str, tuple[str, ...]] | None:
    """The table and the attribute names of an INSERT whose values are all parameters; None for anything else."""
    match = _INSERT.fullmatch(statement)
    if match is None:
        return None
    members = [_INSERT_MEMBER.fullmatch(member) for member in match[2].split(",")]
    names = tuple(member[1] for member in members if member is not None)
    return (match[1], names) if len(names) == len(members) else None


def _batch_execute_statement(backend: DynamoDBBackend, statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(statements) > _MAX_BATCH_WRITES:
        raise MockValidationException(
            "1 validation error detected: Value at 'statements' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_BATCH_WRITES}"
        )
    answers = []
    for statement in statements:
        insert = _parse_insert(statement["Statement"])
        if insert is None:
            answers += _original_batch_execute_statement(backend, [statement])
        else:
            answers.append(_insert(backend, *insert, statement.get("Parameters", [])))
    return answers


def _insert(
    backend: DynamoDBBackend, table_name: str, names: tuple[str, ...], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    if len(names) != len(parameters):
        message = "Number of parameters in request and statement don't match."
        return {"Error": {"Code": "ValidationError", "Message": message}}
    attributes = dict(zip(names, parameters, strict=True))
    try:
        table = backend.get_table(table_name)
        if table.get_item(*backend.get_keys_value(table, attributes)) is not None:
            return {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}}
        table.put_item(attributes, overwrite=True)
    except ResourceNotFoundException:
        return {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}}
    except MockValidationException as error:
        return {"Error": {"Code": "ValidationError", "Message": error.message}}
    return {"TableName": table_name}


_original_batch_write_item = replace(DynamoHandler, "batch_write_item", _batch_write_item)
replace(DynamoDBBackend, "transact_write_items", _transact_write_items)
_original_batch_execute_statement = replace(DynamoDBBackend, "batch_execute_statement", _batch_execute_statement)
