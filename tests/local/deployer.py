"""Turns the resources of a transformed template into calls to the pretended AWS, in the order of their references.

moto's own CloudFormation drops time to live, point-in-time recovery, versioning, lifecycle rules and layers in
silence. Here a resource type or a property that nobody taught is an error that names it.
"""

import graphlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import botocore.exceptions
import botocore.model

from tests.local.aws import ACCOUNT_ID, PARTITION, REGION, Aws
from tests.local.intrinsics import Resolver
from tests.local.spec import ApiSpec, CustomResourceSpec, FunctionSpec, StreamSpec
from tests.local.template import Template

_NOTHING = object()
_CUSTOM = "AWS::CloudFormation::CustomResource"


class DeployError(Exception):
    """A resource cannot be deployed locally; the message names the resource and the property."""


class Resource:
    """One resource of the template with its functions resolved. What a handler does not take is refused."""

    def __init__(self, logical_id: str, kind: str, properties: Mapping[str, Any]) -> None:
        self.logical_id = logical_id
        self.kind = kind
        self._left = dict(properties)

    def take(self, name: str, default: Any = None) -> Any:
        """A property's value; from here on it counts as handled."""
        return self._left.pop(name, default)

    def take_all(self, *names: str) -> dict[str, Any]:
        """Those of the properties that are there."""
        return {name: self._left.pop(name) for name in names if name in self._left}

    def take_truth(self, name: str, *, default: bool = False) -> bool:
        """A true or false property, which parameters give as text."""
        return str(self.take(name, default)).lower() == "true"

    def take_rest(self) -> dict[str, Any]:
        """All properties that are left, whatever their names."""
        rest, self._left = self._left, {}
        return rest

    def refuse_rest(self) -> None:
        """Raise DeployError if a property is left that was not taken."""
        if self._left:
            names = ", ".join(sorted(self._left))
            raise DeployError(
                f"{self.logical_id} ({self.kind}): the local stack does not know the property {names}: "
                "teach it in tests/local/resources_*.py"
            )

    def fail(self, reason: str) -> DeployError:
        """An error about this resource."""
        return DeployError(f"{self.logical_id} ({self.kind}): {reason}")


@dataclass
class Deployment:
    """What a deployment made."""

    physical_ids: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, Any]]
    outputs: dict[str, str] = field(default_factory=dict)
    functions: dict[str, FunctionSpec] = field(default_factory=dict)
    apis: dict[str, ApiSpec] = field(default_factory=dict)
    streams: list[StreamSpec] = field(default_factory=list)
    custom: list[CustomResourceSpec] = field(default_factory=list)
    recorded: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Properties of the resources that nothing local acts on, by logical id."""
    tables: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    """Sentences about options that a server other than moto refused."""


type Handler = Callable[["Deployer", Resource], None]


class Deployer:
    """Deploys one template as one stack."""

    handlers: dict[str, Handler] = {}  # noqa: RUF012 - filled by the `handles` decorator on import of resources_*.py

    def __init__(self, template: Template, aws: Aws, stack_name: str) -> None:
        self.aws = aws
        self.stack_name = stack_name
        self.template = template
        self.resolver = Resolver(
            template,
            {
                "AWS::Region": REGION,
                "AWS::AccountId": ACCOUNT_ID,
                "AWS::Partition": PARTITION,
                "AWS::URLSuffix": "amazonaws.com",
                "AWS::StackName": stack_name,
                "AWS::StackId": self.arn("cloudformation", f"stack/{stack_name}/0"),
                "AWS::NotificationARNs": "",
            },
        )
        self.deployment = Deployment(self.resolver.physical_ids, self.resolver.attributes)

    @classmethod
    def handles(cls, kind: str) -> Callable[[Handler], Handler]:
        """Register the handler of a resource type."""

        def register(handler: Handler) -> Handler:
            cls.handlers[kind] = handler
            return handler

        return register

    def deploy(self) -> Deployment:
        """Deploy everything.

        Raises:
            DeployError: a resource type or property is unknown, or AWS refused it.
            TemplateError: the template refers to something that is not there.
        """
        self.resolver.check_rules()
        for logical_id in self._order:
            declared = self.template.resources[logical_id]
            resource = Resource(logical_id, declared["Type"], self.resolver.resolve(declared.get("Properties", {})))
            handler = self.handlers.get(_CUSTOM if resource.kind.startswith("Custom::") else resource.kind)
            if handler is None:
                raise resource.fail(
                    "the local stack does not know this resource type: teach it in tests/local/resources_*.py"
                )
            handler(self, resource)
            resource.refuse_rest()
        for name, output in self.template.outputs.items():
            if "Condition" not in output or self.resolver.condition(output["Condition"]):
                self.deployment.outputs[name] = str(self.resolver.resolve(output["Value"]))
        return self.deployment

    @cached_property
    def _order(self) -> list[str]:
        needs = {}
        for logical_id, declared in self.template.resources.items():
            if "Condition" in declared and not self.resolver.condition(declared["Condition"]):
                continue
            depends = declared.get("DependsOn", [])
            needs[logical_id] = self.resolver.references(declared.get("Properties", {})) | {
                *([depends] if isinstance(depends, str) else depends)
            }
        known = {logical_id: {name for name in names if name in needs} for logical_id, names in needs.items()}
        return list(graphlib.TopologicalSorter(known).static_order())

    def arn(self, service: str, rest: str) -> str:
        """An ARN in the stack's region and account."""
        return f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT_ID}:{rest}"

    def set(self, resource: Resource, physical_id: str, **attributes: Any) -> None:
        """Say what Ref and GetAtt give for a resource."""
        self.resolver.physical_ids[resource.logical_id] = physical_id
        self.resolver.attributes[resource.logical_id] = attributes

    def name(self, resource: Resource, property_name: str) -> str:
        """The resource's name: the template's, or one made of the stack's name and the logical id."""
        return str(resource.take(property_name) or f"{self.stack_name}-{resource.logical_id}")

    def record(self, resource: Resource, properties: Mapping[str, Any]) -> None:
        """Keep properties that nothing local acts on, so that tests can look at them."""
        self.deployment.recorded[resource.logical_id] = dict(properties)

    def set_option(self, resource: Resource, service: str, operation: str, **arguments: Any) -> None:
        """Call AWS for something that the functions do not notice. Other servers than moto need not know it."""
        try:
            self.call(resource, service, operation, **arguments)
        except DeployError as error:
            if service not in self.aws.elsewhere:
                raise
            self.deployment.passed_over.append(str(error))

    def call(self, resource: Resource, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call AWS, with numbers and truth values in the types that the operation wants: templates give texts."""
        client = self.aws.client(service)
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
        try:
            answer: dict[str, Any] = getattr(client, operation)(**_typed(shape, arguments))
        except botocore.exceptions.ParamValidationError as error:
            raise resource.fail(f"a property is not right: {error.kwargs['report']}") from error
        except botocore.exceptions.ClientError as error:
            raise resource.fail(f"{operation} was refused: {error.response['Error']['Message']}") from error
        return answer


def _typed(shape: botocore.model.Shape, value: Any) -> Any:
    match shape, value:
        case botocore.model.StructureShape(), dict():
            return {
                name: _typed(shape.members[name], item) if name in shape.members else item
                for name, item in value.items()
            }
        case botocore.model.ListShape(), list():
            return [_typed(shape.member, item) for item in value]
        case botocore.model.MapShape(), dict():
            return {name: _typed(shape.value, item) for name, item in value.items()}
        case _:
            return _typed_scalar(shape.type_name, value)


def _typed_scalar(type_name: str, value: Any) -> Any:
    match type_name, value:
        case "boolean", str():
            return value.lower() == "true"
        case "integer" | "long", str() if re.fullmatch(r"-?\d+", value):
            return int(value)
        case "float" | "double", str() | int():
            return float(value)
        case "string", bool():
            return str(value).lower()
        case "string", int() | float():
            return str(value)
        case _:
            return value
