"""Reads a SAM template: parameters, rules, and the CloudFormation resources that samtranslator makes of it.

The template stays the one source of truth: the transform is the very one that AWS applies on deployment
(aws-sam-translator).
"""

import copy
import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform

from tests.local.aws import region_in_environment

_CODE_BUCKET = "local-working-tree"
_CODE_PROPERTY = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Globals",
    "Resources",
    "Outputs",
}


class TemplateError(Exception):
    """The template, or a parameter given for it, is wrong; the message names the place and says what to do."""


@dataclass(frozen=True)
class Template:
    """A transformed template: plain CloudFormation, with the values of its parameters."""

    path: Path
    parameters: Mapping[str, Any]
    rules: Mapping[str, Any]
    conditions: Mapping[str, Any]
    mappings: Mapping[str, Any]
    resources: Mapping[str, Any]
    outputs: Mapping[str, Any]
    code_directories: Mapping[str, Path]
    """Where the code behind an S3 key of the transformed template is in the working tree."""


class _Loader(yaml.CSafeLoader):
    """YAML with the short forms of CloudFormation's functions (`!Ref`, `!GetAtt`, ...)."""


def _short_form(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


# It warns of a feature toggle that only AWS's own deployment has.
logging.getLogger("samtranslator").setLevel(logging.ERROR)
_Loader.add_multi_constructor("!", _short_form)


class _NoManagedPolicies:
    """samtranslator asks IAM for the names of managed policies; the templates here name them by ARN."""

    def load(self) -> dict[str, str]:
        return {}


def load_template(path: Path, parameters: Mapping[str, str] | None = None, *, region: str) -> Template:
    """Read, check and transform the template.

    Args:
        path: the template file; the folders that it names are beside it.
        parameters: values that override the template's defaults.
        region: the AWS region that the stack pretends to be in.

    Raises:
        TemplateError: the template is not valid SAM, or a parameter is unknown, missing or not allowed.
    """
    path = path.resolve()
    return _load(path, path.stat().st_mtime_ns, tuple(sorted((parameters or {}).items())), region)


@functools.lru_cache(maxsize=16)
def _load(path: Path, _version: int, parameters: tuple[tuple[str, str], ...], region: str) -> Template:
    try:
        source = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise TemplateError(f"{path.name} is not YAML: {error}") from error
    for section in set(source) - _SECTIONS:
        raise TemplateError(f"{path.name}: section {section} is unknown to the local stack")
    values = _parameter_values(source.get("Parameters", {}), dict(parameters))
    code_directories = _point_code_at_working_tree(source, path.parent)
    try:
        with region_in_environment(region):  # it asks boto3 for the region
            texts = {name: str(value) for name, value in values.items()}
            made = transform(copy.deepcopy(source), texts, _NoManagedPolicies())
    except InvalidDocumentException as error:
        reasons = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"{path.name} is not valid SAM: {reasons}") from error
    return Template(
        path=path,
        parameters=values,
        rules=made.get("Rules", {}),
        conditions=made.get("Conditions", {}),
        mappings=made.get("Mappings", {}),
        resources=made["Resources"],
        outputs=made.get("Outputs", {}),
        code_directories=code_directories,
    )


def _parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    for name in set(given) - set(declared):
        raise TemplateError(f"the template has no parameter {name}; it has {', '.join(sorted(declared)) or 'none'}")
    values = {}
    for name, declaration in declared.items():
        if name not in given and "Default" not in declaration:
            raise TemplateError(f"parameter {name} has no default: give a value, as in --parameter {name}=...")
        values[name] = _parameter_value(name, declaration, given.get(name, declaration.get("Default")))
    return values


def _parameter_value(name: str, declaration: Mapping[str, Any], value: Any) -> Any:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    allowed = declaration.get("AllowedValues")
    if allowed is not None and text not in [
        str(item).lower() if isinstance(item, bool) else str(item) for item in allowed
    ]:
        raise TemplateError(f"parameter {name}={text} is not one of {', '.join(map(str, allowed))}")
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise TemplateError(f"parameter {name}={text} does not match {pattern}")
    if not declaration.get("MinLength", 0) <= len(text) <= declaration.get("MaxLength", 1 << 20):
        raise TemplateError(f"parameter {name} has {len(text)} characters, which is too few or too many")
    match declaration["Type"]:
        case "Number":
            try:
                number = float(text) if "." in text else int(text)
            except ValueError:
                raise TemplateError(f"parameter {name}={text} is not a number") from None
            if not declaration.get("MinValue", number) <= number <= declaration.get("MaxValue", number):
                raise TemplateError(f"parameter {name}={text} is out of its range")
            return number
        case "CommaDelimitedList":
            return [item.strip() for item in text.split(",") if item.strip()]
        case _:
            return text


def _point_code_at_working_tree(source: dict[str, Any], folder: Path) -> dict[str, Path]:
    """Put a key in place of each local code folder (as `sam package` does) and read each state machine's definition."""
    directories = {}
    for logical_id, resource in source["Resources"].items():
        properties = resource.setdefault("Properties", {})
        code_property = _CODE_PROPERTY.get(resource["Type"])
        if code_property is not None:
            directory = folder / properties.get(code_property, ".")
            if not directory.is_dir():
                raise TemplateError(f"{logical_id}: {code_property} {directory} is not a folder")
            key = f"{logical_id}.zip"
            directories[key] = directory
            properties[code_property] = f"s3://{_CODE_BUCKET}/{key}"
        if resource["Type"] == "AWS::Serverless::StateMachine" and "DefinitionUri" in properties:
            definition = folder / properties.pop("DefinitionUri")
            if not definition.is_file():
                raise TemplateError(f"{logical_id}: DefinitionUri {definition} is not a file")
            properties["Definition"] = yaml.load(definition.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return directories
