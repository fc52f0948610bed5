"""The API in this process, as the command line reaches it: its own functions by the routes of the template, on ports in
memory. Nothing in it depends on the time of day or the speed of the machine.
"""

import contextlib
import importlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.handlers.conftest import ENVIRONMENT
from tests.handlers.rest import Context
from tests.local.http_messages import Headers, Request
from tests.local.proxy_events import proxy_event
from tests.local.routes import Route, RouteTable
from tests.repo.sources import resources
from tidemark import bootstrap
from tidemark.ports import Ports
from tidemark.web import LambdaHandler
from tidemark_cli.failures import Unreachable
from tidemark_cli.sending import Answer


class InMemory:
    """Sends requests to the functions. Its caller's key may do everything in the tenant that a request names."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Call the function of the route."""
        parts = urlsplit(url)
        request = Request(method, parts.path, parts.query, Headers(headers.items()), body or b"")
        match = _routes().find(method, parts.path)
        if match is None:
            raise Unreachable(f"template.yaml has no route {method} {parts.path}", sent=False)
        event = proxy_event(request, match, api_id="api", stage="v1", request_id="1", is_binary=lambda _: False)
        tenant = request.headers.get("fiware-service", "default")
        granted = {"keyId": "operator", "principalId": "operator", "tenants": "*", "actions": "admin", "tenant": tenant}
        granted["environments"] = "*"
        named = event["pathParameters"] or {}
        if "environmentName" in named:
            granted["environment"] = f"{named['serviceCode']}/{named['environmentName']}"
        event["requestContext"]["authorizer"] = granted
        # What a function prints is its log.
        with _environment(), bootstrap.use(self._ports), contextlib.redirect_stdout(io.StringIO()):
            answer = _handler(match.route.function_arn)(event, Context())
        told = {name.lower(): value for name, value in answer["headers"].items()}
        return Answer(answer["statusCode"], told, answer["body"].encode())

    def download(self, url: str, path: Path, arrived: Callable[[int], None]) -> tuple[int, str]:
        """There are no files."""
        del arrived
        raise Unreachable(f"{url} for {path} is not in memory", sent=False)


@cache
def _routes() -> RouteTable:
    return RouteTable(
        Route(event["Properties"]["Path"], event["Properties"]["Method"].upper(), properties["CodeUri"], None, 29)
        for properties in resources("AWS::Serverless::Function").values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    )


@cache
def _handler(code_uri: str) -> LambdaHandler:
    module: Any = importlib.import_module(f"{code_uri.strip('/').replace('/', '.')}.handler")
    handler: LambdaHandler = module.handler
    return handler


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """What the template tells functions, as far as the functions' own tests do."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
