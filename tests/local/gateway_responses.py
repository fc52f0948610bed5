"""What a REST API itself answers: gateway responses, with the template's own texts and headers where it has them.

Source: API Gateway Developer Guide, "Gateway responses in API Gateway" and "Gateway response types".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.local.http_messages import Answer, Headers, Request

_DEFAULT_STATUS = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
_PLAIN_TEMPLATES = {"application/json": '{"message":$context.error.messageString}'}
_NAME = r"context(?:\.[A-Za-z0-9_-]+)+|stageVariables\.[A-Za-z0-9_]+"
_VARIABLE = re.compile(rf"\$(?:\{{({_NAME})\}}|({_NAME}))")
_SERVER_ERROR = 500


class Refused(Exception):
    """The gateway answers by itself: with this kind of gateway response."""

    def __init__(
        self, kind: str, message: str | None, status: int | None = None, authorizer: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        """The status where it is not the kind's default (502 of a function that failed)."""
        self.authorizer = authorizer or {}
        """The context of an authorizer's policy that denies: `$context.authorizer` of the gateway response."""


@dataclass(frozen=True)
class GatewayResponses:
    """The gateway responses of one REST API: `x-amazon-apigateway-gateway-responses` of its document."""

    declared: Mapping[str, Any]

    def __post_init__(self) -> None:
        for kind, response in self.declared.items():
            if kind not in _DEFAULT_STATUS:
                raise ValueError(f"there is no gateway response {kind}; there are {', '.join(_DEFAULT_STATUS)}")
            for target in response.get("responseParameters", {}):
                if not target.startswith("gatewayresponse.header."):
                    raise ValueError(f"gateway response {kind}: {target} is not a header")

    def answer(self, refused: Refused, request: Request, context: Mapping[str, Any]) -> Answer:
        """The answer for a refusal; `context` has the members of `$context` that templates may name."""
        status = refused.status or _DEFAULT_STATUS[refused.kind]
        response = self.declared.get(refused.kind)
        if response is None:
            response = self.declared.get("DEFAULT_5XX" if status >= _SERVER_ERROR else "DEFAULT_4XX", {})
        status = int(response.get("statusCode") or status)
        variables = {
            **_flat("context", context),
            **_flat("context.authorizer", refused.authorizer),
            "context.error.message": refused.message,
            "context.error.messageString": json.dumps(refused.message),
            "context.error.responseType": refused.kind,
            "context.error.validationErrorString": None,
        }
        media_type, template = _template(response.get("responseTemplates") or _PLAIN_TEMPLATES, request)
        fields = [("Content-Type", media_type), ("x-amzn-ErrorType", _error_type(refused.kind))]
        for target, source in response.get("responseParameters", {}).items():
            value = _header_value(source, request, variables)
            if value is not None:
                name = target.removeprefix("gatewayresponse.header.")
                fields = [field for field in fields if field[0].lower() != name.lower()]
                fields.append((name, value))
        return Answer(status, Headers(fields), _render(template, variables).encode())


def _template(templates: Mapping[str, str], request: Request) -> tuple[str, str]:
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept", "").split(",")]
    for media_type in accepted:
        if media_type in templates:
            return media_type, templates[media_type]
    if "application/json" in templates:
        return "application/json", templates["application/json"]
    return next(iter(templates.items()))


def _render(template: str, variables: Mapping[str, Any]) -> str:
    """Gateway responses know variables only, none of the template language's commands."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match[1] or match[2])
        return "" if known is None else str(known)

    return _VARIABLE.sub(value, template)


def _header_value(source: str, request: Request, variables: Mapping[str, Any]) -> str | None:
    if source.startswith("'") and source.endswith("'"):
        return source[1:-1]
    if source.startswith("method.request.header."):
        return request.headers.get(source.removeprefix("method.request.header."))
    if source.startswith("context."):
        value = variables.get(source)
        return None if value is None else str(value)
    raise ValueError(f"the local stack does not know the source {source} of a gateway response's header")


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {name: item for key, inner in value.items() for name, item in _flat(f"{prefix}.{key}", inner).items()}


def _error_type(kind: str) -> str:
    if kind == "DEFAULT_5XX":
        return "InternalServerErrorException"
    return "".join(word.capitalize() for word in kind.split("_")) + "Exception"
