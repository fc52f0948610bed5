"""Streams of tables that feed functions: batches, filters, what is fed again, and that none is fed after the end."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto import mock_aws

from tests.local import moto_dynamodb
from tests.local.aws import Aws
from tests.local.functions import Invocation
from tests.local.spec import StreamSpec
from tests.local.streams import Streams

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/shelf/stream/2026"
QUEUE = "unfed"
PATCHES = (moto_dynamodb,)


@dataclass
class Fed:
    """A function that notes the keys of each batch and answers what `answer` makes of them; an error if that raises."""

    answer: Callable[[list[str]], Any] = lambda _: None
    batches: list[list[str]] = field(default_factory=list)
    records: list[Any] = field(default_factory=list)
    ran: threading.Event = field(default_factory=threading.Event)

    def __call__(self, name: str, event: bytes) -> Invocation:
        assert name == "reader"
        records = json.loads(event)["Records"]
        keys = [record["dynamodb"]["Keys"]["sk"]["S"] for record in records]
        self.batches.append(keys)
        self.records += records
        try:
            document, error = self.answer(keys), None
        except ValueError:
            document, error = {"errorType": "ValueError"}, "Unhandled"
        self.ran.set()
        return Invocation(json.dumps(document).encode(), error, "1", "")


def spec(**changes: Any) -> StreamSpec:
    return StreamSpec(
        **{
            "stream_arn": ARN,
            "table": "shelf",
            "function": "reader",
            "batch_size": 4,
            "filters": (),
            "reports_failures": True,
            "bisects": False,
            "retries": 2,
            "dead_letters_arn": f"arn:aws:sqs:eu-west-1:123456789012:{QUEUE}",
            **changes,
        }
    )


@pytest.fixture
def aws() -> Iterator[Aws]:
    """With an empty table that has a stream, and a queue."""
    with mock_aws():
        aws = Aws()
        aws.client("dynamodb").create_table(
            TableName="shelf",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        aws.client("sqs").create_queue(QueueName=QUEUE)
        yield aws
        aws.close()


def write(aws: Aws, *names: str) -> None:
    for name in names:
        aws.client("dynamodb").put_item(TableName="shelf", Item={"pk": {"S": "a"}, "sk": {"S": name}})


def numbers_of(fed: Fed) -> dict[str, str]:
    return {record["dynamodb"]["Keys"]["sk"]["S"]: record["dynamodb"]["SequenceNumber"] for record in fed.records}


def test_records_come_once_in_batches_and_in_their_order(aws: Aws) -> None:
    fed = Fed()
    streams = Streams([spec()], fed, aws)
    write(aws, *"abcdef")
    assert streams.deliver() == 6
    write(aws, "g")
    assert (streams.deliver(), streams.deliver()) == (1, 0)
    assert fed.batches == [["a", "b", "c", "d"], ["e", "f"], ["g"]]


def test_record_is_as_lambda_hands_it_over(aws: Aws) -> None:
    fed = Fed()
    write(aws, "a", "a")
    Streams([spec()], fed, aws).deliver()
    first, second = fed.records
    assert (first["eventName"], second["eventName"]) == ("INSERT", "MODIFY")
    assert (first["eventSourceARN"], first["awsRegion"]) == (ARN, "eu-west-1")
    assert isinstance(first["dynamodb"]["ApproximateCreationDateTime"], float)
    assert "OldImage" not in first["dynamodb"]
    assert second["dynamodb"]["OldImage"] == second["dynamodb"]["NewImage"] == {"pk": {"S": "a"}, "sk": {"S": "a"}}


def test_filter_keeps_out_what_fits_none_of_its_patterns(aws: Aws) -> None:
    fed = Fed()
    pattern = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "B#"}, {"prefix": "C#"}]}}}}
    write(aws, "A#1", "B#1", "C#1", "B#1")
    assert Streams([spec(filters=[pattern])], fed, aws).deliver() == 2
    assert fed.batches == [["B#1", "C#1"]]


def test_batch_is_fed_again_from_the_record_that_failed_on(aws: Aws) -> None:
    fed = Fed()
    failures = ["c", "c"]

    def answer(keys: list[str]) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": numbers_of(fed)[failures.pop()]}]} if failures else {}

    fed.answer = answer
    write(aws, *"abcd")
    Streams([spec()], fed, aws).deliver()
    assert fed.batches == [["a", "b", "c", "d"], ["c", "d"], ["c", "d"]]


def test_what_fails_as_often_as_it_may_goes_to_the_queue_and_the_rest_goes_on(aws: Aws) -> None:
    def answer(keys: list[str]) -> None:
        if "b" in keys:
            raise ValueError

    fed = Fed(answer)
    write(aws, *"abcd")
    Streams([spec(bisects=True)], fed, aws).deliver()
    assert fed.batches == [["a", "b", "c", "d"], ["a", "b"], ["a"], ["b"], ["b"], ["b"], ["c", "d"]]
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    where = json.loads(message["Body"])["DDBStreamBatchInfo"]
    assert (where["startSequenceNumber"], where["batchSize"]) == (numbers_of(fed)["b"], 1)
    assert "NewImage" not in message["Body"]


def test_started_streams_feed_by_themselves_until_they_are_closed(aws: Aws) -> None:
    fed = Fed()
    streams = Streams([spec()], fed, aws)
    before = threading.active_count()
    streams.start()
    write(aws, "a")
    assert fed.ran.wait(10), "nothing was fed"
    streams.close()
    write(aws, "b")
    assert fed.batches == [["a"]]
    assert threading.active_count() == before


def test_streams_that_were_not_started_take_no_thread(aws: Aws) -> None:
    before = threading.active_count()
    streams = Streams([spec()], Fed(), aws)
    streams.close()
    assert threading.active_count() == before


def test_streams_of_another_server_are_not_read(aws: Aws) -> None:
    fed = Fed()
    elsewhere = Aws(elsewhere={"dynamodb": "http://localhost:8000"})
    write(aws, "a")
    assert Streams([spec()], fed, elsewhere).deliver() == 0
