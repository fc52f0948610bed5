"""CloudFormation's functions and conditions, over parameters and the resources deployed so far.

Source: AWS CloudFormation User Guide, "Intrinsic function reference" and "Rules".
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.local.template import Template, TemplateError

NO_VALUE = object()
"""What `AWS::NoValue` resolves to: the property or list item around it is left out."""

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


class Resolver:
    """Resolves template values; the deployer fills in `physical_ids` and `attributes` as it goes."""

    def __init__(self, template: Template, pseudo_parameters: Mapping[str, str]) -> None:
        self._template = template
        self._values: dict[str, Any] = {**template.parameters, **pseudo_parameters}
        self._conditions: dict[str, bool] = {}
        self.physical_ids: dict[str, str] = {}
        self.attributes: dict[str, dict[str, Any]] = {}
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self.condition,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda a: str(a[0]).join(str(item) for item in self.resolve(a[1])),
            "Fn::If": lambda a: self.resolve(a[1] if self.condition(a[0]) else a[2]),
            "Fn::Select": lambda a: self.resolve(a[1])[int(self.resolve(a[0]))],
            "Fn::Split": lambda a: str(self.resolve(a[1])).split(a[0]),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": lambda a: base64.b64encode(str(self.resolve(a)).encode()).decode(),
            "Fn::Equals": lambda a: str(self.resolve(a[0])) == str(self.resolve(a[1])),
            "Fn::Not": lambda a: not self.resolve(a[0]),
            "Fn::And": lambda a: all(self.resolve(item) for item in a),
            "Fn::Or": lambda a: any(self.resolve(item) for item in a),
            "Fn::Contains": lambda a: str(self.resolve(a[1])) in [str(item) for item in self.resolve(a[0])],
        }

    def condition(self, name: str) -> bool:
        """The truth of a named condition of the template."""
        if name not in self._conditions:
            if name not in self._template.conditions:
                raise TemplateError(f"condition {name} is not declared")
            self._conditions[name] = bool(self.resolve(self._template.conditions[name]))
        return self._conditions[name]

    def check_rules(self) -> None:
        """Raise TemplateError if an assertion of the template's Rules does not hold for these parameters."""
        for name, rule in self._template.rules.items():
            if "RuleCondition" in rule and not self.resolve(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.resolve(assertion["Assert"]):
                    raise TemplateError(
                        f"rule {name}: {assertion.get('AssertDescription', 'its assertion does not hold')}"
                    )

    def resolve(self, value: Any) -> Any:
        """The value with every function in it replaced by its result."""
        match value:
            case list():
                return [item for item in map(self.resolve, value) if item is not NO_VALUE]
            case dict():
                if len(value) == 1:
                    name, argument = next(iter(value.items()))
                    # A policy statement has a member called Condition too: a mapping, where a reference is a name.
                    if name in self._functions and not (name == "Condition" and not isinstance(argument, str)):
                        return self._functions[name](argument)
                    if name.startswith("Fn::"):
                        raise TemplateError(
                            f"function {name} is unknown to the local stack: teach it to tests/local/intrinsics.py"
                        )
                resolved = {name: self.resolve(item) for name, item in value.items()}
                return {name: item for name, item in resolved.items() if item is not NO_VALUE}
            case _:
                return value

    def references(self, value: Any) -> set[str]:
        """Logical ids of the resources that a value needs to be there."""
        found: set[str] = set()
        if isinstance(value, list):
            return found.union(*map(self.references, value))
        if not isinstance(value, dict):
            return found
        for name, argument in value.items():
            if name == "Ref":
                found.add(argument)
            elif name == "Fn::GetAtt":
                found.add(argument[0] if isinstance(argument, list) else argument.split(".", 1)[0])
            elif name == "Fn::Sub":
                text, own = (argument, {}) if isinstance(argument, str) else argument
                names = {match[2].split(".", 1)[0] for match in _PLACEHOLDER.finditer(text) if not match[1]}
                found |= (names - set(own)) | self.references(own)
            elif name == "Fn::If":
                found |= self.references(argument[1] if self.condition(argument[0]) else argument[2])
            else:
                found |= self.references(argument)
        return {name for name in found if name in self._template.resources}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._values:
            return self._values[name]
        if name in self.physical_ids:
            return self.physical_ids[name]
        raise TemplateError(f"Ref {name}: there is no such parameter, nor a resource deployed by that name")

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        known = self.attributes.get(logical_id, {})
        if attribute not in known:
            names = ", ".join(sorted(known)) or "no attribute"
            raise TemplateError(f"GetAtt {logical_id}.{attribute}: the local stack knows {names} of it")
        return known[attribute]

    def _sub(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        values = {name: self.resolve(item) for name, item in own.items()}

        def substitute(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return "${" + name + "}"
            if name in values:
                return str(values[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(substitute, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self.resolve(item) for item in argument[:3])
        try:
            return self._template.mappings[name][first][second]
        except KeyError:
            raise TemplateError(f"FindInMap: mapping {name} has no value for {first}, {second}") from None
