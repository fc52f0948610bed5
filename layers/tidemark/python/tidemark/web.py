"""The entry of every function behind the REST API: from proxy event to `Request`, and from `Response` to the answer.

Routes are found by the gateway's own resource template. That needs no second router, whose import would cost more time
at a cold start than all else here.
Source: "Lambda proxy integrations in API Gateway", input and output format 1.0.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from tidemark import bootstrap
from tidemark.dialects.ngsi import errors as ngsi_errors
from tidemark.dialects.ngsi.routes import OPEN, refusal
from tidemark.dialects.wire import Request, Response
from tidemark.domain.api_key import ApiKey
from tidemark.domain.tenant import DEFAULT_TENANT, Tenant, parse_tenant
from tidemark.errors import (
    AnswerTooLarge,
    Corrupt,
    Forbidden,
    InvalidRequest,
    MalformedBody,
    TidemarkError,
    Unauthorized,
)
from tidemark.ports import Ports
from tidemark.telemetry import (
    CORRELATION_ID,
    COUNT,
    DIALECT,
    DURATION_MS,
    ERROR_CODE,
    KEY_ID,
    METHOD,
    MILLISECONDS,
    RESTORE_ID,
    ROUTE,
    SCHEDULE_ID,
    SNAPSHOT_ID,
    STATUS,
    TENANT,
    log_context,
    logger,
    measure,
    report_damage,
)

KEY_HEADERS: Final = ("x-api-key", "mc-api-key")
TENANT_HEADERS: Final = ("fiware-service", "ngsild-tenant")
CORRELATOR: Final = "Fiware-Correlator"
# What Lambda lets through is 6 MiB of the answer as JSON, in which the body is a string with its quotes escaped.
MAX_ANSWER_BYTES: Final = 6 * 1024 * 1024 - 16_384
_CORRELATION: Final = re.compile(r"[A-Za-z0-9._:;=/+ -]{1,128}")
# A path may hold what policies give a meaning to, such as * and ${; one character of any kind stands for each of those.
_UNSAFE_IN_ARN: Final = re.compile(r"[^A-Za-z0-9/_.:%~@,=-]")
_LOGGED_PARAMETERS: Final = {
    "{snapshotId}": SNAPSHOT_ID,
    "{restoreId}": RESTORE_ID,
    "{scheduleId}": SCHEDULE_ID,
}

type Route = Callable[[Ports, Request], Response]
type Event = Mapping[str, Any]
type LambdaHandler = Callable[[Event, object], dict[str, Any]]


def handler(routes: Mapping[str, Route]) -> LambdaHandler:
    """The Lambda entry that serves `routes`, keyed by method and resource template: `"GET /v2/snapshots/{snapshotId}"`.

    Whatever a route raises becomes an NGSIv2 error; what none of them serves, 404 or 405. Nothing is served without the
    authorizer's word for the tenant, but the routes of `OPEN`: these serve everybody, as the default tenant, which they
    are not to look at.
    """
    if not routes.keys() <= OPEN:
        bootstrap.prepare()

    def handle(event: Event, context: object) -> dict[str, Any]:
        started_s = time.perf_counter()
        correlation_id = _correlation_id(event, context)
        with log_context(**{CORRELATION_ID: correlation_id, DIALECT: "ngsi"}):
            seen: dict[str, str] = {}
            try:
                response = _answer(routes, event, correlation_id, seen)
                answer = _rendered(response, correlation_id)
            except Exception as error:  # noqa: BLE001 - the edge: whatever goes wrong, the caller gets an answer
                seen[ERROR_CODE] = type(error).__name__
                response = ngsi_errors.render(error, correlation_id)
                answer = _rendered(response, correlation_id)
                _log_failure(error, response.status, seen)
            _log_request(event, response.status, 1000 * (time.perf_counter() - started_s), seen)
            return answer

    return handle


def tenant_name(event: Event) -> str | None:
    """The tenant that a proxy or authorizer event names, as it came. Both ask here, so both see the same one."""
    headers = headers_of(event)
    return next((headers[name] for name in TENANT_HEADERS if headers.get(name)), None)


def headers_of(event: Event) -> dict[str, str]:
    """The headers of a proxy or authorizer event, with lower-cased names."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def credential(event: Event) -> str | None:
    """The API key in a request: `Authorization: Bearer`, `X-Api-Key` or `MC-Api-Key`, the first that is there."""
    headers = headers_of(event)
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next((headers[name].strip() for name in KEY_HEADERS if headers.get(name)), None)


def policy(event: Event, *, allowed: bool, tenant: Tenant | None, key: ApiKey) -> dict[str, Any]:
    """The authorizer's answer: leave or no leave for the called method and path, and the context for the function.

    `tenant` is the one that the request names and that was checked.
    """
    key_id = key.id[:12]
    context = {"keyId": key_id, "tenants": key.held, "actions": key.allowed}
    return {
        "principalId": key_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if allowed else "Deny",
                    "Resource": _UNSAFE_IN_ARN.sub("?", event["methodArn"]),
                }
            ],
        },
        "context": context if tenant is None else {**context, "tenant": tenant},
    }


def _answer(routes: Mapping[str, Route], event: Event, correlation_id: str, seen: dict[str, str]) -> Response:
    method, template = event["httpMethod"], event["resource"]
    route = routes.get(f"{method} {template}")
    if route is None:
        raise refusal(method, template)
    tenant = DEFAULT_TENANT
    if f"{method} {template}" not in OPEN:
        tenant = parse_tenant(tenant_name(event))
        seen[KEY_ID] = _check_authorised(event, tenant)
        seen[TENANT] = tenant
    request = Request(
        method=method,
        route=template,
        path=event["path"],
        tenant=tenant,
        correlation_id=correlation_id,
        headers=headers_of(event),
        query=event.get("queryStringParameters") or {},
        body=_body(event),
        held_tenants=_granted(event).get("tenants") or "",
        allowed_actions=_granted(event).get("actions") or "",
    )
    parts = template.split("/")
    seen |= {key: request.path_parameter(part[1:-1])[:100] for part, key in _LOGGED_PARAMETERS.items() if part in parts}
    with log_context(**{TENANT: tenant}):
        return route(bootstrap.ports(), request)


def _check_authorised(event: Event, tenant: Tenant) -> str:
    granted = _granted(event)
    if "tenant" not in granted:
        raise Unauthorized("send an API key: Authorization: Bearer <key>")
    if granted["tenant"] != tenant:
        raise Forbidden(f"the API key was checked for another tenant than {tenant!r}")
    return str(granted.get("keyId"))


def _granted(event: Event) -> Mapping[str, Any]:
    """The authorizer's context; empty where there was none."""
    return event["requestContext"].get("authorizer") or {}


def _body(event: Event) -> bytes:
    text = event.get("body") or ""
    try:
        return base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except UnicodeEncodeError:
        raise MalformedBody("the body is not UTF-8") from None
    except binascii.Error:
        raise InvalidRequest("the body did not arrive as base64") from None


def _correlation_id(event: Event, context: object) -> str:
    given = headers_of(event).get(CORRELATOR.lower())
    if given and _CORRELATION.fullmatch(given):
        return given
    request_id = (event.get("requestContext") or {}).get("requestId") or getattr(context, "aws_request_id", None)
    return str(request_id or "unknown")


def _rendered(response: Response, correlation_id: str) -> dict[str, Any]:
    answer = {
        "statusCode": int(response.status),
        "headers": {CORRELATOR: correlation_id, **response.headers},
        "body": response.body,
        "isBase64Encoded": False,
    }
    # A character takes at most six bytes, as \u001f does; most answers need no closer look.
    if len(response.body) * 6 > MAX_ANSWER_BYTES and _size_bytes(answer) > MAX_ANSWER_BYTES:
        raise AnswerTooLarge(
            "the answer is above 6 MB, which is all that one answer can hold; ask for fewer with limit"
        )
    return answer


def _size_bytes(answer: Mapping[str, Any]) -> int:
    """How much Lambda's runtime makes of the answer."""
    return len(json.dumps(answer, ensure_ascii=False).encode())


def _log_failure(error: Exception, status: int, seen: Mapping[str, str]) -> None:
    if isinstance(error, Corrupt):
        report_damage([error.message], **seen)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger().exception("request failed", extra={ERROR_CODE: type(error).__name__})
    elif not isinstance(error, TidemarkError) or not error.user_visible:
        logger().warning("request not served", extra={ERROR_CODE: type(error).__name__, "reason": str(error)})


def _log_request(event: Event, status: int, duration_ms: float, seen: Mapping[str, str]) -> None:
    described: dict[str, str | int] = {
        METHOD: str(event.get("httpMethod")),
        ROUTE: str(event.get("resource")),
        STATUS: int(status),
    }
    logger().info("request", extra={**described, DURATION_MS: round(duration_ms, 1), **seen})
    measure(
        {
            "Requests": (1, COUNT),
            "ServerErrors": (int(status >= HTTPStatus.INTERNAL_SERVER_ERROR), COUNT),
            "RequestDuration": (duration_ms, MILLISECONDS),
        },
        **described,
        **seen,
    )
