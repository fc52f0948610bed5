"""What API Gateway answers by itself has the members that clients of every dialect look for."""

import json
import re
from typing import Any

import pytest

from tests.repo.sources import resources

(API,) = resources("AWS::Serverless::Api").values()
RESPONSES: dict[str, dict[str, Any]] = API["GatewayResponses"]
EXPECTED_STATUS = {
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "INTEGRATION_TIMEOUT": 504,
    "INTEGRATION_FAILURE": 502,
}


def _body(name: str) -> dict[str, Any]:
    template = RESPONSES[name]["ResponseTemplates"]["application/json"]
    # API Gateway puts a quoted string in place of the variable.
    # And the authorizer's sentence as it is, inside of quotes.
    told = template.replace("$context.authorizer.refusal", "a refusal").replace("$context.authorizer.code", "401")
    body: dict[str, Any] = json.loads(told.replace("$context.error.messageString", '"a message"'))
    return body


@pytest.mark.parametrize("name", RESPONSES)
def test_gateway_response_speaks_every_dialect(name: str) -> None:
    body = _body(name)
    assert list(body) in (
        ["error", "description", "errors", "type", "title", "status", "detail"],
        ["error", "description", "errors", "type", "title", "detail"],
    )
    (one,) = body["errors"]
    assert set(one) == {"code", "errorCode", "message", "context"}
    assert one["errorCode"] == str(one["code"])
    assert body["description"] == body["detail"] == one["message"]
    assert re.fullmatch(r"[A-Z][A-Za-z]+", body["error"])


@pytest.mark.parametrize("name", RESPONSES)
def test_gateway_response_says_the_status_that_it_has(name: str) -> None:
    assert _body(name).get("status") == RESPONSES[name].get("StatusCode")


def test_gateway_responses_have_the_right_status_where_api_gateway_has_a_misleading_one() -> None:
    assert {name: RESPONSES[name]["StatusCode"] for name in EXPECTED_STATUS} == EXPECTED_STATUS
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= RESPONSES.keys()


@pytest.mark.parametrize("name", ["THROTTLED", "QUOTA_EXCEEDED", "INTEGRATION_TIMEOUT"])
def test_gateway_response_says_when_to_try_again(name: str) -> None:
    assert re.fullmatch(r"'\d+'", RESPONSES[name]["ResponseParameters"]["Headers"]["Retry-After"])
