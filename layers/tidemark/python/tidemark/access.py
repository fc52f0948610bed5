"""What the authorizer of the REST API answers: whose key came, and may it do this for the tenant or in the environment?

Source: API Gateway Developer Guide, "Output from an API Gateway Lambda authorizer"; the dialects' tables of routes for
what a key needs.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from tidemark import web
from tidemark.dialects.cloudca import routes as cloudca
from tidemark.dialects.ngsi import routes as ngsi
from tidemark.dialects.wire import Request
from tidemark.domain.api_key import ApiKey
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.tenant import DEFAULT_TENANT, parse_tenant
from tidemark.errors import EnvironmentNotFound, InvalidRequest, Unauthorized
from tidemark.ports import Ports
from tidemark.telemetry import ENVIRONMENT, KEY_ID, METHOD, ROUTE, TENANT, logger
from tidemark.usecases.keys import authenticate

KEY_HEADERS: Final = ("x-api-key", "mc-api-key")
# A path may hold what policies give a meaning to, such as * and ${; one character of any kind stands for each of those.
_UNSAFE_IN_ARN: Final = re.compile(r"[^A-Za-z0-9/_.:%~@,=-]")
# What the gateway's answer says, in which both are put as they are: neither a double quote nor a backslash may be in a
# sentence. The code tells a key that is none from one that does not do, where the status is the same.
_REFUSAL, _CODE = "refusal", "code"


class NoKey(Exception):
    """No usable key came, which the gateway is to answer with 401."""


def policy_of(ports: Ports, event: web.Event) -> dict[str, Any]:
    """An IAM policy for the called method alone; its context tells the functions what was checked.

    Raises NoKey, but where 401 is no answer: there the policy denies.
    """
    about_environment = cloudca.serves(web.place_of(event))
    try:
        key = authenticate(ports, credential(event))
    except Unauthorized:
        logger().info("no usable key", extra={METHOD: event["httpMethod"], ROUTE: event["resource"]})
        if not about_environment:
            raise NoKey from None
        said = "The API key is missing, unknown or expired; send one in the header MC-Api-Key."
        return _policy(event, None, allowed=False, told=_said(HTTPStatus.UNAUTHORIZED, said))
    return _in_environment(event, key) if about_environment else _for_tenant(event, key)


def credential(event: web.Event) -> str | None:
    """The API key in a request: `Authorization: Bearer`, `X-Api-Key` or `MC-Api-Key`, the first that is there."""
    headers = web.headers_of(event)
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next((headers[name].strip() for name in KEY_HEADERS if headers.get(name)), None)


def _for_tenant(event: web.Event, key: ApiKey) -> dict[str, Any]:
    try:
        tenant = parse_tenant(web.tenant_name(event))
    except InvalidRequest:
        # The function answers 400 to such a name; without a tenant in the context it can do nothing else.
        return _policy(event, key, allowed=True, told={})
    if key.allows(tenant, ngsi.action(event["httpMethod"], event["resource"])):
        return _policy(event, key, allowed=True, told={TENANT: tenant})
    said = "The API key is not for this tenant or not for this action."
    return _refused(event, key, said, {TENANT: tenant})


def _in_environment(event: web.Event, key: ApiKey) -> dict[str, Any]:
    method, route = event["httpMethod"], event["resource"]
    try:
        environment = _environment(event)
    except (EnvironmentNotFound, InvalidRequest):
        # The function says what is wrong with the name; without an environment in the context it can do nothing else.
        environment = None
    named = {} if environment is None else {ENVIRONMENT: str(environment)}
    if cloudca.permits(key, method, route, environment):
        return _policy(event, key, allowed=True, told=named)
    said = "The API key is not for this environment or not for this action."
    return _refused(event, key, said, named)


def _environment(event: web.Event) -> EnvironmentId | None:
    if not cloudca.of_environment(event["resource"]):
        return None
    from tidemark.dialects.cloudca.requests import environment_in  # noqa: PLC0415 - few requests are about environments

    request = Request(event["httpMethod"], event["resource"], event["path"], DEFAULT_TENANT, "")
    return environment_in(request)


def _refused(event: web.Event, key: ApiKey, said: str, about: Mapping[str, str]) -> dict[str, Any]:
    described = {METHOD: event["httpMethod"], ROUTE: event["resource"], KEY_ID: key.id[:12]}
    logger().info("key not made for this", extra={**described, **about})
    return _policy(event, key, allowed=False, told={**_said(HTTPStatus.FORBIDDEN, said), **about})


def _said(code: HTTPStatus, sentence: str) -> dict[str, str]:
    return {_REFUSAL: sentence, _CODE: str(int(code))}


def _policy(event: web.Event, key: ApiKey | None, *, allowed: bool, told: Mapping[str, str]) -> dict[str, Any]:
    """Leave or no leave for the called method and path, and the context for the function or the gateway's answer."""
    context: dict[str, str] = {}
    if key is not None:
        context = {
            "keyId": key.id[:12],
            "tenants": key.held,
            "environments": key.held_environments,
            "actions": key.allowed,
        }
    return {
        "principalId": context.get("keyId", "unknown"),
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
        "context": {**context, **told},
    }
