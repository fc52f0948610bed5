"""Deploys what runs: functions, layers, state machines and the REST API."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from tests.local.deployer import Deployer, Resource
from tests.local.spec import ApiSpec, FunctionSpec

_DEFAULT_TIMEOUT_S = 3
_DEFAULT_MEMORY_MB = 128
_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


def _placeholder_archive() -> bytes:
    """Lambda wants an archive; the code runs from the working tree."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("README.txt", "The local stack runs the code from the working tree.")
    return archive.getvalue()


def _directory(deployer: Deployer, resource: Resource, code: dict[str, Any]) -> Path:
    directory = deployer.template.code_directories.get(code.get("S3Key", ""))
    if directory is None:
        raise resource.fail(f"its code {code} is not a folder of the working tree")
    return directory


@Deployer.handles("AWS::Lambda::LayerVersion")
def _layer(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "LayerName")
    directory = _directory(deployer, resource, resource.take("Content"))
    if (directory / "python").is_dir():
        path: Path | None = directory / "python"
    elif (directory / "requirements.txt").is_file():
        path = None  # third-party packages: the interpreter that runs the stack has them
    else:
        raise resource.fail(f"{directory} has neither a python folder nor a requirements.txt")
    arguments = resource.take_all("CompatibleArchitectures", "CompatibleRuntimes", "Description", "LicenseInfo")
    made = deployer.call(
        resource,
        "lambda",
        "publish_layer_version",
        LayerName=name,
        Content={"ZipFile": _placeholder_archive()},
        **arguments,
    )
    deployer.set(resource, made["LayerVersionArn"], LayerVersionArn=made["LayerVersionArn"], LocalPath=path)


@Deployer.handles("AWS::Lambda::Function")
def _function(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "FunctionName")[:64]
    directory = _directory(deployer, resource, resource.take("Code"))
    reserved = resource.take("ReservedConcurrentExecutions")
    logging = resource.take("LoggingConfig", {})
    environment = {key: str(item) for key, item in resource.take("Environment", {}).get("Variables", {}).items()}
    tags = {tag["Key"]: tag["Value"] for tag in resource.take("Tags", [])}
    arguments = resource.take_all(
        "Architectures",
        "Description",
        "EphemeralStorage",
        "Handler",
        "Layers",
        "MemorySize",
        "Role",
        "Runtime",
        "Timeout",
        "TracingConfig",
    )
    made = deployer.call(
        resource,
        "lambda",
        "create_function",
        FunctionName=name,
        Code={"ZipFile": _placeholder_archive()},
        Environment={"Variables": environment},
        Tags=tags,
        **arguments,
    )
    if reserved is not None:
        deployer.call(
            resource,
            "lambda",
            "put_function_concurrency",
            FunctionName=name,
            ReservedConcurrentExecutions=int(reserved),
        )
    deployer.record(
        resource,
        resource.take_all(
            "DeadLetterConfig", "KmsKeyArn", "RecursiveLoop", "RuntimeManagementConfig", "SnapStart", "VpcConfig"
        ),
    )
    deployer.set(resource, name, Arn=made["FunctionArn"])
    deployer.deployment.functions[resource.logical_id] = FunctionSpec(
        logical_id=resource.logical_id,
        name=name,
        arn=made["FunctionArn"],
        handler=arguments["Handler"],
        code_directory=directory,
        layer_directories=_layer_paths(deployer, arguments.get("Layers", [])),
        environment=environment,
        timeout_s=int(arguments.get("Timeout", _DEFAULT_TIMEOUT_S)),
        memory_mb=int(arguments.get("MemorySize", _DEFAULT_MEMORY_MB)),
        log_group=logging.get("LogGroup", f"/aws/lambda/{name}"),
        runtime=arguments["Runtime"],
        reserved_concurrency=None if reserved is None else int(reserved),
        log_settings={
            variable: str(logging[key])
            for key, variable in (
                ("LogFormat", "AWS_LAMBDA_LOG_FORMAT"),
                ("ApplicationLogLevel", "AWS_LAMBDA_LOG_LEVEL"),
            )
            if key in logging
        },
    )


def _layer_paths(deployer: Deployer, layer_arns: list[str]) -> tuple[Path, ...]:
    by_arn = {
        attributes["LayerVersionArn"]: attributes["LocalPath"]
        for attributes in deployer.resolver.attributes.values()
        if "LayerVersionArn" in attributes
    }
    return tuple(path for arn in layer_arns if (path := by_arn.get(arn)) is not None)


@Deployer.handles("AWS::Lambda::Version")
def _version(deployer: Deployer, resource: Resource) -> None:
    deployer.record(resource, resource.take_all("CodeSha256", "ProvisionedConcurrencyConfig", "RuntimePolicy"))
    made = deployer.call(
        resource,
        "lambda",
        "publish_version",
        FunctionName=resource.take("FunctionName"),
        **resource.take_all("Description"),
    )
    deployer.set(resource, made["FunctionArn"], Version=made["Version"], FunctionArn=made["FunctionArn"])


@Deployer.handles("AWS::Lambda::Alias")
def _alias(deployer: Deployer, resource: Resource) -> None:
    arguments = resource.take_all("Description", "FunctionName", "FunctionVersion", "Name", "RoutingConfig")
    deployer.record(resource, resource.take_all("ProvisionedConcurrencyConfig"))
    arn = deployer.call(resource, "lambda", "create_alias", **arguments)["AliasArn"]
    deployer.set(resource, arn, AliasArn=arn)


@Deployer.handles("AWS::Lambda::Permission")
@Deployer.handles("AWS::Lambda::EventInvokeConfig")
@Deployer.handles("AWS::ApiGateway::Account")
@Deployer.handles("AWS::WAFv2::WebACLAssociation")
@Deployer.handles("AWS::WAFv2::WebACL")
def _without_local_effect(deployer: Deployer, resource: Resource) -> None:
    """Who may call what, web filters and account settings: kept for tests to look at."""
    properties = resource.take_all(*_PROPERTIES_WITHOUT_LOCAL_EFFECT[resource.kind])
    deployer.record(resource, properties)
    deployer.set(resource, resource.logical_id, Arn=deployer.arn("wafv2", f"regional/webacl/{resource.logical_id}/0"))


_PROPERTIES_WITHOUT_LOCAL_EFFECT = {
    "AWS::Lambda::Permission": ("Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"),
    "AWS::Lambda::EventInvokeConfig": (
        "DestinationConfig",
        "FunctionName",
        "MaximumEventAgeInSeconds",
        "MaximumRetryAttempts",
        "Qualifier",
    ),
    "AWS::ApiGateway::Account": ("CloudWatchRoleArn",),
    "AWS::WAFv2::WebACLAssociation": ("ResourceArn", "WebACLArn"),
    "AWS::WAFv2::WebACL": ("DefaultAction", "Description", "Name", "Rules", "Scope", "Tags", "VisibilityConfig"),
}


@Deployer.handles("AWS::StepFunctions::StateMachine")
def _state_machine(deployer: Deployer, resource: Resource) -> None:
    name = deployer.name(resource, "StateMachineName")
    text = resource.take("DefinitionString") or json.dumps(resource.take("Definition"))
    substitutions = resource.take("DefinitionSubstitutions", {})

    def substitute(match: re.Match[str]) -> str:
        if match[1] not in substitutions:
            raise resource.fail(f"its definition uses ${{{match[1]}}}, which DefinitionSubstitutions does not give")
        return str(substitutions[match[1]])

    unused = set(substitutions) - set(_SUBSTITUTION.findall(text))
    if unused:
        raise resource.fail(
            f"DefinitionSubstitutions gives {', '.join(sorted(unused))}, which its definition does not use"
        )
    arguments: dict[str, Any] = {"definition": _SUBSTITUTION.sub(substitute, text), "roleArn": resource.take("RoleArn")}
    if logging := resource.take("LoggingConfiguration"):
        arguments["loggingConfiguration"] = _lower_camel(logging)
    if tracing := resource.take("TracingConfiguration"):
        arguments["tracingConfiguration"] = _lower_camel(tracing)
    kind = resource.take("StateMachineType", "STANDARD")
    tags = [_lower_camel(tag) for tag in resource.take("Tags", [])]
    made = deployer.call(
        resource, "stepfunctions", "create_state_machine", name=name, type=kind, tags=tags, **arguments
    )
    arn = made["stateMachineArn"]
    deployer.set(resource, arn, Arn=arn, Name=name)


def _lower_camel(value: Any) -> Any:
    match value:
        case dict():
            return {key[0].lower() + key[1:]: _lower_camel(item) for key, item in value.items()}
        case list():
            return [_lower_camel(item) for item in value]
        case _:
            return value


@Deployer.handles("AWS::ApiGateway::RestApi")
def _rest_api(deployer: Deployer, resource: Resource) -> None:
    # moto's REST API is not used: tests/local/rest_api.py serves the document that samtranslator emits.
    document = resource.take("Body")
    if not document:
        raise resource.fail(
            "only a REST API with a Body (as AWS::Serverless::Api makes it) is known to the local stack"
        )
    api_id = hashlib.sha256(f"{deployer.stack_name}/{resource.logical_id}".encode()).hexdigest()[:10]
    deployer.record(
        resource,
        resource.take_all(
            "ApiKeySourceType",
            "Description",
            "DisableExecuteApiEndpoint",
            "EndpointConfiguration",
            "FailOnWarnings",
            "MinimumCompressionSize",
            "Mode",
            "Name",
            "Parameters",
            "Policy",
            "Tags",
        ),
    )
    binary_types = resource.take("BinaryMediaTypes", [])
    document = {"x-amazon-apigateway-binary-media-types": binary_types, **document}
    deployer.set(resource, api_id, RootResourceId=f"{api_id[:8]}rt", RestApiId=api_id)
    deployer.deployment.apis[api_id] = ApiSpec(resource.logical_id, api_id, document, stage="")


@Deployer.handles("AWS::ApiGateway::Deployment")
def _api_deployment(deployer: Deployer, resource: Resource) -> None:
    deployer.record(resource, resource.take_all("Description", "RestApiId", "StageName", "StageDescription"))
    deployer.set(resource, hashlib.sha256(resource.logical_id.encode()).hexdigest()[:6])


@Deployer.handles("AWS::ApiGateway::Stage")
def _api_stage(deployer: Deployer, resource: Resource) -> None:
    stage = resource.take("StageName")
    api_id = resource.take("RestApiId")
    settings = resource.take_all(
        "AccessLogSetting",
        "CacheClusterEnabled",
        "CacheClusterSize",
        "DeploymentId",
        "Description",
        "MethodSettings",
        "Tags",
        "TracingEnabled",
        "Variables",
    )
    api = deployer.deployment.apis[api_id]
    deployer.deployment.apis[api_id] = ApiSpec(api.logical_id, api_id, api.document, stage, settings)
    deployer.set(resource, stage)
