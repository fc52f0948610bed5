"""template.yaml: every function is one resource with rights of its own, and no right is wider than it must be."""

import subprocess
from collections.abc import Iterator
from typing import Any

from tests.repo.sources import README, ROOT, function_folders, relative, resources, template
from tidemark.domain.tenant import parse_tenant
from tidemark.errors import InvalidRequest

_FUNCTION = "AWS::Serverless::Function"
# How long AWS lets those names be that begin with the stack's, and how long README.md says that this one may be.
LONGEST_NAMES = {
    "AWS::Scheduler::Schedule": ("Name", 64),
    "AWS::Scheduler::ScheduleGroup": ("Name", 64),
    "AWS::Serverless::StateMachine": ("Name", 80),
    "AWS::SQS::Queue": ("QueueName", 80),
}
LONGEST_STACK = 52
# Actions that AWS defines without a resource, so that "*" is the only one that can be named. Each says what for.
WITHOUT_RESOURCE = {
    "cloudwatch:PutMetricData": "metrics have no ARN",
    "ec2:DescribeAvailabilityZones": "lists by filters",
    "ec2:DescribeImages": "lists by filters",
    "ec2:DescribeInstances": "lists by filters",
    "ec2:DescribeSnapshots": "lists by filters",
    "ec2:DescribeVolumes": "lists by filters",
    "logs:CreateLogDelivery": "vended logs of state machines have no ARN before they exist",
    "logs:DeleteLogDelivery": "as logs:CreateLogDelivery",
    "logs:DescribeLogGroups": "lists by name",
    "logs:DescribeResourcePolicies": "resource policies have no ARN",
    "logs:GetLogDelivery": "as logs:CreateLogDelivery",
    "logs:ListLogDeliveries": "as logs:CreateLogDelivery",
    "logs:PutResourcePolicy": "resource policies have no ARN",
    "logs:UpdateLogDelivery": "as logs:CreateLogDelivery",
    "xray:GetSamplingRules": "sampling rules are the account's",
    "xray:GetSamplingTargets": "sampling rules are the account's",
    "xray:PutTelemetryRecords": "traces have no ARN",
    "xray:PutTraceSegments": "traces have no ARN",
}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statements(value: object) -> Iterator[dict[str, Any]]:
    """Every policy statement, wherever in the value it stands."""
    if isinstance(value, dict):
        if "Effect" in value and {"Action", "NotAction"} & value.keys():
            yield value
        for item in value.values():
            yield from _statements(item)
    elif isinstance(value, list):
        for item in value:
            yield from _statements(item)


def _grants() -> list[tuple[str, dict[str, Any]]]:
    """What is allowed in the template, with the resource that says so. Key policies name the key itself as "*"."""
    return [
        (name, statement)
        for name, properties in resources().items()
        if template()["Resources"][name]["Type"] != "AWS::KMS::Key"
        for statement in _statements(properties)
        if statement["Effect"] == "Allow"
    ]


def test_every_function_is_one_resource() -> None:
    uris = sorted(properties["CodeUri"].rstrip("/") for properties in resources(_FUNCTION).values())
    assert uris == [relative(folder) for folder in function_folders()]


def test_every_function_has_rights_of_its_own() -> None:
    functions = resources(_FUNCTION)
    assert functions
    # A function that needs no right says so: Policies is there, and empty.
    assert [name for name, properties in functions.items() if "Policies" not in properties] == []
    assert [name for name, properties in functions.items() if "Role" in properties] == []


def test_no_managed_policy_is_attached() -> None:
    managed = [
        f"{name}: {policy}"
        for name, properties in resources().items()
        for policy in [*_listed(properties.get("Policies", [])), *properties.get("ManagedPolicyArns", [])]
        if isinstance(policy, str)
    ]
    assert managed == []


def test_no_action_is_a_wildcard() -> None:
    grants = _grants()
    assert grants
    assert [
        f"{name}: {action}"
        for name, statement in grants
        for action in _listed(statement.get("Action", "NotAction"))
        if "*" in action or action == "NotAction"
    ] == []


def test_no_resource_is_everything_without_a_reason() -> None:
    unjustified = [
        f"{name}: {action}"
        for name, statement in _grants()
        if "*" in _listed(statement.get("Resource", "*"))
        for action in _listed(statement["Action"])
        if action not in WITHOUT_RESOURCE and "AssumeRolePolicyDocument" not in resources()[name]
    ]
    assert unjustified == []


def test_tags_are_set_only_on_what_is_being_made_or_are_the_products_own() -> None:
    tagging = [statement for _, statement in _grants() if "ec2:CreateTags" in _listed(statement["Action"])]
    assert tagging
    for statement in tagging:
        if "ec2:CreateAction" in statement["Condition"].get("StringEquals", {}):
            continue
        keys = statement["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"]
        assert all(key.startswith("tidemark:") for key in keys), statement
        # That none is left out; a request without tags has no keys to be compared.
        assert statement["Condition"]["StringLike"] == {f"aws:RequestTag/{key}": "*" for key in keys}, statement


def test_every_log_group_forgets() -> None:
    groups = resources("AWS::Logs::LogGroup")
    assert groups
    assert [name for name, properties in groups.items() if "RetentionInDays" not in properties] == []


def test_every_function_logs_to_a_group_of_the_template() -> None:
    groups = resources("AWS::Logs::LogGroup").keys()
    common = template()["Globals"]["Function"].get("LoggingConfig", {})
    elsewhere = [
        name
        for name, properties in resources(_FUNCTION).items()
        if (common | properties.get("LoggingConfig", {})).get("LogGroup", {}).get("Ref") not in groups
    ]
    assert elsewhere == []


def test_layers_and_functions_run_one_python() -> None:
    version = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    runtimes = {properties["Runtime"] for properties in resources(_FUNCTION).values() if "Runtime" in properties}
    layers = {
        runtime
        for properties in resources("AWS::Serverless::LayerVersion").values()
        for runtime in properties["CompatibleRuntimes"]
    }
    assert {template()["Globals"]["Function"]["Runtime"]} | runtimes | layers == {f"python{version}"}


def test_layer_is_built_for_the_processor_that_the_build_is_told() -> None:
    layer = template()["Resources"]["DependenciesLayer"]
    assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
    # What samconfig.toml keeps for `sam deploy` does not reach `sam build`.
    told = "--parameter-overrides Architecture=x86_64"
    make = ["make", "--dry-run", "--assume-old=.venv/.stamp", "--assume-old=.venv-sam/.stamp", "build", f"ARGS={told}"]
    said = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert f" build {told}\n" in said


def test_names_have_room_for_that_of_the_stack() -> None:
    room = {
        name: longest - len(properties[member]["Fn::Sub"].removeprefix("${AWS::StackName}"))
        for kind, (member, longest) in LONGEST_NAMES.items()
        for name, properties in resources(kind).items()
    }
    assert min(room.values()) == LONGEST_STACK, room
    assert f"up to {LONGEST_STACK} characters" in README.read_text(encoding="utf-8")


def test_every_parameter_says_what_it_is_for() -> None:
    parameters = template()["Parameters"]
    assert [name for name, parameter in parameters.items() if not parameter.get("Description")] == []


def test_rules_that_delete_by_prefix_reach_no_tenant() -> None:
    rules = next(iter(resources("AWS::S3::Bucket").values()))["LifecycleConfiguration"]["Rules"]
    prefixes = [rule["Prefix"] for rule in rules if "Prefix" in rule]
    assert prefixes, "no rule has a prefix"
    # The objects of a tenant lie under its name.
    assert [prefix for prefix in prefixes if is_tenant(prefix.partition("/")[0])] == []


def is_tenant(name: str) -> bool:
    try:
        return parse_tenant(name) == name
    except InvalidRequest:
        return False


def test_what_can_not_be_announced_is_tried_for_the_hour_that_is_promised() -> None:
    [mapping] = resources("AWS::Lambda::EventSourceMapping").values()
    assert (mapping["MaximumRecordAgeInSeconds"], mapping.get("MaximumRetryAttempts", -1)) == (3600, -1)
