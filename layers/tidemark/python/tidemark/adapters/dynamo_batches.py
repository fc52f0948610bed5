"""Many items at once in DynamoDB: reads of up to 100, inserts and deletes of up to 25 a request.

AWS may answer such a request in part. What is left is asked for again after a pause; the requests of one call are made
side by side.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidemark.adapters.aws_errors import THROTTLING, TRANSACTION_CONFLICT, failure, named
from tidemark.adapters.backoff import Backoff
from tidemark.adapters.dynamo_rows import Row
from tidemark.adapters.dynamo_wire import TEXT
from tidemark.ports import Clock, Entropy, Parallel

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_READS: Final = 100
_WRITES: Final = 25
_DUPLICATE: Final = "DuplicateItem"
_REPEATABLE: Final = THROTTLING | {"InternalServerError", "TransactionConflict", TRANSACTION_CONFLICT}


class DynamoBatches:
    """Batches over one table. `keys` and `rows` may not name an item twice."""

    def __init__(
        self, client: "DynamoDBClient", table: str, *, clock: Clock, entropy: Entropy, parallel: Parallel
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._entropy = entropy
        self._parallel = parallel

    def get(self, keys: Sequence[Row]) -> Iterator[Row]:
        """The rows that exist among the keys, each read strongly consistently at its own moment, in no order."""
        for rows in self._parallel.map(self._get, batched(keys, _READS, strict=False)):
            yield from rows

    def insert(self, rows: Iterable[Row]) -> None:
        """Store the rows whose keys are not taken. May be repeated."""
        self._parallel.map(self._insert, batched(rows, _WRITES, strict=False))

    def delete(self, keys: Iterable[Row]) -> None:
        """Remove whatever has these keys. May be repeated."""
        self._parallel.map(self._delete, batched(keys, _WRITES, strict=False))

    def _get(self, keys: Sequence[Row]) -> list[Row]:
        doing = f"reading {len(keys)} items of table {self._table}"
        backoff = self._backoff()
        found: list[Row] = []
        wanted: Sequence[Any] = keys
        while True:
            with named(doing):
                answer = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": wanted, "ConsistentRead": True}}
                )
            got = answer["Responses"].get(self._table, [])
            found.extend(got)
            left = answer.get("UnprocessedKeys", {}).get(self._table)
            wanted = left["Keys"] if left else ()
            if not wanted:
                return found
            # An answer holds 16 MB at most: if it brought something, that may be why it is not complete.
            if not got:
                backoff.pause(doing)

    def _insert(self, rows: Sequence[Row]) -> None:
        # An INSERT of PartiQL is conditional on the key being free; BatchWriteItem would replace what is there.
        doing = f"inserting {len(rows)} items into table {self._table}"
        backoff = self._backoff()
        left: Sequence[Row] = rows
        while True:
            text: Any = {TEXT: _insert_text(self._table, left)}
            with named(doing):
                answer = self._client.batch_execute_statement(**text)
            refused = []
            for row, response in zip(left, answer["Responses"], strict=True):
                code = response.get("Error", {}).get("Code")
                if code in _REPEATABLE:
                    refused.append(row)
                elif code is not None and code != _DUPLICATE:
                    raise failure(doing, code)
            if not refused:
                return
            left = refused
            backoff.pause(doing)

    def _delete(self, keys: Sequence[Row]) -> None:
        doing = f"deleting {len(keys)} items of table {self._table}"
        backoff = self._backoff()
        requests: Any = {self._table: [{"DeleteRequest": {"Key": key}} for key in keys]}
        while True:
            with named(doing):
                answer = self._client.batch_write_item(RequestItems=requests)
            requests = answer.get("UnprocessedItems")
            if not requests:
                return
            backoff.pause(doing)

    def _backoff(self) -> Backoff:
        return Backoff(self._clock, self._entropy)


def _insert_text(table: str, rows: Sequence[Row]) -> bytes:
    """The text of the request that inserts the rows: what does not differ from row to row is encoded once."""
    statements = [_insert_statement(table, *row) + msgspec.json.encode(list(row.values())) for row in rows]
    return b'{"Statements":[' + b"},".join(statements) + b"}]}"


@cache
def _insert_statement(table: str, *attributes: str) -> bytes:
    values = ", ".join(f"'{name}': ?" for name in attributes)
    statement = msgspec.json.encode(f'INSERT INTO "{table}" VALUE {{{values}}}')
    return b'{"Statement":' + statement + b',"Parameters":'
