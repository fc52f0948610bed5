"""Behaves as an API Gateway REST API, from the OpenAPI document that samtranslator makes of the template.

It is served at the root of the local address, where AWS has the stage's name before the path. Sources: API Gateway
Developer Guide, "Lambda proxy integrations in API Gateway", "Quotas" and "Important notes" (header fields).
"""

import base64
import binascii
import concurrent.futures
import fnmatch
import json
import uuid
from typing import Any

from tests.local.authorizers import Authorizer
from tests.local.functions import Functions, Invocation, PayloadTooLarge, Throttled
from tests.local.gateway_responses import GatewayResponses, Refused
from tests.local.http_messages import Answer, Headers, Request
from tests.local.proxy_events import authorizer_event, proxy_event
from tests.local.routes import Match, RouteTable, routes_of
from tests.local.spec import ApiSpec

MAX_BODY_BYTES = 10 * 1024 * 1024
INTEGRATION_TIMEOUT_S = 29.0
_THREADS = 64
_ANSWER_MEMBERS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
_REMAPPED = {
    "connection",
    "content-length",
    "date",
    "host",
    "server",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "www-authenticate",
}


class RestApi:
    """Answers requests as the deployed REST API would."""

    def __init__(
        self, spec: ApiSpec, functions: Functions, *, integration_timeout_s: float = INTEGRATION_TIMEOUT_S
    ) -> None:
        """Read the document.

        Raises:
            ValueError: it has something that this gateway does not do.
        """
        document = spec.document
        self._spec = spec
        self._functions = functions
        self.routes = routes_of(document, integration_timeout_s)
        self._table = RouteTable(self.routes)
        self._responses = GatewayResponses(document.get("x-amazon-apigateway-gateway-responses", {}))
        schemes = document.get("components", {}).get("securitySchemes") or document.get("securityDefinitions") or {}
        self._authorizers = {
            name: Authorizer(name, scheme)
            for name, scheme in schemes.items()
            if "x-amazon-apigateway-authorizer" in scheme
        }
        self._binary_types = list(document.get("x-amazon-apigateway-binary-media-types", []))
        self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="integration")

    def close(self) -> None:
        """End the threads of requests under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def handle(self, request: Request) -> Answer:
        """Answer a request. Never raises."""
        request_id = str(uuid.uuid4())
        context: dict[str, Any] = {
            "apiId": self._spec.api_id,
            "httpMethod": request.method,
            "path": f"/{self._spec.stage}{request.path}",
            "requestId": request_id,
            "extendedRequestId": request_id,
            "stage": self._spec.stage,
            "identity": {"sourceIp": request.source_ip, "userAgent": request.headers.get("user-agent")},
        }
        try:
            answer = self._integrate(request, request_id, context)
        except Refused as refused:
            answer = self._responses.answer(refused, request, context)
        body = b"" if request.method == "HEAD" else answer.body
        return Answer(answer.status, Headers([*answer.headers.fields, ("x-amzn-RequestId", request_id)]), body)

    def _integrate(self, request: Request, request_id: str, context: dict[str, Any]) -> Answer:
        match = self._table.find(request.method, request.path)
        if match is None:
            raise Refused("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
        context["resourcePath"] = match.route.resource
        if len(request.body) > MAX_BODY_BYTES:
            raise Refused("REQUEST_TOO_LARGE", "Request Entity Too Large")
        event = proxy_event(
            request,
            match,
            api_id=self._spec.api_id,
            stage=self._spec.stage,
            request_id=request_id,
            is_binary=self._is_binary,
        )
        if match.route.authorizer is not None:
            question = authorizer_event(event, api_id=self._spec.api_id, stage=self._spec.stage)
            allowed = self._authorizers[match.route.authorizer].authorize(self._functions, question)
            event["requestContext"]["authorizer"] = {**allowed, "integrationLatency": 0}
            context["authorizer"] = allowed
        invocation = self._invoke(match, json.dumps(event).encode())
        if invocation.error is not None:
            raise _bad_gateway()
        return self._answer(invocation.payload, request)

    def _invoke(self, match: Match, event: bytes) -> Invocation:
        pending = self._pool.submit(self._functions.invoke, match.route.function_arn, event)
        try:
            return pending.result(match.route.timeout_s)
        except concurrent.futures.TimeoutError:
            raise Refused("INTEGRATION_TIMEOUT", "Endpoint request timed out") from None
        except PayloadTooLarge as error:
            raise Refused("REQUEST_TOO_LARGE", "Request Entity Too Large") from error
        except Throttled as error:
            # AWS hides that it is Lambda which throttles: repost.aws/knowledge-center/api-gateway-internal-server-error
            raise Refused("DEFAULT_5XX", "Internal server error") from error

    def _is_binary(self, media_type: str) -> bool:
        plain = media_type.split(";", maxsplit=1)[0].strip().lower()
        return any(fnmatch.fnmatchcase(plain, pattern.lower()) for pattern in self._binary_types)

    def _answer(self, payload: bytes, request: Request) -> Answer:
        try:
            document = json.loads(payload)
            if not set(document) <= _ANSWER_MEMBERS:
                raise _bad_gateway()
            status = int(document["statusCode"])
            fields = _fields(document)
            body = document.get("body")
            if not isinstance(body, str | None):
                raise _bad_gateway()
            content = (body or "").encode()
            accepts = request.headers.get("accept", "").split(",")[0]
            if document.get("isBase64Encoded") and self._is_binary(accepts):
                content = base64.b64decode(content, validate=True)
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise _bad_gateway() from error
        if not any(name.lower() == "content-type" for name, _ in fields):
            fields.append(("Content-Type", "application/json"))
        return Answer(status, Headers(fields), content)


def _fields(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Header fields of a function's answer; the multi-value ones go before the single ones of the same name."""
    multi = {
        name: list(map(_header_text, values)) for name, values in (document.get("multiValueHeaders") or {}).items()
    }
    single = {name: _header_text(value) for name, value in (document.get("headers") or {}).items()}
    fields = [(name, value) for name, values in multi.items() for value in values]
    fields += [(name, value) for name, value in single.items() if value not in multi.get(name, [])]
    return [(f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED else name, value) for name, value in fields]


def _header_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError("a header's value is a text, a number or a truth value")


def _bad_gateway() -> Refused:
    """A function that failed, or whose answer has not the form of a proxy answer."""
    return Refused("DEFAULT_5XX", "Internal server error", 502)
