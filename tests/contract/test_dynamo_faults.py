"""What the adapters of DynamoDB do when AWS answers in part, late, or not at all."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import Lost, disturb, lose_answers, table_on
from tests.contract.examples import ACME, ONE, api_key, create, every_item, gate, item, key, restore, snapshot, state
from tests.fakes import ManualClock
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.domain.live import FencingToken
from tidemark.errors import AwsFailure, Corrupt, SnapshotNotFound, StaleRecord, Throttled, TidemarkError, WriteConflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

SIXTY = [item(f"entity-{number:02}") for number in range(60)]


@pytest.fixture
def lost(dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> Lost:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    return lose_answers(dynamodb)


def _nothing_read(request: Any) -> dict[str, Any]:
    return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}


def _nothing_written(request: Any) -> dict[str, Any]:
    return {"UnprocessedItems": request["RequestItems"]}


def _statements_answered(*codes: str | None) -> dict[str, Any]:
    return {"Responses": [{"Error": {"Code": code}} if code else {} for code in codes]}


# --- answers in part


def test_load_asks_again_for_what_was_left_out(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    entities.insert(ACME, SIXTY)
    asked = disturb(dynamodb, "BatchGetItem", _nothing_read, _nothing_read)
    assert len(entities.load(ACME, [each.key for each in SIXTY]).items) == 60
    assert len(asked.requests) == 3
    assert clock.monotonic_s() > 0


def test_load_keeps_what_came_with_the_first_answer(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    entities.insert(ACME, SIXTY)

    def first_ten(request: Any) -> dict[str, Any]:
        [(name, wanted)] = request["RequestItems"].items()
        rows = [dynamodb.get_item(TableName=name, Key=each)["Item"] for each in wanted["Keys"][1:11]]
        return {"Responses": {name: rows}, "UnprocessedKeys": {name: {**wanted, "Keys": wanted["Keys"][11:]}}}

    asked = disturb(dynamodb, "BatchGetItem", first_ten)
    assert entities.load(ACME, [each.key for each in SIXTY]).items == {each.key: each for each in SIXTY}
    assert len(asked.requests) == 2


def test_load_gives_up_when_nothing_is_ever_read(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    asked = disturb(dynamodb, "BatchGetItem", *[_nothing_read] * 1000)
    with pytest.raises(Throttled):
        entities.load(ACME)
    assert 20 <= clock.monotonic_s() < 30
    assert len(asked.requests) < 100


def test_insert_repeats_only_the_statements_that_were_turned_away(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    entities.insert(ACME, [item("b")])
    answer = _statements_answered("ThrottlingError", "DuplicateItem", "TransactionConflict", None)
    asked = disturb(dynamodb, "BatchExecuteStatement", answer)
    entities.insert(ACME, [item("a"), item("b"), item("c"), item("d")])
    assert [len(request["Statements"]) for request in asked.requests] == [4, 2]
    assert list(every_item(entities)) == [item("a"), item("b"), item("c")]
    assert clock.monotonic_s() > 0


def test_insert_gives_up_when_statements_are_always_turned_away(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    disturb(dynamodb, "BatchExecuteStatement", *[_statements_answered("ProvisionedThroughputExceeded")] * 1000)
    with pytest.raises(Throttled):
        entities.insert(ACME, [item("a")])
    assert 20 <= clock.monotonic_s() < 30


def test_insert_fails_when_a_statement_is_refused(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    disturb(dynamodb, "BatchExecuteStatement", _statements_answered(None, "ItemCollectionSizeLimitExceeded"))
    with pytest.raises(AwsFailure, match="ItemCollectionSizeLimitExceeded"):
        entities.insert(ACME, [item("a"), item("b")])


def test_remove_asks_again_for_what_was_left_out(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    entities.insert(ACME, SIXTY)
    asked = disturb(dynamodb, "BatchWriteItem", _nothing_written, None, None, _nothing_written)
    entities.remove(ACME, [each.key for each in SIXTY])
    assert len(asked.requests) == 5
    assert list(every_item(entities)) == []
    assert clock.monotonic_s() > 0


def test_remove_gives_up_when_nothing_is_ever_removed(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    disturb(dynamodb, "BatchWriteItem", *[_nothing_written] * 1000)
    with pytest.raises(Throttled):
        entities.remove(ACME, [key("a")])


def test_batches_hold_no_more_than_aws_takes(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    inserts = disturb(dynamodb, "BatchExecuteStatement")
    reads = disturb(dynamodb, "BatchGetItem")
    removals = disturb(dynamodb, "BatchWriteItem")
    items = [item(f"entity-{number:03}") for number in range(130)]
    entities.insert(ACME, items)
    entities.load(ACME, [each.key for each in items[:99]])
    entities.load(ACME, [each.key for each in items])
    entities.remove(ACME, [each.key for each in items])
    assert sorted(len(request["Statements"]) for request in inserts.requests) == [5, 25, 25, 25, 25, 25]
    assert [len(_only(request["RequestItems"])["Keys"]) for request in reads.requests[:1]] == [100]
    assert sorted(len(_only(request["RequestItems"])["Keys"]) for request in reads.requests[1:]) == [31, 100]
    assert sorted(len(_only(request["RequestItems"])) for request in removals.requests) == [5, 25, 25, 25, 25, 25]


def test_reads_are_strongly_consistent(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    reads = disturb(dynamodb, "BatchGetItem")
    queries = disturb(dynamodb, "Query")
    entities.load(ACME)
    entities.page(ACME, ONE, 0)
    entities.keys_of_id(ACME, ONE, 0, "a")
    with table_on(dynamodb) as name:
        catalog = DynamoCatalog(dynamodb, name)
        gets = disturb(dynamodb, "GetItem")
        with pytest.raises(SnapshotNotFound):
            catalog.snapshot(ACME, snapshot().id)
        assert list(catalog.snapshots(ACME)) == []
        assert list(catalog.restores(ACME)) == []
        assert catalog.parts(ACME, restore().id) == []
    requests = [*(_only(each["RequestItems"]) for each in reads.requests), *queries.requests, *gets.requests]
    assert [request["ConsistentRead"] for request in requests] == [True] * 7


def test_snapshots_within_bounds_are_all_that_is_read(dynamodb: "DynamoDBClient") -> None:
    with table_on(dynamodb) as name:
        catalog = DynamoCatalog(dynamodb, name)
        for second in range(50):
            catalog.add_snapshot(snapshot(second))
        read: list[int] = []
        dynamodb.meta.events.register(
            "after-call.dynamodb.Query", lambda parsed, **_: read.append(len(parsed["Items"]))
        )
        since = snapshot(10).created_at.replace(microsecond=0)
        assert len(list(catalog.snapshots(ACME, since=since, before=since + timedelta(seconds=3)))) == 3
        assert list(catalog.snapshots(ACME, since=since, before=since)) == []
    assert read == [3]


def test_page_never_starts_outside_of_its_prefix(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    # AWS refuses such a start; moto does not.
    queries = disturb(dynamodb, "Query")
    entities.page(ACME, ONE, 0, prefix="Room\x1f", after="Room\x1fa\x1f/")
    entities.page(ACME, ONE, 0, prefix="Room\x1f", after="Car\x1fz\x1f/")
    entities.page(ACME, ONE, 0, prefix="Room\x1f", after="Rooms\x1fa\x1f/")
    starts = [request.get("ExclusiveStartKey") for request in queries.requests]
    assert starts == [{"pk": {"S": "acme#1#0"}, "sk": {"S": "Room\x1fa\x1f/"}}, None]


def test_keys_of_id_are_in_order_whatever_the_order_of_the_index(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient"
) -> None:
    answer = {"Items": [{"sk": {"S": f"{kind}\x1fx\x1f/"}} for kind in ("Room", "Car", "Bus")], "Count": 3}
    disturb(dynamodb, "Query", answer)
    assert [each.type for each in entities.keys_of_id(ACME, ONE, 0, "x")] == ["Bus", "Car", "Room"]


def _only(content: dict[str, Any]) -> Any:
    [value] = content.values()
    return value


# --- errors


CALLS: dict[str, Callable[[DynamoEntityTable], object]] = {
    "BatchGetItem": lambda entities: entities.load(ACME),
    "BatchExecuteStatement": lambda entities: entities.insert(ACME, [item("a")]),
    "BatchWriteItem": lambda entities: entities.remove(ACME, [key("a")]),
    "PutItem": lambda entities: entities.replace_gate(gate()),
    "Query": lambda entities: entities.page(ACME, ONE, 0),
    "TransactWriteItems": lambda entities: entities.commit(ACME, [], [create(item("a"))]),
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", Throttled),
        ("ProvisionedThroughputExceededException", Throttled),
        ("RequestLimitExceeded", Throttled),
        ("InternalServerError", AwsFailure),
        ("AccessDeniedException", AwsFailure),
        ("ValidationException", AwsFailure),
    ],
)
def test_error_is_named_when_aws_refuses_a_call(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", operation: str, code: str, error: type[TidemarkError]
) -> None:
    disturb(dynamodb, operation, code)
    with pytest.raises(error, match=code) as caught:
        CALLS[operation](entities)
    assert type(caught.value) is error
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (["None", "ConditionalCheckFailed"], WriteConflict),
        (["TransactionConflict", "None"], WriteConflict),
        (["TransactionConflict", "ConditionalCheckFailed"], WriteConflict),
        (["ThrottlingError", "ConditionalCheckFailed"], WriteConflict),
        (["None", "ThrottlingError"], Throttled),
        (["ProvisionedThroughputExceeded", "None"], Throttled),
        (["ItemCollectionSizeLimitExceeded", "ConditionalCheckFailed"], AwsFailure),
        (["ValidationError"], AwsFailure),
        ([], AwsFailure),
    ],
    ids=str,
)
def test_commit_tells_why_it_was_cancelled(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", codes: list[str], error: type[TidemarkError]
) -> None:
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "ThrottlingError, ConditionalCheckFailed"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    disturb(dynamodb, "TransactWriteItems", answer)
    with pytest.raises(error) as caught:
        entities.commit(ACME, [], [create(item("a"))])
    assert type(caught.value) is error


def test_commit_has_lost_when_its_like_is_still_under_way(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient"
) -> None:
    disturb(dynamodb, "TransactWriteItems", "TransactionInProgressException")
    with pytest.raises(WriteConflict):
        entities.commit(ACME, [], [create(item("a"))])


def test_commit_carries_a_token_of_its_own_for_repeats(entities: DynamoEntityTable, dynamodb: "DynamoDBClient") -> None:
    # moto does not know such tokens. That AWS does nothing when it meets one again is documented, not proved here.
    sent = disturb(dynamodb, "TransactWriteItems")
    entities.commit(ACME, [], [create(item("a"))])
    entities.commit(ACME, [], [create(item("b"))])
    tokens = {request["ClientRequestToken"] for request in sent.requests}
    assert len(tokens) == 2


def test_replace_gate_waits_when_a_transaction_has_the_gate(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    entities.add_gate(gate())
    disturb(dynamodb, "PutItem", *["TransactionConflictException"] * 5)
    assert entities.replace_gate(gate()) == gate(rev=1)
    assert 0 < clock.monotonic_s() < 1


def test_replace_gate_gives_up_when_transactions_always_have_the_gate(
    entities: DynamoEntityTable, dynamodb: "DynamoDBClient", clock: ManualClock
) -> None:
    entities.add_gate(gate())
    disturb(dynamodb, "PutItem", *["TransactionConflictException"] * 1000)
    with pytest.raises(Throttled):
        entities.replace_gate(gate())
    assert 10 <= clock.monotonic_s() < 15


def test_snapshot_is_corrupt_when_its_record_cannot_be_read(dynamodb: "DynamoDBClient") -> None:
    with table_on(dynamodb) as name:
        catalog = DynamoCatalog(dynamodb, name)
        catalog.add_snapshot(snapshot())
        at = {"pk": {"S": "TENANT#acme"}, "sk": {"S": "SNAPSHOT#2026-01-15T10-00-00Z#000001"}}
        dynamodb.put_item(TableName=name, Item={**at, "record": {"S": '{"id": 1}'}, "version": {"N": "1"}})
        with pytest.raises(Corrupt, match="SNAPSHOT#2026"):
            catalog.snapshot(ACME, snapshot().id)


# --- answers lost on the way, which the client itself repeats


def test_replace_succeeds_when_its_answer_is_lost(entities: DynamoEntityTable, lost: Lost) -> None:
    entities.add_state(state())
    entities.add_gate(gate())
    lost.next_answers = 1
    assert entities.replace_state(state(capturing=gate().cut)) == state(capturing=gate().cut, rev=1)
    lost.next_answers = 3
    assert entities.replace_gate(gate(closed_by=FencingToken(1))) == gate(closed_by=FencingToken(1), rev=1)
    assert lost.count == 4


def test_replace_is_refused_when_somebody_else_was_faster_and_an_answer_is_lost(
    entities: DynamoEntityTable, lost: Lost
) -> None:
    entities.add_gate(gate())
    entities.replace_gate(gate(closed_by=FencingToken(1)))
    lost.next_answers = 1
    with pytest.raises(StaleRecord):
        entities.replace_gate(gate(closed_by=FencingToken(2)))
    assert lost.count == 1


def test_insert_and_remove_succeed_when_answers_are_lost(entities: DynamoEntityTable, lost: Lost) -> None:
    lost.next_answers = 2
    entities.insert(ACME, SIXTY)
    lost.next_answers = 2
    entities.remove(ACME, [each.key for each in SIXTY[1:]])
    assert list(every_item(entities)) == SIXTY[:1]
    assert lost.count == 4


def test_catalog_writes_succeed_when_answers_are_lost(dynamodb: "DynamoDBClient", lost: Lost) -> None:
    with table_on(dynamodb) as name:
        catalog = DynamoCatalog(dynamodb, name)
        lost.next_answers = 1
        first = catalog.add_snapshot(snapshot())
        lost.next_answers = 1
        second = catalog.replace_snapshot(first.using("restore_x"))
        assert catalog.snapshot(ACME, first.id) == second
        lost.next_answers = 1
        catalog.remove_snapshot(second)
        lost.next_answers = 1
        added = catalog.add_key(api_key())
        assert catalog.key(added.id) == added
        assert list(catalog.snapshots(ACME)) == []
    assert lost.count == 4


def test_calls_give_up_when_no_answer_ever_comes(entities: DynamoEntityTable, lost: Lost) -> None:
    lost.next_answers = 1000
    with pytest.raises(AwsFailure):
        entities.load(ACME)
    assert lost.count == 5
    lost.next_answers = 0
