"""Makes moto's DynamoDB right under threads and fast enough for thousands of items.

What is wrong with the original (5.2.5), and what is done:

- Requests run side by side on shared dictionaries: updates get lost and some answer 500. One lock around the dispatch
  makes each atomic.
- A Query sorts and copies the whole table: here it reads its partition only, also through a local secondary index.
- A transaction copies whole tables: here it checks first, and keeps only the items that it touches for a rollback.
- A PartiQL statement turns every item of every table into JSON: here an INSERT is a conditional put.
- Batches of more than 25 writes and transactions of more than 4 MB pass: here they are refused, as by AWS.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.comparisons import get_comparison_func
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from tests.local import moto_dynamodb_writes
from tests.local.patching import replace

_MAX_PAGE_BYTES = 1024 * 1024
_ALSO = moto_dynamodb_writes  # imported for what it replaces

_LOCK = threading.RLock()


def _exclusive(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def locked(*arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return original(*arguments, **named)

    return locked


def _subset(item: Item, names: list[str]) -> Item:
    part: Any = Item.__new__(Item)
    part.hash_key, part.range_key, part.attrs = item.hash_key, item.range_key, LimitedSizeDict()
    for name in names:
        if name in item.attrs:
            dict.__setitem__(part.attrs, name, item.attrs[name])
    return part  # type: ignore[no-any-return]


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


def _query(  # noqa: PLR0917 - the original's signature
    table: Table,
    hash_key: DynamoType | None,
    range_comparison: str | None,
    range_objs: list[DynamoType],
    limit: int | None,
    exclusive_start_key: dict[str, Any] | None,
    scan_index_forward: bool,
    projection_expressions: list[list[str]] | None,
    index_name: str | None = None,
    consistent_read: bool = False,
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


replace(DynamoHandler, "call_action", _exclusive(DynamoHandler.call_action))
_original_project = replace(Item, "project", _project)
_original_query = replace(Table, "query", _query)
replace(Table, "get_item", _get_item)
