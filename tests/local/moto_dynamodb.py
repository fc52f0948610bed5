"""Makes moto's DynamoDB right under threads and fast enough for thousands of items.

What is wrong with the original (5.2.5), and what is done:

- Requests run side by side on shared dictionaries: updates get lost and some answer 500. One lock around the dispatch
  makes each atomic.
- A Query sorts and copies the whole table: here it reads its partition only, also through a local secondary index.
- A transaction copies whole tables: here it checks first, and keeps only the items that it touches for a rollback.
- A PartiQL statement turns every item of every table into JSON: here an INSERT is a conditional put.
- Batches of more than 25 writes and transactions of more than 4 MB pass: here they are refused, as by AWS.
"""

import copy
import functools
import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.comparisons import get_comparison_func, get_filter_expression
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
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from tests.local.patching import replace

_MAX_BATCH_WRITES = 25
_MAX_TRANSACTION_ITEMS = 100
_MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
_MAX_PAGE_BYTES = 1024 * 1024

_LOCK = threading.RLock()
_INSERT = re.compile(
    r"""\s*INSERT\s+INTO\s+"?([A-Za-z0-9_.-]+)"?\s+VALUE\s*\{(.*)\}\s*;?\s*""", re.IGNORECASE | re.DOTALL
)
_INSERT_MEMBER = re.compile(r"""\s*'([^']+)'\s*:\s*\?\s*""")


def _exclusive(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def locked(*arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return original(*arguments, **named)

    return locked


# --- Reading ----------------------------------------------------------------------------------------------------------


def _subset(item: Item, names: list[str]) -> Item:
    part = Item.__new__(Item)
    part.hash_key, part.range_key, part.attrs = item.hash_key, item.range_key, LimitedSizeDict()
    for name in names:
        if name in item.attrs:
            dict.__setitem__(part.attrs, name, item.attrs[name])
    return part


def _project(item: Item, expressions: list[list[str]]) -> Item:
    if all(len(path) == 1 and "[" not in path[0] for path in expressions):
        return _subset(item, [path[0] for path in expressions])
    whole: Item = _original_project(item, expressions)
    return whole


def _get_item(
    table: Table,
    hash_key: DynamoType,
    range_key: DynamoType | None = None,
    projection_expression: list[list[str]] | None = None,
) -> Item | None:
    if table.has_range_key and range_key is None:
        raise MockValidationException("The provided key element does not match the schema")
    # The original makes an empty partition for each hash key that is asked for.
    found: Any = table.items.get(hash_key)
    if found is not None and range_key is not None:
        found = found.get(range_key)
    if found is not None and projection_expression:
        found = found.project(projection_expression)
    return found  # type: ignore[no-any-return]


def _query(
    table: Table,
    hash_key: DynamoType | None,
    range_comparison: str | None,
    range_objs: list[DynamoType],
    limit: int | None,
    exclusive_start_key: dict[str, Any] | None,
    scan_index_forward: bool,  # noqa: FBT001 - the original's signature
    projection_expressions: list[list[str]] | None,
    index_name: str | None = None,
    consistent_read: bool = False,  # noqa: FBT001, FBT002 - as above
    filter_expression: Any = None,
    **others: Any,
) -> tuple[list[Item], int, dict[str, Any] | None]:
    local_index = next((index for index in table.indexes if index.name == index_name), None)
    legacy = set(others) - {"hash_key_conditions", "range_key_conditions"}
    if hash_key is None or table.range_key_attr is None or legacy or (index_name and local_index is None):
        result: tuple[list[Item], int, dict[str, Any] | None] = _original_query(
            table, hash_key, range_comparison, range_objs, limit, exclusive_start_key, scan_index_forward,
            projection_expressions, index_name, consistent_read, filter_expression, **others,
        )  # fmt: skip
        return result
    sort_names = [table.range_key_attr]
    if local_index is not None:
        sort_names.insert(0, next(key["AttributeName"] for key in local_index.schema if key["KeyType"] == "RANGE"))

    def position(attributes: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(DynamoType(attributes[name]).cast_value for name in sort_names)

    items = [item for item in table.items.get(hash_key, {}).values() if sort_names[0] in item.attrs]
    if range_comparison:
        holds, values = get_comparison_func(range_comparison), [value.cast_value for value in range_objs]
        items = [item for item in items if holds(item.attrs[sort_names[0]].cast_value, *values)]
    ordered = sorted(
        ((position(item.attrs), item) for item in items), key=lambda pair: pair[0], reverse=not scan_index_forward
    )
    if exclusive_start_key is not None:
        start = position(exclusive_start_key)
        ordered = [pair for pair in ordered if (pair[0] > start if scan_index_forward else pair[0] < start)]

    page: list[Item] = []
    page_bytes = 0
    last_key = None
    for _, item in ordered:
        narrow = item if local_index is None else local_index.project(item)
        page_bytes += narrow.size()
        if page and page_bytes > _MAX_PAGE_BYTES:
            last_key = _key_of(table, page[-1], index_name)
            break
        # AWS fetches from the table what an expression names and a local index does not hold.
        page.append(item if projection_expressions else narrow)
        if len(page) == limit:
            last_key = _key_of(table, item, index_name)  # AWS gives one even if nothing follows
            break
    kept = page if filter_expression is None else [item for item in page if filter_expression.expr(item)]
    return (
        [item.project(projection_expressions) for item in kept] if projection_expressions else kept,
        len(page),
        last_key,
    )


def _key_of(table: Table, item: Item, index_name: str | None) -> dict[str, Any]:
    names = [table.hash_key_attr, table.range_key_attr]
    if index_name:
        names += [key["AttributeName"] for key in table.get_index(index_name).schema]
    return {name: item.attrs[name] for name in names if name is not None}


# --- Writing ----------------------------------------------------------------------------------------------------------


def _batch_write_item(handler: DynamoHandler) -> Any:
    count = sum(len(requests) for requests in handler.body["RequestItems"].values())
    if count > _MAX_BATCH_WRITES:
        raise MockValidationException(
            "1 validation error detected: Value at 'requestItems' failed to satisfy constraint: "
            f"Map value must satisfy constraint: [Member must have length less than or equal to {_MAX_BATCH_WRITES}]"
        )
    return _original_batch_write_item(handler)


def _transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Check every operation first; then write them all, or none.

    No two operations may touch the same item, so a condition never depends on another operation's write.
    """
    if len(transact_items) > _MAX_TRANSACTION_ITEMS:
        raise TooManyTransactionsException
    operations = []
    for item in transact_items:
        if len(item) > 1:
            raise TransactWriteSingleOpException
        operations.append(next(iter(item.items())))
    keys = [_operation_key(backend, kind, operation) for kind, operation in operations]
    if len({(operation["TableName"], *key) for key, (_, operation) in zip(keys, operations, strict=True)}) < len(keys):
        raise MultipleTransactionsException
    if sum(_operation_bytes(operation) for _, operation in operations) > _MAX_TRANSACTION_BYTES:
        raise MockValidationException("Collection size exceeded: a transaction holds at most 4 MB")
    reasons = [_check(backend, operation, key) for key, (_, operation) in zip(keys, operations, strict=True)]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    before = [
        (operation["TableName"], key, copy.deepcopy(_current(backend, operation, key)))
        for key, (_, operation) in zip(keys, operations, strict=True)
    ]
    try:
        for kind, operation in operations:
            _write(backend, kind, operation)
    except Exception:
        for table_name, key, item in before:
            _put_back(backend.get_table(table_name), key, item)
        raise


type _Key = tuple[DynamoType, DynamoType | None]


def _operation_key(backend: DynamoDBBackend, kind: str, operation: dict[str, Any]) -> _Key:
    table = backend.get_table(operation["TableName"])
    attributes = operation["Item"] if kind == "Put" else operation["Key"]
    hash_key, range_key = backend.get_keys_value(table, attributes)
    return hash_key, range_key


def _operation_bytes(operation: dict[str, Any]) -> int:
    values = itertools.chain(
        operation.get("Item", {}).values(),
        operation.get("Key", {}).values(),
        operation.get("ExpressionAttributeValues", {}).values(),
    )
    return sum(DynamoType(value).size() for value in values)


def _current(backend: DynamoDBBackend, operation: dict[str, Any], key: _Key) -> Item | None:
    return backend.get_table(operation["TableName"]).get_item(*key)


def _check(
    backend: DynamoDBBackend, operation: dict[str, Any], key: _Key
) -> tuple[str | None, str | None, dict[str, Any] | None]:
    condition = operation.get("ConditionExpression")
    if condition is None:
        return None, None, None
    current = _current(backend, operation, key)
    holds = get_filter_expression(
        condition, operation.get("ExpressionAttributeNames"), operation.get("ExpressionAttributeValues")
    ).expr(current)
    if holds:
        return None, None, None
    wants_old = operation.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    old = current.to_json()["Attributes"] if wants_old and current is not None else None
    return "ConditionalCheckFailed", str(ConditionalCheckFailed().message), old


def _write(backend: DynamoDBBackend, kind: str, operation: dict[str, Any]) -> None:
    table_name = operation["TableName"]
    match kind:
        case "Put":
            backend.put_item(table_name, operation["Item"], overwrite=True)
        case "Delete":
            backend.delete_item(table_name, operation["Key"])
        case "Update":
            values = operation.get("ExpressionAttributeValues")
            backend.update_item(
                table_name,
                operation["Key"],
                operation["UpdateExpression"],
                operation.get("ExpressionAttributeNames") or {},
                values or {},
            )


def _put_back(table: Table, key: _Key, item: Item | None) -> None:
    if item is None:
        table.delete_item(*key)
    elif key[1] is None:
        table.items[key[0]] = item  # type: ignore[assignment]
    else:
        table.items[key[0]][key[1]] = item


# --- PartiQL ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _parse_insert(statement: str) -> tuple[str, tuple[str, ...]] | None:
    """The table and the attribute names of an INSERT whose values are all parameters; anything else is left to moto."""
    match = _INSERT.fullmatch(statement)
    if match is None:
        return None
    members = [_INSERT_MEMBER.fullmatch(member) for member in match[2].split(",")]
    if not all(members):
        return None
    return match[1], tuple(member[1] for member in members if member)


def _batch_execute_statement(backend: DynamoDBBackend, statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(statements) > _MAX_BATCH_WRITES:
        raise MockValidationException(
            "1 validation error detected: Value at 'statements' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_BATCH_WRITES}"
        )
    inserts = [_parse_insert(statement["Statement"]) for statement in statements]
    if not all(inserts):
        answers: list[dict[str, Any]] = _original_batch_execute_statement(backend, statements)
        return answers
    return [
        _insert(backend, *insert, statement.get("Parameters", []))
        for insert, statement in zip(inserts, statements, strict=True)
        if insert is not None
    ]


def _insert(
    backend: DynamoDBBackend, table_name: str, names: tuple[str, ...], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    if len(names) != len(parameters):
        return {
            "Error": {
                "Code": "ValidationError",
                "Message": "Number of parameters in request and statement don't match.",
            }
        }
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


replace(DynamoHandler, "call_action", _exclusive(DynamoHandler.call_action))
_original_batch_write_item = replace(DynamoHandler, "batch_write_item", _batch_write_item)
_original_project = replace(Item, "project", _project)
_original_query = replace(Table, "query", _query)
replace(Table, "get_item", _get_item)
replace(DynamoDBBackend, "transact_write_items", _transact_write_items)
_original_batch_execute_statement = replace(DynamoDBBackend, "batch_execute_statement", _batch_execute_statement)
