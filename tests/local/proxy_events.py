"""The events that a REST API sends to functions: Lambda proxy (payload 1.0) and REQUEST authorizer.

Sources: API Gateway Developer Guide, "Input format of a Lambda function for proxy integration" and "Input to an API
Gateway Lambda authorizer"; what the guide leaves open follows payloads recorded from AWS (see `routes.py`): the path
is as it was sent, query parameters are decoded and the last of several counts, whatever is empty is null.
"""

import base64
import datetime as dt
import hashlib
import re
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tests.local.aws import ACCOUNT_ID, REGION
from tests.local.http_messages import Request
from tests.local.routes import Match

_NOT_FORWARDED = {"connection", "expect", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}


def _single_and_multi(pairs: list[tuple[str, str]]) -> tuple[dict[str, str] | None, dict[str, list[str]] | None]:
    single: dict[str, str] = {}
    multi: dict[str, list[str]] = {}
    for name, value in pairs:
        single[name] = value
        multi.setdefault(name, []).append(value)
    return single or None, multi or None


def _headers(request: Request) -> list[tuple[str, str]]:
    host = request.headers.get("host", "localhost")
    added = {
        "X-Amzn-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}",
        "X-Forwarded-For": ", ".join([*request.headers.all("x-forwarded-for"), request.source_ip]),
        "X-Forwarded-Port": host.rpartition(":")[2] if ":" in host else "80",
        "X-Forwarded-Proto": "http",
    }
    own = {name.lower() for name in added}
    sent = [(name, value) for name, value in request.headers.fields if name.lower() not in _NOT_FORWARDED | own]
    return [*sent, *added.items()]


def proxy_event(
    request: Request, match: Match, *, api_id: str, stage: str, request_id: str, is_binary: Callable[[str], bool]
) -> dict[str, Any]:
    """The event of a Lambda proxy integration, without what an authorizer adds."""
    headers, multi_headers = _single_and_multi(_headers(request))
    query, multi_query = _single_and_multi(parse_qsl(request.query, keep_blank_values=True))
    binary = bool(request.body) and is_binary(request.headers.get("content-type", ""))
    body = base64.b64encode(request.body).decode() if binary else request.body.decode("utf-8", "replace")
    return {
        "resource": match.route.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": multi_query,
        # Greedy or not, a slash at the end of the path is not part of a parameter.
        "pathParameters": match.path_parameters or None,
        "stageVariables": None,
        "requestContext": _request_context(request, match, api_id, stage, request_id),
        "body": body or None,
        "isBase64Encoded": binary,
    }


def authorizer_event(event: dict[str, Any], *, api_id: str, stage: str) -> dict[str, Any]:
    """The event of a REQUEST authorizer: the same without the body, and with empty mappings in place of nulls."""
    path = event["path"].lstrip("/")
    shared = ("resource", "path", "httpMethod", "headers", "multiValueHeaders", "requestContext")
    emptied = ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables")
    return {
        "type": "REQUEST",
        "methodArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{api_id}/{stage}/{event['httpMethod']}/{path}",
        **{name: event[name] for name in shared},
        **{name: event[name] or {} for name in emptied},
    }


def _request_context(request: Request, match: Match, api_id: str, stage: str, request_id: str) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    host = request.headers.get("host", "localhost")
    nobody = (
        "accessKey",
        "accountId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
    return {
        "accountId": ACCOUNT_ID,
        "apiId": api_id,
        "deploymentId": "local",
        "domainName": re.sub(r":\d+$", "", host),
        "domainPrefix": api_id,
        "extendedRequestId": request_id.replace("-", "")[:15] + "=",
        "httpMethod": request.method,
        "identity": {
            **dict.fromkeys(nobody),
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent"),
        },
        "path": f"/{stage}{request.path}",
        "protocol": "HTTP/1.1",
        "requestId": request_id,
        "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(now.timestamp() * 1000),
        "resourceId": hashlib.sha256(match.route.resource.encode()).hexdigest()[:6],
        "resourcePath": match.route.resource,
        "stage": stage,
    }
