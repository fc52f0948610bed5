"""The AWS clients of this process: each is made once, on first use, with one set of timeouts and retries.

botocore itself is enough: boto3 on top of it adds a tenth of a second to every cold start and nothing that is needed.
"""

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
from botocore.config import Config

from tidemark.adapters import dynamo_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_ebs.client import EBSClient
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_scheduler.client import EventBridgeSchedulerClient
    from mypy_boto3_stepfunctions.client import SFNClient

# Retries in standard mode wait with full jitter: at most 1, 2, 4 and 8 s.
CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
    tcp_keepalive=True,
    # botocore puts its own together anew for each request, which costs a tenth of the time of a restore.
    user_agent="tidemark",
    # Bytes that matter are checked against the SHA-256 noted when they were made: a second checksum adds nothing.
    response_checksum_validation="when_required",
)

_making = threading.Lock()


@cache
def dynamodb() -> "DynamoDBClient":
    """The client of DynamoDB."""
    return cast("DynamoDBClient", make("dynamodb"))


@cache
def s3() -> "S3Client":
    """The client of S3."""
    return cast("S3Client", make("s3"))


@cache
def s3_links() -> "S3Client":
    """The client that signs addresses. Anybody may use them with any tool, so they ask for no checksum in a header; and
    they name the region's own host, since one that redirects would void the signature.
    """
    real = "amazonaws" in (s3().meta.endpoint_url or "")
    style: Any = {"addressing_style": "virtual" if real else "path"}
    extra = Config(signature_version="s3v4", request_checksum_calculation="when_required", s3=style)
    return cast("S3Client", make("s3", config=CONFIG.merge(extra)))


@cache
def stepfunctions() -> "SFNClient":
    """The client of Step Functions."""
    return cast("SFNClient", make("stepfunctions"))


@cache
def scheduler() -> "EventBridgeSchedulerClient":
    """The client of EventBridge Scheduler."""
    return cast("EventBridgeSchedulerClient", make("scheduler"))


@cache
def events() -> "EventBridgeClient":
    """The client of EventBridge's buses."""
    return cast("EventBridgeClient", make("events"))


@cache
def ec2(region: str) -> "EC2Client":
    """The client of EC2 in a region."""
    return cast("EC2Client", make("ec2", region=region))


@cache
def ebs(region: str) -> "EBSClient":
    """The client of the EBS direct APIs in a region."""
    return cast("EBSClient", make("ebs", region=region))


def forget() -> None:
    """Make new clients on next use: for a process whose region, credentials or endpoint have changed."""
    for made in (dynamodb, s3, s3_links, stepfunctions, scheduler, events, ec2, ebs, _session):
        made.cache_clear()


def make(service: str, *, endpoint_url: str | None = None, region: str | None = None, config: Config = CONFIG) -> Any:  # noqa: ANN401 - botocore makes the class of a client at run time
    """A new client. Credentials and, unless given, region and endpoint come from where AWS's SDKs look for them."""
    with _making:
        client: Any = _session().create_client(service, region_name=region, endpoint_url=endpoint_url, config=config)
    if service == "dynamodb":
        dynamo_wire.attach(client)
    return client


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()
