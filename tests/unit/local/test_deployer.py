"""Deploying: everything is applied, and what is not known is refused by name."""

from pathlib import Path

import pytest
from moto import mock_aws

from tests.local import resources_compute, resources_stores
from tests.local.aws import REGION, Aws
from tests.local.deployer import Deployer, DeployError
from tests.local.stack import LocalStack
from tests.local.template import TemplateError, load_template

REGISTERED = (resources_compute, resources_stores)


def deploy(folder: Path, text: str) -> None:
    path = folder / "template.yaml"
    path.write_text(text)
    with mock_aws():
        Deployer(load_template(path, region=REGION), Aws(), "small").deploy()


def test_applies_protection_of_table_when_deployed(stack: LocalStack) -> None:
    dynamodb, name = stack.client("dynamodb"), stack.outputs["TableName"]

    described = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]

    assert [index["IndexName"] for index in described["LocalSecondaryIndexes"]] == ["changed", "due"]
    assert described["SSEDescription"]["Status"] == "ENABLED"
    assert described["DeletionProtectionEnabled"] is False
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_applies_protection_of_bucket_when_deployed(stack: LocalStack) -> None:
    s3, name = stack.client("s3"), stack.physical_id("Bucket")

    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"] is True
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [rule["ID"] for rule in rules] == ["AbortUploads", "OldVersions"]
    assert rules[0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_applies_retention_alarm_and_schedule_when_deployed(stack: LocalStack) -> None:
    groups = stack.client("logs").describe_log_groups(logGroupNamePrefix="/tidemark/functions")["logGroups"]
    alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    schedule = stack.client("scheduler").get_schedule(GroupName=stack.physical_id("Schedules"), Name="tidemark-Nightly")

    assert groups[0]["retentionInDays"] == 14
    assert [metric["Id"] for metric in alarms[0]["Metrics"]] == ["all", "failed", "expired"]
    assert schedule["Target"]["Arn"] == stack.physical_id("Flow")


def test_gives_functions_what_template_says_when_deployed(stack: LocalStack) -> None:
    shelf = stack.deployment.functions["Shelf"]

    assert shelf.memory_mb == 512
    assert shelf.environment == {"TABLE": "tidemark-Table", "BUCKET": "tidemark-packs-123456789012"}
    assert [path.parts[-3:] for path in shelf.layer_directories] == [("layers", "common", "python")]
    assert shelf.log_settings == {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
    assert stack.deployment.functions["Step"].reserved_concurrency == 8


def test_leaves_out_conditional_resource_when_its_condition_does_not_hold(stack: LocalStack) -> None:
    assert "WebAcl" not in stack.outputs
    assert "WebAclAssociation" not in stack.deployment.recorded


def test_names_resource_and_property_when_property_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"Q \(AWS::SQS::Queue\): .* does not know the property Colour"):
        deploy(tmp_path, "Resources: {Q: {Type: 'AWS::SQS::Queue', Properties: {Colour: blue}}}\n")


def test_names_resource_and_type_when_type_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"Q \(AWS::MQ::Broker\): .* does not know this resource type"):
        deploy(tmp_path, "Resources: {Q: {Type: 'AWS::MQ::Broker'}}\n")


def test_names_resource_and_reason_when_aws_refuses(tmp_path: Path) -> None:
    table = "{BillingMode: PAY_PER_REQUEST, KeySchema: [{AttributeName: pk, KeyType: HASH}], AttributeDefinitions: []}"
    with pytest.raises(DeployError, match=r"T \(AWS::DynamoDB::Table\): create_table was refused"):
        deploy(tmp_path, f"Resources: {{T: {{Type: 'AWS::DynamoDB::Table', Properties: {table}}}}}\n")


def test_names_rule_member_when_lifecycle_rule_is_unknown(tmp_path: Path) -> None:
    rules = "{LifecycleConfiguration: {Rules: [{Status: Enabled, MoonPhase: full}]}}"
    with pytest.raises(DeployError, match="MoonPhase of a lifecycle rule"):
        deploy(tmp_path, f"Resources: {{B: {{Type: 'AWS::S3::Bucket', Properties: {rules}}}}}\n")


@pytest.mark.parametrize(
    ("substitutions", "complaint"),
    [("{}", "which DefinitionSubstitutions does not give"), ("{Arn: x, Other: y}", "Other, which its definition")],
)
def test_names_substitution_when_it_is_missing_or_unused(tmp_path: Path, substitutions: str, complaint: str) -> None:
    (tmp_path / "m.json").write_text(
        '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Arn}", "End": true}}}'
    )
    properties = f"{{DefinitionUri: m.json, Role: 'arn:aws:iam::1:role/r', DefinitionSubstitutions: {substitutions}}}"
    with pytest.raises(DeployError, match=complaint):
        deploy(tmp_path, f"Resources: {{M: {{Type: 'AWS::Serverless::StateMachine', Properties: {properties}}}}}\n")


def test_names_reference_when_it_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"GetAtt Q\.Size: the local stack knows Arn, QueueName, QueueUrl"):
        deploy(
            tmp_path,
            "Resources: {Q: {Type: 'AWS::SQS::Queue'},"
            " L: {Type: 'AWS::Logs::LogGroup', Properties: {RetentionInDays: !GetAtt Q.Size}}}\n",
        )
