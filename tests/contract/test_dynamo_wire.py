"""Bulk answers and requests that go past botocore's models are what botocore would have made of them."""

import json
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from tests.contract.aws import MOTO, client_of, table_on
from tidemark.adapters import clients
from tidemark.adapters.dynamo_wire import TEXT

ITEM = {
    "pk": {"S": "a"},
    "sk": {"S": "b"},
    "rev": {"N": "7"},
    "deleted": {"BOOL": True},
    "doc": {"S": '{"é":"\\u2028"}'},
}
KEY = {"pk": ITEM["pk"], "sk": ITEM["sk"]}


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]


def answering(status: int, body: bytes, sent: list[bytes]) -> Any:
    client = clients.make("dynamodb")

    def answer(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.body)
        raw: Any = _Raw(body)
        headers: Any = HTTPHeaders()
        headers["x-amzn-RequestId"] = "R1"
        return AWSResponse(request.url, status, headers, raw)

    client.meta.events.register("before-send.dynamodb", answer)
    return client


def test_answers_are_what_botocore_makes_of_them() -> None:
    with client_of("dynamodb", MOTO) as client, table_on(client) as table:
        client.put_item(TableName=table, Item=ITEM)
        query: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": KEY["pk"]},
        }
        read = {table: {"Keys": [KEY]}}
        found = client.query(**query), client.batch_get_item(RequestItems=read)
        for operation in ("Query", "BatchGetItem"):
            client.meta.events.unregister(f"before-parse.dynamodb.{operation}", _handler(client, operation))
        plain = client.query(**query), client.batch_get_item(RequestItems=read)
    for one, other in zip(found, plain, strict=True):
        metadata = one["ResponseMetadata"]["HTTPStatusCode"], other["ResponseMetadata"]["HTTPStatusCode"]
        assert metadata == (200, 200)
        assert {**one, "ResponseMetadata": None} == {**other, "ResponseMetadata": None}
    assert found[0]["Items"] == [ITEM]


def _handler(client: Any, operation: str) -> Any:
    from tidemark.adapters import dynamo_wire  # noqa: PLC0415 - what the module keeps to itself

    return dynamo_wire._decode  # noqa: SLF001 - as above


def test_error_keeps_its_code_when_an_answer_is_one() -> None:
    body = json.dumps(
        {"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no"}
    ).encode()
    with pytest.raises(ClientError) as caught:
        answering(400, body, []).query(TableName="none", KeyConditionExpression="pk = :pk")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize("body", [b"", b"[1]", b"<html>"])
def test_answer_without_items_has_none(body: bytes) -> None:
    client = answering(200, body, [])
    if body == b"[1]":
        with pytest.raises(Exception, match="list"):
            client.query(TableName="table", KeyConditionExpression="pk = :pk")
    else:
        assert "Items" not in client.query(TableName="table", KeyConditionExpression="pk = :pk")


def test_text_is_the_request_and_is_signed_as_such() -> None:
    sent: list[bytes] = []
    text = b'{"Statements":[{"Statement":"INSERT ...","Parameters":[{"S":"\xe6\x97\xa5"}]}]}'
    client = answering(200, b'{"Responses":[{"TableName":"table"}]}', sent)
    answer = client.batch_execute_statement(**{TEXT: text})
    assert sent == [text]
    assert answer["Responses"] == [{"TableName": "table"}]


def test_request_is_botocores_when_no_text_is_given() -> None:
    sent: list[bytes] = []
    client = answering(200, b'{"Responses":[{}]}', sent)
    client.batch_execute_statement(Statements=[{"Statement": "SELECT"}])
    assert json.loads(sent[0]) == {"Statements": [{"Statement": "SELECT"}]}
