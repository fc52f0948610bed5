"""The implementations that the contract tests run on, each empty at the start of a test."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.contract.aws import DYNAMODB_LANES, MEMORY, MOTO, S3_LANES, bucket_on, client_of, table_on
from tests.fakes import (
    ManualClock,
    MemoryCatalog,
    MemoryEntityTable,
    MemoryPayloads,
    MemoryVolumeCatalog,
    SeededEntropy,
)
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.adapters.dynamo_volumes import DynamoVolumeCatalog
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.adapters.system import Threads
from tidemark.ports import Catalog, EntityTable, PayloadStore
from tidemark.ports.volume_catalog import VolumeCatalog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def dynamodb() -> Iterator["DynamoDBClient"]:
    with client_of("dynamodb", MOTO) as client:
        yield client


@pytest.fixture
def entities(dynamodb: "DynamoDBClient", clock: ManualClock) -> Iterator[DynamoEntityTable]:
    """The adapter alone, on moto."""
    with table_on(dynamodb) as name:
        yield DynamoEntityTable(dynamodb, name, clock=clock, entropy=SeededEntropy(), parallel=Threads())


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    with client_of("s3", MOTO) as client:
        yield client


@pytest.fixture
def objects(s3: "S3Client", clock: ManualClock) -> Iterator[S3Payloads]:
    """The adapter alone, on moto."""
    with bucket_on(s3) as name:
        yield S3Payloads(s3, name, clock=clock, entropy=SeededEntropy())


@pytest.fixture(params=DYNAMODB_LANES)
def table(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[EntityTable]:
    if request.param == MEMORY:
        yield MemoryEntityTable()
        return
    with ExitStack() as stack:
        client = stack.enter_context(client_of("dynamodb", request.param))
        name = stack.enter_context(table_on(client))
        yield DynamoEntityTable(client, name, clock=clock, entropy=SeededEntropy(), parallel=Threads())


@contextmanager
def catalog_on(lane: str) -> Iterator[Catalog]:
    """An empty one."""
    if lane == MEMORY:
        yield MemoryCatalog()
        return
    with client_of("dynamodb", lane) as client, table_on(client) as name:
        yield DynamoCatalog(client, name)


@pytest.fixture(params=DYNAMODB_LANES)
def catalog(request: pytest.FixtureRequest) -> Iterator[Catalog]:
    with catalog_on(request.param) as opened:
        yield opened


@contextmanager
def volumes_on(lane: str) -> Iterator[VolumeCatalog]:
    """An empty one."""
    if lane == MEMORY:
        yield MemoryVolumeCatalog()
        return
    with client_of("dynamodb", lane) as client, table_on(client) as name:
        yield DynamoVolumeCatalog(client, name)


@pytest.fixture(params=DYNAMODB_LANES)
def volumes(request: pytest.FixtureRequest) -> Iterator[VolumeCatalog]:
    with volumes_on(request.param) as opened:
        yield opened


@pytest.fixture(params=S3_LANES)
def payloads(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[PayloadStore]:
    if request.param == MEMORY:
        yield MemoryPayloads()
        return
    with ExitStack() as stack:
        client = stack.enter_context(client_of("s3", request.param))
        yield S3Payloads(client, stack.enter_context(bucket_on(client)), clock=clock, entropy=SeededEntropy())
