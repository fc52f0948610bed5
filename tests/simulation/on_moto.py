"""Worlds on the real adapters over moto, where a step is one request to AWS: finer than a call of a port, which may
take several.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from moto import mock_aws

from tests.contract.aws import PATCHES, bucket_on, table_on
from tests.fakes import ManualClock, MemoryWorkflows, SeededEntropy, Serial
from tests.simulation.scheduler import Scheduler
from tidemark.adapters import clients
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.adapters.s3_links import S3Links
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.ports import Ports


@contextmanager
def on_moto() -> Iterator[Callable[[int, Scheduler], Ports]]:
    """What makes ports, each on new tables and a new bucket."""
    assert PATCHES
    with mock_aws(), ExitStack() as stack:
        dynamodb, s3 = clients.make("dynamodb"), clients.make("s3")

        def make(seed: int, scheduler: Scheduler) -> Ports:
            def step(model: Any, **_: Any) -> None:
                scheduler.pause(model.name)

            items, records = stack.enter_context(table_on(dynamodb)), stack.enter_context(table_on(dynamodb))
            bucket = stack.enter_context(bucket_on(s3))
            for client, service in ((dynamodb, "dynamodb"), (s3, "s3")):
                # Under one name, so that a step of this world is none of the one before.
                client.meta.events.unregister(f"before-call.{service}", unique_id="simulation")
                client.meta.events.register(f"before-call.{service}", step, unique_id="simulation")
            clock, entropy, parallel = ManualClock(), SeededEntropy(seed), Serial()
            return Ports(
                catalog=DynamoCatalog(dynamodb, records),
                table=DynamoEntityTable(dynamodb, items, clock=clock, entropy=entropy, parallel=parallel),
                payloads=S3Payloads(s3, bucket, clock=clock, entropy=entropy),
                links=S3Links(s3, bucket),
                workflows=MemoryWorkflows(),
                clock=clock,
                entropy=entropy,
                parallel=parallel,
            )

        yield make
