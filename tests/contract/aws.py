"""AWS for the contract tests: moto in this process, or an endpoint that the environment names; and ways to disturb it.

`tests/endpoints.py` says which. What a test needs there it creates and removes itself.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from tests import endpoints
from tests.local import moto_dynamodb, moto_s3
from tidemark.adapters import clients

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ProjectionTypeDef
    from mypy_boto3_s3.client import S3Client

MOTO: Final = "moto"
MEMORY: Final = "memory"
# Importing them is what makes moto right.
PATCHES: Final = (moto_dynamodb, moto_s3)
_KEYS_ONLY: "ProjectionTypeDef" = {"ProjectionType": "KEYS_ONLY"}
_WITH_DELETED: "ProjectionTypeDef" = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["deleted"]}
_INDEXES: Final = {"byId": ("id", _KEYS_ONLY), "changed": ("changed", _WITH_DELETED)}


def lanes(service: str) -> list[str]:
    """What a suite runs on: memory, moto and, if the environment names one, an endpoint."""
    return [MEMORY, MOTO, *filter(None, [endpoints.named().get(service)])]


DYNAMODB_LANES: Final = lanes("dynamodb")
S3_LANES: Final = lanes("s3")


@contextmanager
def client_of(service: str, lane: str) -> Iterator[Any]:
    """A client of moto or of the endpoint."""
    if lane == MOTO:
        with mock_aws():
            yield clients.make(service)
    else:
        client = clients.make(service, endpoint_url=lane)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def table_on(client: "DynamoDBClient") -> Iterator[str]:
    """The name of a new table that has the keys and the indexes of the entity table."""
    name = f"contract-{uuid.uuid4()}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "changed", "AttributeType": "N"},
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": key, "KeyType": "RANGE"}],
                "Projection": projection,
            }
            for index, (key, projection) in _INDEXES.items()
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name)
    try:
        yield name
    finally:
        client.delete_table(TableName=name)


@contextmanager
def bucket_on(client: "S3Client", *, object_lock: bool = False) -> Iterator[str]:
    """The name of a new bucket. One with Object Lock can't be removed while it holds something."""
    name = f"contract-{uuid.uuid4()}"
    client.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=object_lock,
    )
    if object_lock:
        yield name
        return
    try:
        yield name
    finally:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            if "Contents" in page:
                client.delete_objects(
                    Bucket=name, Delete={"Objects": [{"Key": each["Key"]} for each in page["Contents"]]}
                )
        client.delete_bucket(Bucket=name)


@dataclass
class Disturbance:
    """Stands between an adapter and AWS. `requests` are the parameters of all calls of the operation, in their order.

    `answers` are given to the next calls instead of asking AWS: a dictionary is an answer, a string an error code, a
    function makes the answer out of the request; None lets the call through. When they are used up, all calls pass.
    """

    answers: list[Callable[[Any], Any] | dict[str, Any] | str | None] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)

    def __call__(self, params: dict[str, Any], **_: Any) -> Any:
        request = json.loads(params["body"] or b"{}") if _is_json(params) else params
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else None
        if callable(answer):
            answer = answer(request)
        if answer is None:
            return None
        if isinstance(answer, str):
            return _http(400), {
                "Error": {"Code": answer, "Message": "no message says anything"},
                "ResponseMetadata": {},
            }
        return _http(400 if "Error" in answer else 200), answer


def disturb(client: Any, operation: str, *answers: Callable[[Any], Any] | dict[str, Any] | str | None) -> Disturbance:
    """Disturb an operation of a client, such as `BatchGetItem`."""
    disturbance = Disturbance(list(answers))
    client.meta.events.register(f"before-call.{client.meta.service_model.service_name}.{operation}", disturbance)
    return disturbance


def _is_json(params: dict[str, Any]) -> bool:
    return "json" in params["headers"].get("Content-Type", "")


def _http(status: int) -> SimpleNamespace:
    return SimpleNamespace(status_code=status, headers={})


@dataclass
class Lost:
    """Loses the next answers on their way back: what was asked for has happened, but the client hears of a failure."""

    next_answers: int = 0
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Any, **_: Any) -> AWSResponse | None:
        with self._lock:
            if not self.next_answers:
                return None
            self.next_answers -= 1
            self.count += 1
            return AWSResponse(request.url, 500, HTTPHeaders(), _EmptyBody())


class _EmptyBody:
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield b"{}"


def lose_answers(client: Any) -> Lost:
    """Lose answers of a client on moto, as often as `next_answers` of the result says."""
    lost = Lost()
    # All handlers of this event are called, moto's among them, and the first answer counts.
    client.meta.events.register_first("before-send", lost)
    return lost
