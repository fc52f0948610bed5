"""A stack that moto's CloudFormation has deployed, for commands that act on AWS directly."""

import json
from collections.abc import Iterator

import pytest
from moto import mock_aws

from tests.repo.sources import template
from tidemark.adapters import clients

STACK = "waterfront"
# The outputs of template.yaml, with the table behind one of them.
OUTPUTS = {
    "CatalogTableName": {"Ref": "Catalog"},
    "EntitiesTableName": "entities",
    "BucketName": "bucket",
    "CaptureStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:capture",
    "RestoreStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:restore",
    "VerifyStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:verify",
    "TransferStateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:transfer",
}


@pytest.fixture
def stack() -> Iterator[str]:
    """The name of a stack that has Tidemark's outputs."""
    catalog = template()["Resources"]["CatalogTable"]["Properties"]
    keys = {name: catalog[name] for name in ("BillingMode", "AttributeDefinitions", "KeySchema")}
    body = {
        "Resources": {"Catalog": {"Type": "AWS::DynamoDB::Table", "Properties": keys}},
        "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
    }
    with mock_aws():
        clients.forget()
        clients.make("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(body))
        yield STACK
    clients.forget()
