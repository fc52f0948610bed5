"""Feeds functions from the streams of tables, as Lambda's event source mappings do: when it is asked to, or by itself.

Read in this process from moto, whose server runs here too, so nothing is asked over a socket.
Source: AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB" and "Batching behavior".
"""

import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import StreamShard
from moto.events.models import EventPattern

from tests.local.aws import ACCOUNT_ID, REGION, Aws
from tests.local.functions import Invocation
from tests.local.patching import replace
from tests.local.spec import StreamSpec

# Lambda tries for as long as the stream keeps a record, unless the mapping bounds it.
_TRIES_WITHOUT_BOUND = 100
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as moto's moments are
_on_write: list[Callable[[], None]] = []


class Streams:
    """All streams that feed functions of a stack, which `invoke` runs by their names."""

    def __init__(self, specs: Sequence[StreamSpec], invoke: Callable[[str, bytes], Invocation], aws: Aws) -> None:
        self._specs = list(specs) if "dynamodb" not in aws.elsewhere else []
        self._run = invoke
        self._aws = aws
        self._read = [0] * len(self._specs)
        self._feeding = threading.Lock()
        self._written = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def deliver(self) -> int:
        """Feed the functions all that the streams hold, in order; how many records they were given."""
        with self._feeding:
            return sum(self._deliver(place, spec) for place, spec in enumerate(self._specs))

    def start(self) -> None:
        """From now on, feed them by itself, in a thread of its own."""
        if self._specs:
            _on_write.append(self._written.set)
            self._written.set()
            self._thread = threading.Thread(target=self._keep_feeding, name="streams", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop feeding."""
        self._stopping = True
        self._written.set()
        if self._thread is not None:
            _on_write.remove(self._written.set)
            self._thread.join()

    def _keep_feeding(self) -> None:
        while not self._stopping:
            self._written.wait()
            self._written.clear()
            if not self._stopping:
                self.deliver()

    def _deliver(self, place: int, spec: StreamSpec) -> int:
        shard = dynamodb_backends[ACCOUNT_ID][REGION].get_table(spec.table).stream_shard
        assert shard is not None, f"{spec.table} has no stream, though it is to feed {spec.function}"
        written = [one.to_json() for one in shard.items[self._read[place] :]]
        self._read[place] += len(written)
        records = [record for record in map(as_lambda_has_it, written) if _passes(record, spec)]
        for first in range(0, len(records), spec.batch_size):
            self._feed(spec, records[first : first + spec.batch_size])
        return len(records)

    def _feed(self, spec: StreamSpec, records: Sequence[dict[str, Any]]) -> None:
        """Hand over a batch until all of it is done with. What fails is halved, until one record fails alone."""
        left, tries = list(records), 0
        bound = _TRIES_WITHOUT_BOUND if spec.retries < 0 else spec.retries
        while left and not self._stopping:
            done = self._invoke(spec, left)
            if done:
                left, tries = left[done:], 0
            elif spec.bisects and len(left) > 1:
                half = len(left) // 2
                self._feed(spec, left[:half])
                left = left[half:]
            elif tries < bound:
                tries += 1
            else:
                self._give_up(spec, left)
                return

    def _invoke(self, spec: StreamSpec, records: Sequence[dict[str, Any]]) -> int:
        """How many records, from the first on, are done with."""
        event = {"Records": [{**record, "eventSourceARN": spec.stream_arn} for record in records]}
        invocation = self._run(spec.function, json.dumps(event).encode())
        if invocation.error is not None:
            return 0
        answer = json.loads(invocation.payload)
        failures = (answer or {}).get("batchItemFailures", []) if spec.reports_failures else []
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        # A number that is none of the batch's makes all of it fail, as an empty one does.
        places = [numbers.index(one["itemIdentifier"]) if one["itemIdentifier"] in numbers else 0 for one in failures]
        return min(places, default=len(records))

    def _give_up(self, spec: StreamSpec, records: Sequence[dict[str, Any]]) -> None:
        """The queue hears where in the stream they are, not what they hold."""
        if spec.dead_letters_arn is None:
            return
        sqs = self._aws.client("sqs")
        url = sqs.get_queue_url(QueueName=spec.dead_letters_arn.rsplit(":", 1)[-1])["QueueUrl"]
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        said = {
            "requestContext": {"functionArn": spec.function, "condition": "RetryAttemptsExhausted"},
            "DDBStreamBatchInfo": {
                "streamArn": spec.stream_arn,
                "startSequenceNumber": numbers[0],
                "endSequenceNumber": numbers[-1],
                "batchSize": len(records),
            },
        }
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(said))


def as_lambda_has_it(record: dict[str, Any]) -> dict[str, Any]:
    """A record of moto's stream as Lambda hands it to a function."""
    change = record["dynamodb"]
    created = change["ApproximateCreationDateTime"]
    # moto's moments are UTC without saying so.
    at_s = created.timestamp() if created.tzinfo else (created - _EPOCH).total_seconds()
    return {**record, "awsRegion": REGION, "dynamodb": {**change, "ApproximateCreationDateTime": at_s}}


def _passes(record: dict[str, Any], spec: StreamSpec) -> bool:
    event = cast("Any", record)
    return not spec.filters or any(EventPattern.load(json.dumps(one)).matches_event(event) for one in spec.filters)


def _add(shard: StreamShard, *images: Any) -> None:
    _original_add(shard, *images)
    for tell in _on_write:
        tell()


_original_add = replace(StreamShard, "add", _add)
