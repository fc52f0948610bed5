"""Asks a REST API's Lambda authorizer and reads its policy.

Source: API Gateway Developer Guide, "Use API Gateway Lambda authorizers" and "Output from an API Gateway Lambda
authorizer". An authorizer that raises "Unauthorized" means 401, a policy that does not allow the method 403, anything
else is an error of the authorizer.
"""

import fnmatch
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.local.functions import Functions, PayloadTooLarge, Throttled, UnknownFunction
from tests.local.gateway_responses import Refused
from tests.local.routes import function_arn

_HEADER_SOURCE = re.compile(r"method\.request\.header\.(.+)")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Authorizer:
    """One Lambda authorizer of an OpenAPI document's security schemes."""

    def __init__(self, name: str, scheme: Mapping[str, Any]) -> None:
        """Check that the local stack can do what the scheme says.

        Raises:
            ValueError: it is not a REQUEST authorizer, or its answers are to be cached.
        """
        settings = scheme["x-amazon-apigateway-authorizer"]
        if settings["type"] != "request":
            raise ValueError(
                f"authorizer {name}: the local stack knows REQUEST authorizers only, not {settings['type']}"
            )
        if int(settings.get("authorizerResultTtlInSeconds", 300)) != 0:
            raise ValueError(f"authorizer {name}: the local stack does not cache answers; set ReauthorizeEvery to 0")
        self.name = name
        self._function_arn = function_arn(settings["authorizerUri"])
        sources = [source.strip() for source in settings.get("identitySource", "").split(",") if source.strip()]
        self._needed_headers = []
        for source in sources:
            match = _HEADER_SOURCE.fullmatch(source)
            if match is None:
                raise ValueError(
                    f"authorizer {name}: the local stack knows headers as identity sources only, not {source}"
                )
            self._needed_headers.append(match[1].lower())

    def authorize(self, functions: Functions, event: dict[str, Any]) -> dict[str, str]:
        """Ask the function; gives what goes to `requestContext.authorizer`.

        Raises:
            Refused: the caller is not known or not allowed, or the authorizer failed.
        """
        sent = {name.lower() for name, value in event["headers"].items() if value}
        if not set(self._needed_headers) <= sent:
            raise Refused("UNAUTHORIZED", "Unauthorized")
        try:
            invocation = functions.invoke(self._function_arn, json.dumps(event).encode())
        except (Throttled, PayloadTooLarge, UnknownFunction) as error:
            raise Refused("AUTHORIZER_CONFIGURATION_ERROR", None) from error
        document = json.loads(invocation.payload)
        if invocation.error is not None:
            if document.get("errorMessage") == "Unauthorized":
                raise Refused("UNAUTHORIZED", "Unauthorized")
            raise Refused("AUTHORIZER_CONFIGURATION_ERROR", None)
        return _evaluate(document, event["methodArn"])


def _evaluate(document: Any, method_arn: str) -> dict[str, str]:
    try:
        principal, statements = document["principalId"], _as_list(document["policyDocument"]["Statement"])
        effects = {statement["Effect"] for statement in statements if _applies(statement, method_arn)}
        context = {name: _text(value) for name, value in (document.get("context") or {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("AUTHORIZER_CONFIGURATION_ERROR", None) from error
    if "Deny" in effects:
        denied = "User is not authorized to access this resource with an explicit deny"
        raise Refused("ACCESS_DENIED", denied, authorizer=context)
    if "Allow" not in effects:
        raise Refused("ACCESS_DENIED", "User is not authorized to access this resource", authorizer=context)
    return {**context, "principalId": str(principal)}


def _applies(statement: Mapping[str, Any], method_arn: str) -> bool:
    if "Condition" in statement:
        raise ValueError("the local stack does not know conditions in an authorizer's policy")
    actions = [str(action).lower() for action in _as_list(statement["Action"])]
    is_invoke = any(fnmatch.fnmatchcase("execute-api:invoke", action) for action in actions)
    # Only * and ? are special in a policy, while brackets are to fnmatch.
    patterns = [str(pattern).replace("[", "[[]") for pattern in _as_list(statement["Resource"])]
    return is_invoke and any(fnmatch.fnmatchcase(method_arn, pattern) for pattern in patterns)


def _text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            raise ValueError("an authorizer's context holds text, numbers and truth values only")
