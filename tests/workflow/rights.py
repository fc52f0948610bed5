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
from collections.abc import Iterator
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


class Need(NamedTuple):
    """One right that a call takes. `leading_keys` are the partition keys that it names, where IAM can look at them;
    `passed_to` is the service that a role is handed on to; `context` is what IAM knows besides: names and values of
    condition keys, such as the tags that a resource has or is given.
    """

    function: str
    action: str
    resource: str
    leading_keys: frozenset[str] = frozenset()
    passed_to: str = ""
    context: frozenset[tuple[str, str]] = frozenset()


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
    if condition is None:
        return True
    known = dict(need.context)
    if need.passed_to:
        known["iam:PassedToService"] = need.passed_to
    return all(
        _holds(operator, known.get(key), key, _listed(wanted), need)
        for operator, tests in condition.items()
        for key, wanted in tests.items()
    )


def _holds(operator: str, value: str | None, key: str, wanted: list[str], need: Need) -> bool:
    match operator:
        case "ForAllValues:StringLike":
            assert key == "dynamodb:LeadingKeys", f"what is {key} of a call?"
            return all(any(fnmatch.fnmatchcase(one, pattern) for pattern in wanted) for one in need.leading_keys)
        case "StringEquals":
            return value in wanted
        case "StringLike":
            return value is not None and any(fnmatch.fnmatchcase(value, pattern) for pattern in wanted)
        case "Null":
            return [str(value is None).lower()] == wanted
        case _:
            raise AssertionError(f"what does {operator} mean?")


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
        case "ec2":
            yield from _on_ec2(function, operation, params)
        case "ebs":
            yield from _on_blocks(function, operation, params)
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


def _on_ec2(function: str, operation: str, params: dict[str, Any]) -> Iterator[Need]:
    """Whatever makes something takes the right to that, to what it is made of, and to give it tags."""
    asked = _tags("aws:RequestTag", [tag for one in params.get("TagSpecifications", []) for tag in one["Tags"]])
    action = f"ec2:{operation}"
    if operation.startswith("Describe"):
        yield Need(function, action, "*")
        return
    if "SnapshotId" in params:
        yield Need(function, action, _snapshot(params["SnapshotId"]), context=_tags_of(params["SnapshotId"]))
    if "VolumeId" in params:
        volume = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:volume/{params['VolumeId']}"
        yield Need(function, action, volume, context=_tags_of(params["VolumeId"]))
    for mapping in params.get("BlockDeviceMappings", []):
        snapshot_id = mapping["Ebs"]["SnapshotId"]
        yield Need(function, action, _snapshot(snapshot_id), context=_tags_of(snapshot_id))
    made = {
        "CreateSnapshot": _snapshot("*"),
        "CreateVolume": f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:volume/*",
        "RegisterImage": f"arn:aws:ec2:{REGION}::image/*",
    }.get(operation)
    if made is not None:
        yield Need(function, action, made, context=asked)
    if made is not None and asked:
        yield Need(function, "ec2:CreateTags", made, context=asked | {("ec2:CreateAction", operation)})


def _on_blocks(function: str, operation: str, params: dict[str, Any]) -> Iterator[Need]:
    if operation == "StartSnapshot":
        asked = _tags("aws:RequestTag", params.get("Tags", []))
        yield Need(function, "ebs:StartSnapshot", _snapshot("*"), context=asked)
        if asked:
            yield Need(function, "ec2:CreateTags", _snapshot("*"), context=asked)
        return
    named = [params[name] for name in ("SnapshotId", "FirstSnapshotId", "SecondSnapshotId") if name in params]
    for snapshot_id in named:
        yield Need(function, f"ebs:{operation}", _snapshot(snapshot_id), context=_tags_of(snapshot_id))


def _snapshot(snapshot_id: str) -> str:
    return f"arn:aws:ec2:{REGION}::snapshot/{snapshot_id}"


def _tags_of(resource_id: str) -> frozenset[tuple[str, str]]:
    """The tags that a resource of EC2 has."""
    backend = ec2_backends[ACCOUNT_ID][REGION]
    found = backend.describe_tags(filters={"resource-id": [resource_id]})
    return _tags("aws:ResourceTag", [{"Key": one["key"], "Value": one["value"]} for one in found])


def _tags(called: str, tags: list[dict[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((f"{called}/{tag['Key']}", tag["Value"]) for tag in tags)


def _on_tables(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, str, str | None, frozenset[str]]]:
    """(action, table, index, partition keys) of each right. Transactions and PartiQL have no rights of their own."""
    match operation:
        case "TransactWriteItems":
            for item in params["TransactItems"]:
                ((kind, request),) = item.items()
                yield f"{kind}Item", request["TableName"], None, frozenset()
        case "BatchExecuteStatement":
            for statement in json.loads(params[TEXT])["Statements"]:
                found = _INSERT_INTO.match(statement["Statement"])
                assert found, f"what right does {statement['Statement']} take?"
                yield "PartiQLInsert", found[1], None, frozenset()
        case "BatchGetItem" | "BatchWriteItem":
            for table in params["RequestItems"]:
                yield operation, table, None, frozenset()
        case _:
            row = params.get("Key") or params.get("Item") or {}
            keys = frozenset([row["pk"]["S"]]) if "pk" in row else frozenset()
            yield operation, params["TableName"], params.get("IndexName"), keys
