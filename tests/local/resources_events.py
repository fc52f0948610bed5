"""Deploys what tells of events: buses, rules, dashboards, and the mappings by which streams feed functions."""

import json
from typing import Any

from tests.local.deployer import Deployer, Resource
from tests.local.spec import StreamSpec


@Deployer.handles("AWS::Events::EventBus")
def _bus(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "Name")
    arguments = resource.take_all("Description", "Tags")
    arn = deployer.call(resource, "events", "create_event_bus", Name=name, **arguments)["EventBusArn"]
    deployer.set(resource, name, Arn=arn, Name=name)


@Deployer.handles("AWS::Events::Rule")
def _rule(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "Name")
    bus = resource.take_all("EventBusName")
    arguments = resource.take_all("Description", "RoleArn", "ScheduleExpression", "State")
    if pattern := resource.take("EventPattern"):
        arguments["EventPattern"] = json.dumps(pattern)
    arn = deployer.call(resource, "events", "put_rule", Name=name, **bus, **arguments)["RuleArn"]
    if targets := resource.take("Targets"):
        deployer.call(resource, "events", "put_targets", Rule=name, **bus, Targets=targets)
    deployer.set(resource, name, Arn=arn)


@Deployer.handles("AWS::CloudWatch::Dashboard")
def _dashboard(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "DashboardName")
    body = resource.take("DashboardBody")
    try:
        json.loads(body)
    except ValueError as error:
        raise resource.fail(f"its DashboardBody is not JSON: {error}") from error
    deployer.call(resource, "cloudwatch", "put_dashboard", DashboardName=name, DashboardBody=body)
    deployer.set(resource, name)


@Deployer.handles("AWS::Lambda::EventSourceMapping")
def _event_source(deployer: Deployer, resource: Resource) -> None:
    # Not told to moto, which would call the function inside of the request that writes, under DynamoDB's lock.
    source, function = resource.take("EventSourceArn"), resource.take("FunctionName")
    if ":dynamodb:" not in source:
        raise resource.fail(f"only streams of DynamoDB feed functions here, not {source!r}")
    start, reports = resource.take("StartingPosition"), resource.take("FunctionResponseTypes", [])
    if start != "TRIM_HORIZON":
        raise resource.fail(f"streams are read from TRIM_HORIZON on here, not from {start}")
    filters = [json.loads(one["Pattern"]) for one in resource.take("FilterCriteria", {}).get("Filters", [])]
    on_failure = resource.take("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    deployer.deployment.streams.append(
        StreamSpec(
            stream_arn=source,
            table=_table_of(source),
            function=function,
            batch_size=int(resource.take("BatchSize", 100)),
            filters=filters,
            reports_failures="ReportBatchItemFailures" in reports,
            bisects=resource.take_truth("BisectBatchOnFunctionError"),
            retries=int(resource.take("MaximumRetryAttempts", -1)),
            dead_letters_arn=on_failure,
        )
    )
    # Time does not go by between writes and what they lead to.
    deployer.record(resource, resource.take_all("MaximumBatchingWindowInSeconds", "MaximumRecordAgeInSeconds"))
    deployer.set(resource, f"{function}-{resource.logical_id}")


def _table_of(stream_arn: Any) -> str:
    return str(stream_arn).split(":table/")[1].split("/")[0]
