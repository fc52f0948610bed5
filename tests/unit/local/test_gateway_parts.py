"""Routes, gateway responses and authorizers by themselves: what the application does not show."""

from typing import Any

import pytest

from tests.local.authorizers import Authorizer
from tests.local.gateway_responses import GatewayResponses, Refused
from tests.local.http_messages import Headers, Request
from tests.local.routes import Route, RouteTable, routes_of

URI = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:1:function:f/invocations"


def table(*resources: str) -> RouteTable:
    lines = [resource.split(" ") for resource in resources]
    return RouteTable(Route(path, method, "f", None, 29) for method, path in lines)


@pytest.mark.parametrize(
    ("request_line", "resource"),
    [
        ("GET /v2/entities", "/v2/entities"),
        ("GET /v2/entities/x/attrs", "/v2/entities/{id}/attrs"),
        ("GET /v2/entities/x/unknown", "/{proxy+}"),
        ("GET /v2", "/{proxy+}"),
        ("GET /v2/%65ntities", "/v2/entities"),
        ("PUT /v2/entities", None),
        ("GET /", None),
    ],
)
def test_finds_resource_when_greedy_route_is_behind_the_others(request_line: str, resource: str | None) -> None:
    routes = table("GET /v2/entities", "ANY /v2/entities/{id}", "GET /v2/entities/{id}/attrs", "ANY /{proxy+}")

    match = routes.find(*request_line.split(" "))

    assert (match.route.resource if match else None) == resource


def test_prefers_declared_method_when_any_is_there_too() -> None:
    match = table("ANY /a", "GET /a").find("GET", "/a")

    assert match is not None
    assert match.route.method == "GET"


def test_refuses_document_when_an_integration_is_no_lambda_proxy() -> None:
    with pytest.raises(ValueError, match=r"get /a: .*not http_proxy"):
        routes_of({"paths": {"/a": {"get": {"x-amazon-apigateway-integration": {"type": "http_proxy"}}}}}, 29)


def answer(declared: dict[str, Any], refused: Refused, **headers: str) -> Any:
    request = Request("GET", "/a", headers=Headers(headers.items()))
    return GatewayResponses(declared).answer(refused, request, {"requestId": "r-1", "authorizer": {"tenant": "t"}})


def test_falls_back_to_default_response_when_kind_is_not_declared() -> None:
    declared = {"DEFAULT_5XX": {"responseTemplates": {"application/json": '{"id":"$context.requestId"}'}}}

    late = answer(declared, Refused("INTEGRATION_TIMEOUT", "late"))
    early = answer(declared, Refused("THROTTLED", "Too Many Requests"))

    assert (late.status, late.json()) == (504, {"id": "r-1"})
    assert (early.status, early.json()) == (429, {"message": "Too Many Requests"})


def test_takes_status_of_default_response_when_it_has_one() -> None:
    assert answer({"DEFAULT_4XX": {"statusCode": "418"}}, Refused("THROTTLED", "slow down")).status == 418


def test_escapes_message_when_template_asks_for_message_string() -> None:
    declared = {"UNAUTHORIZED": {"responseTemplates": {"application/json": '{"d":$context.error.messageString}'}}}

    assert answer(declared, Refused("UNAUTHORIZED", 'say "please"')).json() == {"d": 'say "please"'}


def test_fills_headers_from_texts_context_and_request_when_declared() -> None:
    parameters = {
        "gatewayresponse.header.Retry-After": "'5'",
        "gatewayresponse.header.X-Id": "context.requestId",
        "gatewayresponse.header.X-Sent": "method.request.header.x-sent",
        "gatewayresponse.header.X-Absent": "method.request.header.x-absent",
    }

    made = answer({"THROTTLED": {"responseParameters": parameters}}, Refused("THROTTLED", "m"), **{"X-Sent": "hello"})

    assert (made.headers["retry-after"], made.headers["x-id"], made.headers["x-sent"]) == ("5", "r-1", "hello")
    assert "x-absent" not in made.headers


def test_takes_template_that_caller_accepts_when_there_are_several() -> None:
    templates = {"application/json": "{}", "application/problem+json": '{"type":"about:blank"}'}

    made = answer(
        {"UNAUTHORIZED": {"responseTemplates": templates}},
        Refused("UNAUTHORIZED", ""),
        Accept="application/problem+json",
    )

    assert made.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"type": "token", "authorizerResultTtlInSeconds": 0}, "REQUEST authorizers only"),
        ({"type": "request", "authorizerResultTtlInSeconds": 60}, "does not cache"),
        (
            {"type": "request", "authorizerResultTtlInSeconds": 0, "identitySource": "context.path"},
            "headers as identity",
        ),
    ],
)
def test_refuses_authorizer_when_it_is_of_another_kind(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Authorizer("Keys", {"x-amazon-apigateway-authorizer": {"authorizerUri": URI, **settings}})
