"""The table of the entity store in DynamoDB. `dynamo_rows` says what its rows look like."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidemark.adapters import dynamo_rows as rows
from tidemark.adapters.aws_errors import CONDITION_FAILED, THROTTLING, TRANSACTION_CONFLICT, code_of, failure, named
from tidemark.adapters.backoff import Backoff
from tidemark.adapters.dynamo_batches import DynamoBatches
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import ChangedKey, Cut, Gate, Generation, Item, ItemKey, ItemWrite, TenantState
from tidemark.domain.tenant import Tenant
from tidemark.errors import AwsFailure, RecordExists, StaleRecord, Throttled, WriteConflict
from tidemark.ports import ChangedPage, Clock, Entropy, Loaded, Page, Parallel

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

BY_ID: Final = "byId"
CHANGED: Final = "changed"
_ABSENT: Final = "attribute_not_exists(pk)"
_REV: Final = "rev = :rev"
# What the reasons of a cancelled transaction say when it lost against another writer.
_LOST: Final = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
_CANCELLED: Final = "TransactionCanceledException"
# A gate is busy while transactions check it; each takes some milliseconds.
_BUSY_FIRST_S: Final = 0.01
_BUSY_LONGEST_S: Final = 0.2
_BUSY_BUDGET_S: Final = 10.0


class DynamoEntityTable:
    """See `tidemark.ports.EntityTable`. Safe to share between threads, as its client is."""

    def __init__(
        self, client: "DynamoDBClient", table: str, *, clock: Clock, entropy: Entropy, parallel: Parallel
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._entropy = entropy
        self._batches = DynamoBatches(client, table, clock=clock, entropy=entropy, parallel=parallel)

    def load(self, tenant: Tenant, keys: Sequence[ItemKey] = (), gates: Sequence[int] = ()) -> Loaded:
        wanted = [
            rows.state_key(tenant),
            *(rows.gate_key(tenant, gate) for gate in dict.fromkeys(gates)),
            *(rows.item_key(tenant, key) for key in dict.fromkeys(keys)),
        ]
        state: TenantState | None = None
        found_gates: dict[int, Gate] = {}
        items: dict[ItemKey, Item] = {}
        for row in self._batches.get(wanted):
            kind = row["sk"]["S"]
            if kind == rows.STATE:
                state = rows.state_from(row)
            elif kind == rows.GATE:
                gate = rows.gate_from(row)
                found_gates[gate.number] = gate
            else:
                item = rows.item_from(row)
                items[item.key] = item
        return Loaded(state, found_gates, items)

    def add_state(self, state: TenantState) -> None:
        self._add(rows.state_row(state), f"the state of tenant {state.tenant}")

    def replace_state(self, state: TenantState) -> TenantState:
        wanted = replace(state, rev=state.rev + 1)
        what = f"the state of tenant {state.tenant}"
        self._replace(rows.state_row(wanted), state.rev, lambda row: rows.state_from(row) == wanted, what)
        return wanted

    def add_gate(self, gate: Gate) -> None:
        self._add(rows.gate_row(gate), f"gate {gate.number} of tenant {gate.tenant}")

    def replace_gate(self, gate: Gate) -> Gate:
        wanted = replace(gate, rev=gate.rev + 1)
        what = f"gate {gate.number} of tenant {gate.tenant}"
        self._replace(rows.gate_row(wanted), gate.rev, lambda row: rows.gate_from(row) == wanted, what)
        return wanted

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        doing = f"writing {len(writes)} entities of tenant {tenant}"
        actions = [self._check(gate) for gate in gates] + [self._write(tenant, write) for write in writes]
        if not actions:
            return
        lost = WriteConflict(f"{doing}: another writer was faster; try again")
        with named(doing, {"TransactionInProgressException": lost}):
            try:
                # The client adds a token to the request, so its own repeats after a lost answer do nothing.
                self._client.transact_write_items(TransactItems=actions)
            except ClientError as error:
                if code_of(error) != _CANCELLED:
                    raise
                raise _why_cancelled(error, doing) from error

    def page(
        self,
        tenant: Tenant,
        generation: Generation,
        shard: int,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Page:
        if after is not None and not after.startswith(prefix):
            # DynamoDB refuses to start outside of what is asked for.
            if after > prefix:
                return Page((), more=False)
            after = None
        pk = rows.text(rows.partition(tenant, generation, shard))
        request: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": pk},
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :prefix)"
            request["ExpressionAttributeValues"][":prefix"] = rows.text(prefix)
        if after is not None:
            request["ExclusiveStartKey"] = {"pk": pk, "sk": rows.text(after)}
        if limit is not None:
            request["Limit"] = limit
        with named(f"listing entities of tenant {tenant}"):
            answer = self._client.query(TableName=self._table, ConsistentRead=True, **request)
        return Page([rows.item_from(row) for row in answer["Items"]], more="LastEvaluatedKey" in answer)

    def keys_of_id(self, tenant: Tenant, generation: Generation, shard: int, entity_id: str) -> list[EntityKey]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=BY_ID,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND id = :id",
            ExpressionAttributeValues={
                ":pk": rows.text(rows.partition(tenant, generation, shard)),
                ":id": rows.text(entity_id),
            },
            ProjectionExpression="sk",
        )
        with named(f"finding an entity of tenant {tenant} by its id"):
            return sorted(EntityKey.parse(row["sk"]["S"]) for page in pages for row in page["Items"])

    def changed_keys(
        self, tenant: Tenant, generation: Generation, shard: int, *, since: Cut, after: ChangedKey | None = None
    ) -> ChangedPage:
        pk = rows.text(rows.partition(tenant, generation, shard))
        request: dict[str, Any] = {}
        if after is not None:
            request["ExclusiveStartKey"] = {
                "pk": pk,
                "sk": rows.text(after.sort_key),
                "changed": rows.number(after.cut),
            }
        with named(f"finding what changed of tenant {tenant}"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=CHANGED,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND changed > :since",
                ExpressionAttributeValues={":pk": pk, ":since": rows.number(since)},
                **request,
            )
        return ChangedPage([rows.changed_from(row) for row in answer["Items"]], more="LastEvaluatedKey" in answer)

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        first_of_each: dict[ItemKey, Item] = {}
        for item in items:
            first_of_each.setdefault(item.key, item)
        self._batches.insert(rows.item_row(tenant, item) for item in first_of_each.values())

    def remove(self, tenant: Tenant, keys: Sequence[ItemKey]) -> None:
        self._batches.delete(rows.item_key(tenant, key) for key in dict.fromkeys(keys))

    def _add(self, row: rows.Row, what: str) -> None:
        taken = {CONDITION_FAILED: RecordExists(f"{what} already exists")}
        with named(f"creating {what}", taken):
            self._client.put_item(TableName=self._table, Item=row, ConditionExpression=_ABSENT)

    def _replace(self, row: rows.Row, rev: int, is_stored: Callable[[rows.Row], bool], what: str) -> None:
        doing = f"storing {what}"
        backoff = Backoff(
            self._clock,
            self._entropy,
            first_s=_BUSY_FIRST_S,
            longest_s=_BUSY_LONGEST_S,
            budget_s=_BUSY_BUDGET_S,
        )
        while True:
            with named(doing):
                try:
                    self._client.put_item(
                        TableName=self._table,
                        Item=row,
                        ConditionExpression=_REV,
                        ExpressionAttributeValues={":rev": rows.number(rev)},
                        ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    )
                except ClientError as error:
                    code = code_of(error)
                    if code == CONDITION_FAILED:
                        # An earlier try may have been stored though its answer was lost.
                        present = rows.old_row(error)
                        if present and is_stored(present):
                            return
                        raise StaleRecord(f"{what} has changed since it was read") from error
                    if code != TRANSACTION_CONFLICT:
                        raise
                else:
                    return
            backoff.pause(doing)

    def _check(self, gate: Gate) -> Any:  # noqa: ANN401 - one of the shapes that the client takes
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": rows.gate_key(gate.tenant, gate.number),
                "ConditionExpression": _REV,
                "ExpressionAttributeValues": {":rev": rows.number(gate.rev)},
            }
        }

    def _write(self, tenant: Tenant, write: ItemWrite) -> Any:  # noqa: ANN401 - as above
        if write.expected_rev is None:
            condition: dict[str, Any] = {"ConditionExpression": _ABSENT}
        else:
            condition = {
                "ConditionExpression": _REV,
                "ExpressionAttributeValues": {":rev": rows.number(write.expected_rev)},
            }
        if write.item is None:
            return {"Delete": {"TableName": self._table, "Key": rows.item_key(tenant, write.key), **condition}}
        return {"Put": {"TableName": self._table, "Item": rows.item_row(tenant, write.item), **condition}}


def _why_cancelled(error: ClientError, doing: str) -> WriteConflict | Throttled | AwsFailure:
    codes = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])} - {"None"}
    if unknown := codes - _LOST - THROTTLING:
        return failure(doing, ", ".join(sorted(unknown)))
    if codes & _LOST:
        return WriteConflict(f"{doing}: another writer was faster; try again")
    return failure(doing, next(iter(codes), _CANCELLED))
