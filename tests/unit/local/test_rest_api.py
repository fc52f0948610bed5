"""The REST API's behaviour, through the application in process."""

import json
from typing import Any

import pytest

from tests.local.http_messages import Answer
from tests.local.stack import LocalStack

ME = {"Authorization": "me"}


def event_of(answer: Answer) -> dict[str, Any]:
    """What the echoing function received."""
    assert answer.status == 200, answer.text
    event: dict[str, Any] = answer.json()
    return event


@pytest.mark.parametrize(
    ("path", "resource", "parameters"),
    [
        ("/things/7", "/things/{id}", {"id": "7"}),
        ("/things/special", "/things/special", None),
        ("/things/7/parts/8", "/things/{id}/parts/{part}", {"id": "7", "part": "8"}),
        ("/things/special/parts/8", "/things/{id}/parts/{part}", {"id": "special", "part": "8"}),
        ("/open/a/b/c", "/open/{proxy+}", {"proxy": "a/b/c"}),
        ("/things/7/", "/things/{id}", {"id": "7"}),
        ("/open/a/", "/open/{proxy+}", {"proxy": "a"}),
    ],
)
def test_finds_most_specific_resource_when_several_match(
    stack: LocalStack, path: str, resource: str, parameters: dict[str, str] | None
) -> None:
    event = event_of(stack.http("GET", path, ME))

    assert event["resource"] == resource
    assert event["pathParameters"] == parameters
    assert event["path"] == path


def test_keeps_path_encoded_when_it_has_escapes(stack: LocalStack) -> None:
    event = event_of(stack.http("GET", "/things/urn%3Aa%2Fb%2B+%C3%A9?x=urn%3Aa%2Fb%2B+%C3%A9", ME))

    assert event["path"] == "/things/urn%3Aa%2Fb%2B+%C3%A9"
    assert event["pathParameters"] == {"id": "urn%3Aa%2Fb%2B+%C3%A9"}
    assert event["queryStringParameters"] == {"x": "urn:a/b+ é"}
    assert event["requestContext"]["path"] == "/v1/things/urn%3Aa%2Fb%2B+%C3%A9"


def test_keeps_last_and_all_when_parameter_or_header_repeats(stack: LocalStack) -> None:
    event = event_of(stack.http("GET", "/echo?a=1&b=&a=2", {**ME, "Fiware-Service": "smartcity"}))

    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event["headers"]["Fiware-Service"] == "smartcity"
    assert event["multiValueHeaders"]["Fiware-Service"] == ["smartcity"]


def test_gives_null_when_there_is_nothing(stack: LocalStack) -> None:
    event = event_of(stack.http("POST", "/echo", ME))

    assert event["body"] is None
    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None
    assert event["pathParameters"] is None
    assert event["isBase64Encoded"] is False


def test_describes_request_when_function_looks(stack: LocalStack) -> None:
    event = event_of(stack.http("PUT", "/echo", ME, {"a": "ü"}))
    context = event["requestContext"]

    assert json.loads(event["body"]) == {"a": "ü"}
    assert event["httpMethod"] == "PUT"
    assert (context["stage"], context["resourcePath"], context["accountId"]) == ("v1", "/echo", "123456789012")
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["requestId"] != event_of(stack.http("PUT", "/echo", ME))["requestContext"]["requestId"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/things", "/things/7/parts", "/open", "/echo/below"])
def test_answers_missing_token_when_there_is_no_resource(stack: LocalStack, path: str) -> None:
    answer = stack.http("GET", path, ME)

    assert answer.status == 404
    assert answer.json() == {"error": "NotFound", "description": "there is nothing here"}


@pytest.mark.parametrize(("method", "path"), [("POST", "/things/7"), ("HEAD", "/things/7"), ("TRACE", "/echo")])
def test_answers_missing_token_when_resource_lacks_method(stack: LocalStack, method: str, path: str) -> None:
    assert stack.http(method, path, ME).status == 404


@pytest.mark.parametrize("method", ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"])
def test_calls_function_when_method_is_any(stack: LocalStack, method: str) -> None:
    assert event_of(stack.http(method, "/echo", ME))["httpMethod"] == method


def test_answers_without_body_when_method_is_head(stack: LocalStack) -> None:
    answer = stack.http("HEAD", "/echo", ME)

    assert (answer.status, answer.body) == (200, b"")


def test_hands_on_status_and_headers_when_function_gives_them(stack: LocalStack) -> None:
    answer = stack.http("GET", "/echo?do=headers", ME)

    assert answer.status == 207
    assert answer.headers.all("x-two") == ["a", "b"]
    assert answer.headers["x-one"] == "1"
    assert answer.headers["x-amzn-remapped-www-authenticate"] == "Bearer"
    assert "www-authenticate" not in answer.headers
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("what", ["raise", "malformed"])
def test_answers_502_when_function_fails(stack: LocalStack, what: str) -> None:
    answer = stack.http("GET", f"/echo?do={what}", ME)

    assert (answer.status, answer.json()) == (502, {"message": "Internal server error"})


def test_answers_413_when_body_is_over_ten_megabytes(stack: LocalStack) -> None:
    answer = stack.http("POST", "/echo", ME, b"x" * (10 * 1024 * 1024 + 1))

    assert answer.status == 413
    assert answer.json() == {"error": "REQUEST_TOO_LARGE", "description": "Request Entity Too Large"}


def test_answers_413_when_event_is_over_the_limit_of_lambda(stack: LocalStack) -> None:
    assert stack.http("POST", "/echo", ME, b"x" * (6 * 1024 * 1024)).status == 413


def test_hands_on_context_as_text_when_authorizer_allows(stack: LocalStack) -> None:
    context = event_of(stack.http("GET", "/echo", ME))["requestContext"]["authorizer"]

    assert {name: context[name] for name in ("principalId", "tenants", "limit", "admin")} == {
        "principalId": "me",
        "tenants": "smartcity",
        "limit": "5",
        "admin": "true",
    }


def test_asks_nobody_when_route_has_no_authorizer(stack: LocalStack) -> None:
    assert "authorizer" not in event_of(stack.http("GET", "/open/door"))["requestContext"]


def test_answers_401_with_own_body_and_headers_when_authorizer_says_unauthorized(stack: LocalStack) -> None:
    answer = stack.http("GET", "/echo")

    assert answer.status == 401
    assert answer.json() == {"error": "Unauthorized", "description": "Unauthorized", "type": "UNAUTHORIZED"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Fiware-Correlator"] == answer.headers["x-amzn-RequestId"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("deny", "User is not authorized to access this resource with an explicit deny"),
        ("elsewhere", "User is not authorized to access this resource"),
    ],
)
def test_answers_403_when_policy_does_not_allow(stack: LocalStack, said: str, message: str) -> None:
    answer = stack.http("GET", "/echo", {"Authorization": said})

    assert (answer.status, answer.json()) == (403, {"error": "ACCESS_DENIED", "description": message})


@pytest.mark.parametrize("said", ["crash", "malformed"])
def test_answers_500_when_authorizer_is_broken(stack: LocalStack, said: str) -> None:
    answer = stack.http("GET", "/echo", {"Authorization": said})

    assert (answer.status, answer.json()) == (500, {"message": None})


def test_looks_for_resource_before_it_asks_when_both_fail(stack: LocalStack) -> None:
    assert stack.http("GET", "/nothing").status == 404
