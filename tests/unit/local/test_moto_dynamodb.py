"""moto's DynamoDB as the local stack changes it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.local import moto_dynamodb
from tests.local.aws import Aws

PATCHED = moto_dynamodb
TABLE = "items"


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        aws = Aws()
        client = aws.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind}
                for name, kind in (("pk", "S"), ("sk", "S"), ("changed", "N"))
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            LocalSecondaryIndexes=[
                {
                    "IndexName": "changed",
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "changed", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        yield client
        aws.close()


def put(dynamodb: Any, pk: str, sk: str, **attributes: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes})


def keys(answer: Any) -> list[str]:
    return [item["sk"]["S"] for item in answer["Items"]]


def key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def test_loses_no_update_when_threads_add_at_once(dynamodb: Any) -> None:
    def add(_: int) -> None:
        dynamodb.update_item(
            TableName=TABLE,
            Key=key("p", "counter"),
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(200)))

    assert dynamodb.get_item(TableName=TABLE, Key=key("p", "counter"))["Item"]["n"] == {"N": "200"}


def test_lets_one_win_when_threads_put_the_same_new_item(dynamodb: Any) -> None:
    together = threading.Barrier(16)

    def claim(number: int) -> bool:
        together.wait()
        try:
            dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": TABLE,
                            "Item": {**key("p", "claim"), "by": {"N": str(number)}},
                            "ConditionExpression": "attribute_not_exists(pk)",
                        }
                    }
                ]
            )
        except dynamodb.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(claim, range(16))) == 1


def test_gives_partition_in_order_when_queried(dynamodb: Any) -> None:
    for pk, sk in (("p", "b"), ("q", "c"), ("p", "a"), ("p", "c")):
        put(dynamodb, pk, sk)

    def query(**more: Any) -> list[str]:
        return keys(
            dynamodb.query(
                TableName=TABLE,
                **{"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}, **more},
            )
        )

    assert query() == ["a", "b", "c"]
    assert query(ScanIndexForward=False) == ["c", "b", "a"]
    assert query(
        KeyConditionExpression="pk = :p AND sk > :a", ExpressionAttributeValues={":p": {"S": "p"}, ":a": {"S": "a"}}
    ) == ["b", "c"]
    assert query(
        KeyConditionExpression="pk = :p AND begins_with(sk, :b)",
        ExpressionAttributeValues={":p": {"S": "p"}, ":b": {"S": "b"}},
    ) == ["b"]


def test_gives_every_item_once_when_paged(dynamodb: Any) -> None:
    for number in range(25):
        put(dynamodb, "p", f"{number:02}", changed={"N": str(number % 3)})

    for index in ({}, {"IndexName": "changed"}):
        for forward in (True, False):
            pages = dynamodb.get_paginator("query").paginate(
                TableName=TABLE,
                KeyConditionExpression="pk = :p",
                ExpressionAttributeValues={":p": {"S": "p"}},
                ScanIndexForward=forward,
                ConsistentRead=True,
                Limit=4,
                **index,
            )
            found = [sk for page in pages for sk in keys(page)]
            expected = sorted(
                (f"{number:02}" for number in range(25)), key=lambda sk: (int(sk) % 3 if index else 0, sk)
            )
            assert found == (expected if forward else expected[::-1])


def test_gives_key_to_go_on_when_limit_is_reached_at_the_end(dynamodb: Any) -> None:
    put(dynamodb, "p", "only")

    answer = dynamodb.query(
        TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}}, Limit=1
    )

    assert answer["LastEvaluatedKey"] == key("p", "only")


def test_ends_page_when_it_is_full_of_bytes(dynamodb: Any) -> None:
    for number in range(8):
        put(dynamodb, "p", str(number), doc={"S": "x" * 300_000})

    answer = dynamodb.query(
        TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}}
    )

    assert keys(answer) == ["0", "1", "2"]
    assert answer["LastEvaluatedKey"] == key("p", "2")


def test_gives_keys_of_changed_items_only_when_index_is_sparse(dynamodb: Any) -> None:
    put(dynamodb, "p", "staged", doc={"S": "old"})
    put(dynamodb, "p", "later", doc={"S": "new"}, changed={"N": "10"})
    put(dynamodb, "p", "earlier", doc={"S": "new"}, changed={"N": "9"})
    put(dynamodb, "q", "other", changed={"N": "10"})

    def query(**more: Any) -> Any:
        return dynamodb.query(
            TableName=TABLE,
            IndexName="changed",
            KeyConditionExpression="pk = :p AND changed > :cut",
            ExpressionAttributeValues={":p": {"S": "p"}, ":cut": {"N": "8"}},
            ConsistentRead=True,
            **more,
        )

    assert query()["Items"] == [
        {**key("p", "earlier"), "changed": {"N": "9"}},
        {**key("p", "later"), "changed": {"N": "10"}},
    ]
    assert query(ProjectionExpression="sk, doc")["Items"][0] == {"sk": {"S": "earlier"}, "doc": {"S": "new"}}


def test_tells_which_condition_failed_when_transaction_is_cancelled(dynamodb: Any) -> None:
    put(dynamodb, "p", "there", rev={"N": "3"})

    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": TABLE, "Item": key("p", "new")}},
                {
                    "ConditionCheck": {
                        "TableName": TABLE,
                        "Key": key("p", "there"),
                        "ConditionExpression": "rev = :r",
                        "ExpressionAttributeValues": {":r": {"N": "4"}},
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
                {"Delete": {"TableName": TABLE, "Key": key("p", "gone")}},
            ]
        )

    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed", "None"]
    assert reasons[1]["Item"]["rev"] == {"N": "3"}
    assert "Item" not in dynamodb.get_item(TableName=TABLE, Key=key("p", "new"))


def test_writes_nothing_when_an_operation_breaks(dynamodb: Any) -> None:
    put(dynamodb, "p", "text", n={"S": "no number"})
    put(dynamodb, "p", "kept", n={"N": "1"})

    with pytest.raises(ClientError):
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": TABLE, "Item": key("p", "new")}},
                {"Delete": {"TableName": TABLE, "Key": key("p", "kept")}},
                {
                    "Update": {
                        "TableName": TABLE,
                        "Key": key("p", "text"),
                        "UpdateExpression": "ADD n :one",
                        "ExpressionAttributeValues": {":one": {"N": "1"}},
                    }
                },
            ]
        )

    assert "Item" not in dynamodb.get_item(TableName=TABLE, Key=key("p", "new"))
    assert dynamodb.get_item(TableName=TABLE, Key=key("p", "kept"))["Item"]["n"] == {"N": "1"}


def test_writes_all_when_transaction_holds_a_hundred_operations(dynamodb: Any) -> None:
    puts = [{"Put": {"TableName": TABLE, "Item": key("p", f"{number:03}")}} for number in range(100)]

    dynamodb.transact_write_items(TransactItems=puts)

    assert dynamodb.scan(TableName=TABLE, Select="COUNT")["Count"] == 100


@pytest.mark.parametrize(
    "operations",
    [
        [
            {"Put": {"TableName": TABLE, "Item": key("p", "same")}},
            {"Delete": {"TableName": TABLE, "Key": key("p", "same")}},
        ],
        [{"Put": {"TableName": TABLE, "Item": key("p", str(number))}} for number in range(101)],
        [
            {"Put": {"TableName": TABLE, "Item": {**key("p", str(number)), "doc": {"S": "x" * 390_000}}}}
            for number in range(12)
        ],
    ],
    ids=["same item twice", "101 operations", "over 4 MB"],
)
def test_refuses_transaction_when_it_breaks_a_limit(dynamodb: Any, operations: list[Any]) -> None:
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=operations)

    assert dynamodb.scan(TableName=TABLE, Select="COUNT")["Count"] == 0


def insert(*items: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {
            "Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?, 'doc': ?}}",
            "Parameters": [{"S": pk}, {"S": sk}, {"S": doc}],
        }
        for pk, sk, doc in items
    ]


def test_keeps_old_item_and_says_duplicate_when_insert_finds_one(dynamodb: Any) -> None:
    put(dynamodb, "p", "b", doc={"S": "old"})

    answers = dynamodb.batch_execute_statement(
        Statements=insert(("p", "a", "new"), ("p", "b", "new"), ("p", "c", "new"))
    )

    assert [answer.get("Error", {}).get("Code") for answer in answers["Responses"]] == [None, "DuplicateItem", None]
    assert dynamodb.get_item(TableName=TABLE, Key=key("p", "b"))["Item"]["doc"] == {"S": "old"}
    assert dynamodb.get_item(TableName=TABLE, Key=key("p", "c"))["Item"]["doc"] == {"S": "new"}


def test_names_mistake_when_insert_is_wrong(dynamodb: Any) -> None:
    statements = [
        {"Statement": "INSERT INTO \"nowhere\" VALUE {'pk': ?, 'sk': ?}", "Parameters": [{"S": "p"}, {"S": "a"}]},
        {"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?}}", "Parameters": [{"S": "p"}]},
        {"Statement": f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'doc': ?}}", "Parameters": [{"S": "p"}, {"S": "a"}]},
    ]

    answers = dynamodb.batch_execute_statement(Statements=statements)["Responses"]

    assert [answer["Error"]["Code"] for answer in answers] == ["ResourceNotFound", "ValidationError", "ValidationError"]


def test_leaves_other_statements_to_moto_when_they_are_no_inserts(dynamodb: Any) -> None:
    put(dynamodb, "p", "a", doc={"S": "x"})

    select = {"Statement": f"SELECT * FROM {TABLE} WHERE pk = 'p' AND sk = 'a'"}
    answers = dynamodb.batch_execute_statement(Statements=[select])["Responses"]

    assert answers[0]["Item"]["doc"] == {"S": "x"}


def test_refuses_batch_when_it_is_over_twenty_five(dynamodb: Any) -> None:
    requests = [{"PutRequest": {"Item": key("p", str(number))}} for number in range(26)]
    with pytest.raises(ClientError, match="less than or equal to 25"):
        dynamodb.batch_write_item(RequestItems={TABLE: requests})

    with pytest.raises(ClientError, match="less than or equal to 25"):
        dynamodb.batch_execute_statement(Statements=insert(*(("p", str(number), "x") for number in range(26))))


def test_stores_two_thousand_items_when_batches_come_from_threads(dynamodb: Any) -> None:
    def batch(number: int) -> None:
        items = [(f"p{place % 16}", f"{number}-{place}", "x" * 2000) for place in range(25)]
        assert all(
            "Error" not in answer for answer in dynamodb.batch_execute_statement(Statements=insert(*items))["Responses"]
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(batch, range(80)))

    pages = dynamodb.get_paginator("query").paginate(
        TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p3"}}
    )
    assert sum(page["Count"] for page in pages) == 160
