"""The ports on the real adapters, with tables and a bucket of their own; and clients of moto for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moto import mock_aws

from tests.contract.aws import PATCHES, bucket_on, table_on
from tests.fakes import MemoryRepeats, MemoryWorkflows
from tidemark.adapters import clients
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.adapters.dynamo_volumes import DynamoVolumeCatalog
from tidemark.adapters.s3_links import S3Links
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.dialects.ngsi import restore_filter
from tidemark.ports import Clock, Entropy, Parallel, Ports

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client


@contextmanager
def moto_clients() -> Iterator[tuple["DynamoDBClient", "S3Client"]]:
    """New clients of moto, which forgets everything at the end."""
    assert PATCHES
    with mock_aws():
        yield clients.make("dynamodb"), clients.make("s3")


@contextmanager
def ports_on(
    dynamodb: "DynamoDBClient", s3: "S3Client", *, clock: Clock, entropy: Entropy, parallel: Parallel
) -> Iterator[Ports]:
    """Ports whose executions are only noted."""
    with table_on(dynamodb) as items, table_on(dynamodb) as records, bucket_on(s3) as bucket:
        yield Ports(
            catalog=DynamoCatalog(dynamodb, records),
            table=DynamoEntityTable(dynamodb, items, clock=clock, entropy=entropy, parallel=parallel),
            payloads=S3Payloads(s3, bucket, clock=clock, entropy=entropy),
            workflows=MemoryWorkflows(),
            clock=clock,
            entropy=entropy,
            parallel=parallel,
            repeats=MemoryRepeats(clock),
            select=restore_filter.compiled,
            volumes=DynamoVolumeCatalog(dynamodb, records),
            links=S3Links(s3, bucket),
        )
