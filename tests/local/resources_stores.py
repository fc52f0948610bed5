"""Deploys stores and what watches over them: tables, buckets, keys, queues, logs, alarms, schedules and roles."""

import json
from typing import Any

from tests.local.deployer import Deployer, Resource


@Deployer.handles("AWS::DynamoDB::Table")
def _table(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "TableName")
    arguments = resource.take_all(
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "ProvisionedThroughput",
        "OnDemandThroughput",
        "LocalSecondaryIndexes",
        "GlobalSecondaryIndexes",
        "DeletionProtectionEnabled",
        "TableClass",
        "Tags",
    )
    if encryption := resource.take("SSESpecification"):
        arguments["SSESpecification"] = {
            ("Enabled" if key == "SSEEnabled" else key): item for key, item in encryption.items()
        }
    if stream := resource.take("StreamSpecification"):
        arguments["StreamSpecification"] = {"StreamEnabled": True, **stream}
    made = deployer.call(resource, "dynamodb", "create_table", TableName=name, **arguments)["TableDescription"]
    deployer.deployment.tables.append(name)
    if "dynamodb" in deployer.aws.elsewhere:
        deployer.aws.client("dynamodb").get_waiter("table_exists").wait(TableName=name)
    deployer.set(resource, name, Arn=made["TableArn"], StreamArn=made.get("LatestStreamArn", ""))
    if expiry := resource.take("TimeToLiveSpecification"):
        deployer.set_option(resource, "dynamodb", "update_time_to_live", TableName=name, TimeToLiveSpecification=expiry)
    if recovery := resource.take("PointInTimeRecoverySpecification"):
        deployer.set_option(
            resource,
            "dynamodb",
            "update_continuous_backups",
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False, **recovery},
        )
    deployer.record(resource, resource.take_all("ContributorInsightsSpecification", "KinesisStreamSpecification"))


@Deployer.handles("AWS::S3::Bucket")
def _bucket(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "BucketName").lower()
    arguments: dict[str, Any] = {
        "CreateBucketConfiguration": {"LocationConstraint": deployer.resolver.resolve({"Ref": "AWS::Region"})}
    }
    if ownership := resource.take("OwnershipControls"):
        arguments["ObjectOwnership"] = ownership["Rules"][0]["ObjectOwnership"]
    if resource.take_truth("ObjectLockEnabled"):
        arguments["ObjectLockEnabledForBucket"] = True
    deployer.call(resource, "s3", "create_bucket", Bucket=name, **arguments)
    deployer.deployment.buckets.append(name)
    deployer.set(
        resource,
        name,
        Arn=f"arn:aws:s3:::{name}",
        DomainName=f"{name}.s3.amazonaws.com",
        RegionalDomainName=f"{name}.s3.{deployer.resolver.resolve({'Ref': 'AWS::Region'})}.amazonaws.com",
    )
    if versioning := resource.take("VersioningConfiguration"):
        deployer.set_option(resource, "s3", "put_bucket_versioning", Bucket=name, VersioningConfiguration=versioning)
    if block := resource.take("PublicAccessBlockConfiguration"):
        deployer.set_option(
            resource, "s3", "put_public_access_block", Bucket=name, PublicAccessBlockConfiguration=block
        )
    if encryption := resource.take("BucketEncryption"):
        renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
        rules = [
            {renamed.get(key, key): item for key, item in rule.items()}
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        deployer.set_option(
            resource, "s3", "put_bucket_encryption", Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules}
        )
    if lifecycle := resource.take("LifecycleConfiguration"):
        rules = [_lifecycle_rule(resource, rule) for rule in lifecycle["Rules"]]
        deployer.set_option(
            resource, "s3", "put_bucket_lifecycle_configuration", Bucket=name, LifecycleConfiguration={"Rules": rules}
        )
    if tags := resource.take("Tags"):
        deployer.set_option(resource, "s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": tags})


def _lifecycle_rule(resource: Resource, rule: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation and the S3 API say the same things in different words."""
    left = dict(rule)
    made: dict[str, Any] = {"Status": left.pop("Status"), "Filter": {"Prefix": left.pop("Prefix", "")}}
    if "Id" in left:
        made["ID"] = left.pop("Id")
    expiration = {
        there: left.pop(here)
        for here, there in (("ExpirationInDays", "Days"), ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"))
        if here in left
    }
    if expiration:
        made["Expiration"] = expiration
    if "NoncurrentVersionExpirationInDays" in left:
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": left.pop("NoncurrentVersionExpirationInDays")}
    if "Transitions" in left:
        renamed = {"TransitionInDays": "Days"}
        made["Transitions"] = [
            {renamed.get(key, key): item for key, item in step.items()} for step in left.pop("Transitions")
        ]
    for name in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
        if name in left:
            made[name] = left.pop(name)
    if left:
        raise resource.fail(f"the local stack does not know {', '.join(sorted(left))} of a lifecycle rule")
    return made


@Deployer.handles("AWS::S3::BucketPolicy")
def _bucket_policy(deployer: Deployer, resource: Resource) -> None:
    # Kept, not applied: moto ignores a statement's Condition, so "deny all that comes without TLS" would deny all.
    deployer.record(resource, resource.take_all("Bucket", "PolicyDocument"))
    deployer.set(resource, resource.logical_id)


@Deployer.handles("AWS::KMS::Key")
def _key(deployer: Deployer, resource: Resource) -> None:
    policy = json.dumps(resource.take("KeyPolicy"))
    rotates = resource.take_truth("EnableKeyRotation")
    days = resource.take_all("RotationPeriodInDays")
    arguments = resource.take_all("Description", "KeySpec", "KeyUsage", "MultiRegion")
    deployer.record(resource, resource.take_all("PendingWindowInDays", "Enabled", "Tags"))
    made = deployer.call(resource, "kms", "create_key", Policy=policy, **arguments)["KeyMetadata"]
    deployer.set(resource, made["KeyId"], Arn=made["Arn"], KeyId=made["KeyId"])
    if rotates:
        deployer.call(resource, "kms", "enable_key_rotation", KeyId=made["KeyId"], **days)


@Deployer.handles("AWS::KMS::Alias")
def _key_alias(deployer: Deployer, resource: Resource) -> None:
    name = resource.take("AliasName")
    deployer.call(resource, "kms", "create_alias", AliasName=name, TargetKeyId=resource.take("TargetKeyId"))
    deployer.set(resource, name)


@Deployer.handles("AWS::SQS::Queue")
def _queue(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "QueueName")
    tags = {tag["Key"]: tag["Value"] for tag in resource.take("Tags", [])}
    attributes = resource.take_all(
        "DelaySeconds",
        "FifoQueue",
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "RedriveAllowPolicy",
        "RedrivePolicy",
        "SqsManagedSseEnabled",
        "VisibilityTimeout",
    )
    texts = {key: item if isinstance(item, str) else json.dumps(item) for key, item in attributes.items()}
    url = deployer.call(resource, "sqs", "create_queue", QueueName=name, Attributes=texts, tags=tags)["QueueUrl"]
    deployer.set(resource, url, Arn=deployer.arn("sqs", name), QueueName=name, QueueUrl=url)


@Deployer.handles("AWS::SQS::QueuePolicy")
def _queue_policy(deployer: Deployer, resource: Resource) -> None:
    policy = json.dumps(resource.take("PolicyDocument"))
    for url in resource.take("Queues"):
        deployer.call(resource, "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})
    deployer.set(resource, resource.logical_id)


@Deployer.handles("AWS::SNS::Topic")
def _topic(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "TopicName")
    attributes = {key: str(item) for key, item in resource.take_all("DisplayName", "KmsMasterKeyId").items()}
    subscriptions = resource.take("Subscription", [])
    arn = deployer.call(resource, "sns", "create_topic", Name=name, Attributes=attributes)["TopicArn"]
    for subscription in subscriptions:
        deployer.call(resource, "sns", "subscribe", TopicArn=arn, **subscription)
    deployer.set(resource, arn, TopicArn=arn, TopicName=name)


@Deployer.handles("AWS::Logs::LogGroup")
def _log_group(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "LogGroupName")
    deployer.call(resource, "logs", "create_log_group", logGroupName=name)
    if days := resource.take("RetentionInDays"):
        deployer.call(resource, "logs", "put_retention_policy", logGroupName=name, retentionInDays=days)
    deployer.record(resource, resource.take_all("KmsKeyId", "LogGroupClass", "Tags", "DeletionProtectionEnabled"))
    deployer.set(resource, name, Arn=deployer.arn("logs", f"log-group:{name}:*"))


@Deployer.handles("AWS::Logs::MetricFilter")
def _metric_filter(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "FilterName")
    changes = [
        {key[0].lower() + key[1:]: item for key, item in change.items()}
        for change in resource.take("MetricTransformations")
    ]
    deployer.call(
        resource,
        "logs",
        "put_metric_filter",
        filterName=name,
        filterPattern=resource.take("FilterPattern"),
        logGroupName=resource.take("LogGroupName"),
        metricTransformations=changes,
    )
    deployer.set(resource, name)


@Deployer.handles("AWS::CloudWatch::Alarm")
def _alarm(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "AlarmName")
    arguments = resource.take_all(
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluateLowSampleCountPercentile",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "InsufficientDataActions",
        "MetricName",
        "Metrics",
        "Namespace",
        "OKActions",
        "Period",
        "Statistic",
        "Tags",
        "Threshold",
        "TreatMissingData",
        "Unit",
    )
    deployer.call(resource, "cloudwatch", "put_metric_alarm", AlarmName=name, **arguments)
    deployer.set(resource, name, Arn=deployer.arn("cloudwatch", f"alarm:{name}"))


@Deployer.handles("AWS::IAM::Role")
def _role(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "RoleName")[:64]
    trust = json.dumps(resource.take("AssumeRolePolicyDocument"))
    arguments = resource.take_all("Description", "MaxSessionDuration", "Path", "PermissionsBoundary", "Tags")
    arn = deployer.call(resource, "iam", "create_role", RoleName=name, AssumeRolePolicyDocument=trust, **arguments)[
        "Role"
    ]["Arn"]
    for policy in resource.take("Policies", []):
        deployer.call(
            resource,
            "iam",
            "put_role_policy",
            RoleName=name,
            PolicyName=policy["PolicyName"],
            PolicyDocument=json.dumps({"Version": "2012-10-17", **policy["PolicyDocument"]}),
        )
    # moto has no managed policies of AWS to attach unless it loads all of them, which takes seconds.
    deployer.record(resource, resource.take_all("ManagedPolicyArns"))
    deployer.set(resource, name, Arn=arn)


@Deployer.handles("AWS::Scheduler::ScheduleGroup")
def _schedule_group(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "Name")
    arn = deployer.call(resource, "scheduler", "create_schedule_group", Name=name, **resource.take_all("Tags"))[
        "ScheduleGroupArn"
    ]
    deployer.set(resource, name, Arn=arn)


@Deployer.handles("AWS::Scheduler::Schedule")
def _schedule(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "Name")
    arguments = resource.take_all(
        "Description",
        "EndDate",
        "FlexibleTimeWindow",
        "GroupName",
        "KmsKeyArn",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "StartDate",
        "State",
        "Target",
    )
    arn = deployer.call(resource, "scheduler", "create_schedule", Name=name, **arguments)["ScheduleArn"]
    deployer.set(resource, name, Arn=arn)
