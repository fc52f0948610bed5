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
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, Literal

from tidemark import bootstrap
from tidemark.dialects.cloudca.routes import serves
from tidemark.dialects.dialect import Dialect
from tidemark.dialects.wire import Request, Response
from tidemark.domain.environment import EnvironmentId, image_owner
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
    ENVIRONMENT,
    ERROR_CODE,
    KEY_ID,
    METHOD,
    MILLISECONDS,
    RESTORE_ID,
    ROUTE,
    SCHEDULE_ID,
    SNAPSHOT_ID,
    STATUS,
    TASK_ID,
    TENANT,
    VOLUME_ID,
    log_context,
    logger,
    measure,
    report_damage,
)

TENANT_HEADERS: Final = ("fiware-service", "ngsild-tenant")
CORRELATOR: Final = "Fiware-Correlator"
# What Lambda lets through is 6 MiB of the answer as JSON, in which the body is a string with its quotes escaped.
MAX_ANSWER_BYTES: Final = 6 * 1024 * 1024 - 16_384
_CORRELATION: Final = re.compile(r"[A-Za-z0-9._:;=/+ -]{1,128}")
_LOGGED_PARAMETERS: Final = {
    "{snapshotId}": SNAPSHOT_ID,
    "{restoreId}": RESTORE_ID,
    "{scheduleId}": SCHEDULE_ID,
    "{volumeId}": VOLUME_ID,
    "{taskId}": TASK_ID,
}
# Where the gateway sends what it has no template for; a prefix of it may be of another dialect than the function.
_ANYTHING: Final = "/{proxy+}"

type Route = Callable[[Ports, Request], Response]
type Event = Mapping[str, Any]
type DialectName = Literal["ngsi", "cloudca"]
type LambdaHandler = Callable[[Event, object], dict[str, Any]]


def handler(routes: Mapping[str, Route], *, dialect: DialectName = "ngsi") -> LambdaHandler:
    """The Lambda entry that serves `routes`, keyed by method and resource template: `"GET /v2/snapshots/{snapshotId}"`.

    Whatever a route raises becomes an error of the dialect; what none of them serves, 404 or 405: of a function without
    routes in the dialect that the path is of. Nothing is served without the authorizer's word for the tenant or
    environment, but the dialect's open routes: these serve everybody, as the default tenant, which they are not to look
    at.
    """
    own = _named(dialect)
    if not routes.keys() <= own.open_routes:
        bootstrap.prepare()

    def handle(event: Event, context: object) -> dict[str, Any]:
        started_s = time.perf_counter()
        correlation_id = _correlation_id(event, context)
        spoken = own if routes else _named("cloudca" if serves(place_of(event)) else "ngsi")
        with log_context(**{CORRELATION_ID: correlation_id, DIALECT: spoken.name}):
            seen: dict[str, str] = {}
            try:
                response = _answer(spoken, routes, event, correlation_id, seen)
                answer = _rendered(response, correlation_id)
            except Exception as error:  # noqa: BLE001 - the edge: whatever goes wrong, the caller gets an answer
                seen[ERROR_CODE] = type(error).__name__
                response = spoken.render(error, correlation_id)
                answer = _rendered(response, correlation_id)
                _log_failure(error, response.status, seen)
            _log_request(event, response.status, 1000 * (time.perf_counter() - started_s), seen)
            return answer

    return handle


def _named(dialect: DialectName) -> Dialect:
    """The dialect, loaded when a function asks for it: most serve one alone."""
    if dialect == "cloudca":
        from tidemark.dialects.cloudca.dialect import CLOUDCA  # noqa: PLC0415 - see above

        return CLOUDCA
    from tidemark.dialects.ngsi.dialect import NGSI  # noqa: PLC0415 - see above

    return NGSI


def place_of(event: Event) -> str:
    """The template that a proxy or authorizer event was matched with; the path where that is the one for everything,
    without the base path of a custom domain.
    """
    if event.get("resource") != _ANYTHING:
        return str(event.get("resource"))
    proxy = (event.get("pathParameters") or {}).get("proxy")
    return str(event.get("path")) if proxy is None else f"/{proxy}"


def tenant_name(event: Event) -> str | None:
    """The tenant that a proxy or authorizer event names, as it came. Both ask here, so both see the same one."""
    headers = headers_of(event)
    return next((headers[name] for name in TENANT_HEADERS if headers.get(name)), None)


def headers_of(event: Event) -> dict[str, str]:
    """The headers of a proxy or authorizer event, with lower-cased names."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _answer(
    dialect: Dialect, routes: Mapping[str, Route], event: Event, correlation_id: str, seen: dict[str, str]
) -> Response:
    method, template = event["httpMethod"], event["resource"]
    route = routes.get(f"{method} {template}")
    if route is None:
        raise dialect.refusal(method, template)
    request = Request(
        method=method,
        route=template,
        path=event["path"],
        tenant=DEFAULT_TENANT,
        correlation_id=correlation_id,
        headers=headers_of(event),
        query=event.get("queryStringParameters") or {},
        held_tenants=_granted(event).get("tenants") or "",
        held_environments=_granted(event).get("environments") or "",
        allowed_actions=_granted(event).get("actions") or "",
    )
    about: dict[str, str] = {}
    if f"{method} {template}" not in dialect.open_routes:
        request, about = _scoped(dialect, event, request)
        seen[KEY_ID] = str(_granted(event).get("keyId"))
        seen |= about
    request = replace(request, body=_body(event))
    parts = template.split("/")
    seen |= {key: request.path_parameter(part[1:-1])[:100] for part, key in _LOGGED_PARAMETERS.items() if part in parts}
    with log_context(**about):
        return route(bootstrap.ports(), request)


def _scoped(dialect: Dialect, event: Event, request: Request) -> tuple[Request, dict[str, str]]:
    """The request with the tenant or environment that it is about, which the authorizer has checked; and what logs say
    of that.
    """
    granted = _granted(event)
    if dialect.environment is None:
        tenant = parse_tenant(tenant_name(event))
        _check_granted(granted, "tenant", tenant)
        return replace(request, tenant=tenant), {TENANT: tenant}
    if "environments" not in granted:
        raise Unauthorized("send an API key in the header MC-Api-Key")
    environment = dialect.environment(request)
    if environment is None:
        return request, {}
    _check_granted(granted, "environment", environment)
    return replace(request, environment=environment, tenant=image_owner(environment)), {ENVIRONMENT: environment}


def _check_granted(granted: Mapping[str, Any], kind: str, name: Tenant | EnvironmentId) -> None:
    if kind not in granted:
        raise Unauthorized("send an API key: Authorization: Bearer <key>")
    if granted[kind] != name:
        raise Forbidden(f"the API key was checked for another {kind} than {name!r}")


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
