"""The walk with tables and bucket on other servers than the stack's own, which may hold other people's data as well."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import PARAMETERS
from tests.e2e.served import Served
from tests.e2e.walk import walk
from tests.endpoints import credentials
from tests.local.aws import Aws
from tests.local.stack import TEMPLATE

_SERVER = """
import sys
from tests.local import moto_dynamodb, moto_s3
from tests.local.aws_server import AwsServer

server = AwsServer(0)
print(server.url, flush=True)
sys.stdin.read()
server.close()
"""


@pytest.fixture
def other() -> Iterator[Aws]:
    """A server of both protocols in a process of its own, with a table and a bucket of somebody else."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER], cwd=TEMPLATE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        aws = Aws(process.stdout.readline().strip(), credentials=credentials())
        aws.client("s3").create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        aws.client("dynamodb").create_table(
            TableName="theirs",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        yield aws
        aws.close()
    finally:
        process.communicate()


def _held(aws: Aws) -> tuple[list[str], list[str]]:
    buckets: Any = aws.client("s3").list_buckets()["Buckets"]
    return aws.client("dynamodb").list_tables()["TableNames"], [one["Name"] for one in buckets]


def test_walk_leaves_nothing_behind_when_other_servers_hold_tables_and_bucket(other: Aws) -> None:
    assert other.endpoint_url is not None
    with Served(PARAMETERS, dict.fromkeys(("dynamodb", "s3"), other.endpoint_url)) as served:
        walk(served.caller("elsewhere"))
        own = Aws(served.aws.endpoint_url)
        assert _held(own) == ([], [])
        own.close()
        tables, buckets = _held(other)
        names = {served.outputs[name] for name in ("EntitiesTableName", "CatalogTableName", "BucketName")}
        assert {*tables, *buckets} == {"theirs"} | names
        # Deleted or not: what the walk stored is still there, as versions.
        assert other.client("s3").list_object_versions(Bucket=served.outputs["BucketName"])["Versions"]
    assert _held(other) == (["theirs"], ["theirs"])
