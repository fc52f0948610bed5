"""What functions ask of AWS, held against what template.yaml allows them.

The local AWS checks no rights. So every call of a function is noted here as IAM sees it - actions on resources - and
decided on the policies of the function's own role as they were deployed.
Source: Service Authorization Reference, DynamoDB, S3, Step Functions, EventBridge Scheduler, EC2 and EBS.
"""

import contextvars
import fnmatch
import functools
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.signers import RequestSigner
from moto.ec2.models import ec2_backends

from tests.local.aws import ACCOUNT_ID, REGION
from tests.local.inprocess import _current as running
from tests.local.stack import LocalStack
from tidemark.adapters.dynamo_wire import TEXT

_INSERT_INTO = re.compile(r'INSERT INTO "([^"]+)"')
_MISSING = {"404", "NoSuchKey"}
_ANY_SNAPSHOT = f"arn:aws:ec2:{REGION}::snapshot/*"
_ANY_IMAGE = f"arn:aws:ec2:{REGION}::image/*"


class Need(NamedTuple):
    """One right that a call takes. `leading_keys` are the partition keys that it names, where IAM can look at them;
    `passed_to` is the service that a role is handed on to; `context` are other condition keys with their values.
    """

    function: str
    action: str
    resource: str
    leading_keys: frozenset[str] = frozenset()
    passed_to: str = ""
    context: frozenset[tuple[str, str]] = frozenset()

    def said(self, key: str) -> list[str]:
        """The values that a condition on the key is held against."""
        match key:
            case "dynamodb:LeadingKeys":
                return sorted(self.leading_keys)
            case "iam:PassedToService":
                return [self.passed_to] if self.passed_to else []
            case _:
                return [value for name, value in self.context if name == key]


@contextmanager
def noted() -> Iterator[set[Need]]:
    """The rights that functions of an in-process stack need until the block ends."""
    needs: set[Need] = set()
    client: Any = BaseClient
    call, submit = client._make_api_call, ThreadPoolExecutor.submit  # noqa: SLF001 - every call of every client
    sign = RequestSigner.generate_presigned_url

    def watched(self: BaseClient, operation_name: str, api_params: dict[str, Any]) -> Any:
        function = running.get()
        if function is None:
            return call(self, operation_name, api_params)
        name = function.spec.logical_id
        needs.update(_needs(name, self.meta.service_model.service_name, operation_name, api_params))
        try:
            return call(self, operation_name, api_params)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                # S3 says that an object is missing to those only who may list its bucket; to others it says 403.
                needs.add(Need(name, "s3:ListBucket", f"arn:aws:s3:::{api_params['Bucket']}"))
            raise

    def signing(self: RequestSigner, request_dict: dict[str, Any], expires_in: int, operation_name: str) -> str:
        # Whoever has the address does it with the rights of whoever signed it.
        function = running.get()
        if function is not None:
            params = request_dict["context"]["s3_redirect"]["params"]
            needs.update(_needs(function.spec.logical_id, "s3", operation_name, params))
        return str(sign(self, request_dict, expires_in=expires_in, operation_name=operation_name))

    def submit_in_context(self: ThreadPoolExecutor, /, *task: Any, **named: Any) -> Future[Any]:
        return submit(self, functools.partial(contextvars.copy_context().run, *task), **named)

    with (
        patch.object(BaseClient, "_make_api_call", watched),
        patch.object(RequestSigner, "generate_presigned_url", signing),
        patch.object(ThreadPoolExecutor, "submit", submit_in_context),
    ):
        yield needs


def taken_by_streams(stack: LocalStack) -> set[Need]:
    """What Lambda itself does by the rights of the functions that streams feed."""
    names = {spec.name: logical_id for logical_id, spec in stack.deployment.functions.items()}
    reading = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
    needs: set[Need] = set()
    for stream in stack.deployment.streams:
        function = names[stream.function]
        needs |= {Need(function, f"dynamodb:{action}", stream.stream_arn) for action in reading}
        if stream.dead_letters_arn is not None:
            needs.add(Need(function, "sqs:SendMessage", stream.dead_letters_arn))
    return needs


def granted(stack: LocalStack) -> dict[str, list[dict[str, Any]]]:
    """The policy statements of every function's own role."""
    iam = stack.client("iam")
    statements: dict[str, list[dict[str, Any]]] = {}
    for function in stack.deployment.functions:
        role = stack.physical_id(f"{function}Role")
        policies = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        ]
        statements[function] = [statement for policy in policies for statement in policy["Statement"]]
    return statements


def is_allowed(need: Need, statements: list[dict[str, Any]]) -> bool:
    """Whether IAM would let it pass, as far as these policies use IAM's language."""
    return any(
        need.action in _listed(statement["Action"])
        and any(fnmatch.fnmatchcase(need.resource, pattern) for pattern in _listed(statement["Resource"]))
        and _condition_holds(statement.get("Condition"), need)
        for statement in statements
    )


def _condition_holds(condition: Any, need: Need) -> bool:
    return all(
        _HOLDS[operator](need.said(key), _listed(wanted))
        for operator, keys in (condition or {}).items()
        for key, wanted in keys.items()
    )


def _all_are_like(said: list[str], wanted: list[str]) -> bool:
    return all(any(fnmatch.fnmatchcase(one, pattern) for pattern in wanted) for one in said)


# Of the language of conditions, what the template speaks.
_HOLDS: dict[str, Callable[[list[str], list[str]], bool]] = {
    "ForAllValues:StringLike": _all_are_like,
    "ForAllValues:StringEquals": lambda said, wanted: set(said) <= set(wanted),
    "StringLike": lambda said, wanted: bool(said) and _all_are_like(said, wanted),
    "StringEquals": lambda said, wanted: bool(said) and set(said) <= set(wanted),
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _needs(function: str, service: str, operation: str, params: dict[str, Any]) -> Iterator[Need]:
    match service:
        case "dynamodb":
            for action, table, index, keys in _on_tables(operation, params):
                resource = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}{f'/index/{index}' if index else ''}"
                yield Need(function, f"dynamodb:{action}", resource, keys)
        case "s3":
            yield from _on_objects(function, operation, params)
        case "events":
            for entry in params["Entries"]:
                bus = f"arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{entry['EventBusName']}"
                yield Need(function, f"events:{operation}", bus)
        case "stepfunctions":
            resource = params.get("stateMachineArn") or params["executionArn"]
            yield Need(function, f"states:{operation}", resource)
        case "scheduler":
            yield from _on_schedules(function, operation, params)
        case "ec2" | "ebs":
            yield from _on_disks(function, service, operation, params)
        case _:
            yield Need(function, f"{service}:{operation}", "*")


def _on_objects(function: str, operation: str, params: dict[str, Any]) -> Iterator[Need]:
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    match operation:
        case "ListObjectsV2":
            yield Need(function, "s3:ListBucket", bucket)
        case "CopyObject":
            yield Need(function, "s3:GetObject", f"{bucket}/{params['CopySource']['Key']}")
            yield Need(function, "s3:PutObject", f"{bucket}/{params['Key']}")
        case "ListParts":
            yield Need(function, "s3:ListMultipartUploadParts", f"{bucket}/{params['Key']}")
        case "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload":
            yield Need(function, "s3:PutObject", f"{bucket}/{params['Key']}")
        case "HeadObject":
            yield Need(function, "s3:GetObject", f"{bucket}/{params['Key']}")
        case _:
            yield Need(function, f"s3:{operation}", f"{bucket}/{params['Key']}")


def _on_schedules(function: str, operation: str, params: dict[str, Any]) -> Iterator[Need]:
    """Whoever names a target hands on the role of its deliveries."""
    name = f"{params['GroupName']}/{params['Name']}"
    yield Need(function, f"scheduler:{operation}", f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{name}")
    if "Target" in params:
        yield Need(function, "iam:PassRole", params["Target"]["RoleArn"], passed_to="scheduler.amazonaws.com")


def _on_disks(function: str, service: str, operation: str, params: dict[str, Any]) -> Iterator[Need]:
    """What is made needs rights on what it is made of, on itself, and to bear its tags; what is there bears them."""
    action, account = f"{service}:{operation}", f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}"
    made = {"CreateSnapshot": _ANY_SNAPSHOT, "CreateVolume": f"{account}:volume/*", "RegisterImage": _ANY_IMAGE}
    if operation.startswith("Describe"):
        yield Need(function, action, "*")
        return
    for one in _named_in(params):
        place = (
            f"{account}:volume/" if one.startswith("vol-") else _ANY_SNAPSHOT if one.startswith("snap-") else _ANY_IMAGE
        )
        # Which volumes an environment has is said by tags of its own.
        borne = frozenset[tuple[str, str]]() if operation == "CreateSnapshot" else _tags_of(one)
        yield Need(function, action, place.removesuffix("*") + one, context=borne)
    tags = [tag for given in params.get("TagSpecifications", ()) for tag in given["Tags"]]
    given_tags = (*tags, *params.get("Tags", ()))
    asked = frozenset((f"aws:RequestTag/{tag['Key']}", tag["Value"]) for tag in given_tags)
    asked |= {("aws:TagKeys", tag["Key"]) for tag in given_tags}
    if operation in made:
        yield Need(function, action, made[operation], context=asked)
        yield Need(function, "ec2:CreateTags", made[operation], context=asked | {("ec2:CreateAction", operation)})
    if operation == "StartSnapshot":
        yield Need(function, action, _ANY_SNAPSHOT, context=asked)
        yield Need(function, "ec2:CreateTags", _ANY_SNAPSHOT, context=asked)


def _named_in(params: dict[str, Any]) -> Iterator[str]:
    """The volumes, snapshots and images that a call names."""
    for key, value in params.items():
        if key.endswith(("SnapshotId", "VolumeId", "ImageId")):
            yield value
        if key == "BlockDeviceMappings":
            yield from (device["Ebs"]["SnapshotId"] for device in value)


def _tags_of(resource_id: str) -> frozenset[tuple[str, str]]:
    backend = ec2_backends[ACCOUNT_ID][REGION]
    held: Any = {"snap": backend.snapshots, "vol": backend.volumes, "ami": backend.amis}
    found = held[resource_id.partition("-")[0]].get(resource_id)
    tags = found.get_tags() if found else []
    return frozenset((f"aws:ResourceTag/{tag['key']}", tag["value"]) for tag in tags)


def _on_tables(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, str, str | None, frozenset[str]]]:
    """(action, table, index, partition keys) of each right. Transactions and PartiQL have no rights of their own."""
    match operation:
        case "TransactWriteItems":
            for item in params["TransactItems"]:
                ((kind, request),) = item.items()
                yield f"{kind}Item", request["TableName"], None, _partitions(request)
        case "BatchExecuteStatement":
            for statement in json.loads(params[TEXT])["Statements"]:
                found = _INSERT_INTO.match(statement["Statement"])
                assert found, f"what right does {statement['Statement']} take?"
                yield "PartiQLInsert", found[1], None, frozenset()
        case "BatchGetItem" | "BatchWriteItem":
            for table in params["RequestItems"]:
                yield operation, table, None, frozenset()
        case _:
            yield operation, params["TableName"], params.get("IndexName"), _partitions(params)


def _partitions(request: dict[str, Any]) -> frozenset[str]:
    """The partition keys that a request names: of a row, or of what it queries."""
    row = request.get("Key") or request.get("Item") or {}
    asked = request.get("ExpressionAttributeValues", {}) if "KeyConditionExpression" in request else {}
    named = row.get("pk") or (asked.get(":pk") if "IndexName" not in request else None)
    return frozenset([named["S"]]) if named else frozenset()
