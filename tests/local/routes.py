"""Finds the resource and the method of a REST API that a request is for.

Sources: API Gateway Developer Guide, "Choose an API Gateway API integration type" and "Set up a proxy integration
with a proxy resource": a literal segment goes before a path variable, and that before a greedy one; `{proxy+}` does
not match an empty rest; ANY stands for the methods that a resource does not declare. A resource without the method
answers 403 MISSING_AUTHENTICATION_TOKEN, it is not looked for further. Path parameters arrive as they were sent,
percent-encoded, and a slash at the end is accepted and belongs to no parameter (recorded from AWS by LocalStack's
tests: test_lambda_aws_proxy_integration of tests/aws/services/apigateway/test_apigateway_lambda.py and its snapshot;
also github.com/serverless/serverless/issues/5037).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

ANY_METHOD = "x-amazon-apigateway-any-method"
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


@dataclass(frozen=True)
class Route:
    """One method of one resource."""

    resource: str
    method: str
    function_arn: str
    authorizer: str | None
    timeout_s: float


@dataclass(frozen=True)
class Match:
    """A route and what the path gave for its variables, percent-encoded."""

    route: Route
    path_parameters: dict[str, str]


@dataclass
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    variable: tuple[str, "_Node"] | None = None
    greedy: tuple[str, "_Node"] | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """All routes of a REST API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, path: str) -> Match | None:
        """The most specific resource for the path, if it has the method; else None."""
        segments = path.strip("/").split("/") if path.strip("/") else []
        found = _find(self._root, segments)
        if found is None:
            return None
        node, parameters = found
        route = node.routes.get(method) or (node.routes.get("ANY") if method in _METHODS else None)
        return None if route is None else Match(route, parameters)

    def __len__(self) -> int:
        return _count(self._root)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in filter(None, route.resource.split("/")):
            if segment.endswith("+}"):
                node.greedy = node.greedy or (segment[1:-2], _Node())
                node = node.greedy[1]
            elif segment.startswith("{"):
                node.variable = node.variable or (segment[1:-1], _Node())
                node = node.variable[1]
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes[route.method] = route


def _count(node: _Node) -> int:
    children = [*node.literals.values(), *(child[1] for child in (node.variable, node.greedy) if child)]
    return len(node.routes) + sum(map(_count, children))


def _find(node: _Node, segments: list[str]) -> tuple[_Node, dict[str, str]] | None:
    if not segments:
        return (node, {}) if node.routes else None
    first, rest = segments[0], segments[1:]
    literal = node.literals.get(unquote(first))
    if literal is not None and (found := _find(literal, rest)):
        return found
    if node.variable is not None and first and (found := _find(node.variable[1], rest)):
        return found[0], {node.variable[0]: first, **found[1]}
    if node.greedy is not None and node.greedy[1].routes:
        return node.greedy[1], {node.greedy[0]: "/".join(segments)}
    return None


def function_arn(uri: str) -> str:
    """The function that an integration or authorizer URI invokes."""
    return uri.split("/functions/", 1)[1].rsplit("/invocations", 1)[0]


def routes_of(document: Mapping[str, Any], default_timeout_s: float) -> list[Route]:
    """The routes of an OpenAPI document as samtranslator emits it.

    Raises:
        ValueError: an operation's integration is not a Lambda proxy.
    """
    routes = []
    for resource, operations in document.get("paths", {}).items():
        for name, operation in operations.items():
            integration = operation.get("x-amazon-apigateway-integration", {})
            if str(integration.get("type")).lower() != "aws_proxy":
                kind = integration.get("type")
                raise ValueError(f"{name} {resource}: the local stack serves Lambda proxy integrations, not {kind}")
            schemes = [scheme for requirement in operation.get("security", []) for scheme in requirement]
            routes.append(
                Route(
                    resource=resource,
                    method="ANY" if name == ANY_METHOD else name.upper(),
                    function_arn=function_arn(integration["uri"]),
                    authorizer=next((scheme for scheme in schemes if scheme != "NONE"), None),
                    timeout_s=integration.get("timeoutInMillis", default_timeout_s * 1000) / 1000,
                )
            )
    return routes
