"""A stack's tables and buckets on servers that outlive it: under names that no other stack has, removed at its end."""

import uuid
from typing import Any

from tests.local.aws import Aws


def unique(stack_name: str) -> str:
    """A stack's name for servers that may hold other stacks."""
    return f"{stack_name}-{uuid.uuid4().hex[:8]}"


def remove_stores(aws: Aws, tables: list[str], buckets: list[str]) -> None:
    """Delete those of the tables and buckets that are on other servers, and what is in them."""
    if "dynamodb" in aws.elsewhere:
        for name in tables:
            _remove_table(aws.client("dynamodb"), name)
    if "s3" in aws.elsewhere:
        for name in buckets:
            _remove_bucket(aws.client("s3"), name)


def _remove_table(client: Any, name: str) -> None:
    if client.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)


def _remove_bucket(client: Any, name: str) -> None:
    """Every version goes, and every marker of a deletion: a bucket that holds one can't be deleted."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            client.delete_objects(Bucket=name, Delete={"Objects": objects})
    client.delete_bucket(Bucket=name)
