"""The entry of every function behind the REST API, with routes made for the test."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.ngsi.unknown_route import handler as unknown_route
from tests.handlers.rest import Answer, assert_error, call, request, sample
from tidemark import web
from tidemark.dialects.wire import Request, Response, json_response
from tidemark.domain.tenant import Tenant
from tidemark.errors import (
    AwsFailure,
    CaptureInProgress,
    GenerationMoved,
    NotSupported,
    PackCorrupt,
    RecordExists,
    RestoreInProgress,
    SnapshotNotFound,
    StaleRecord,
    Throttled,
    TooManyResults,
    Unprocessable,
)
from tidemark.ports import Ports
from tidemark.telemetry import logger

GET = "GET /v2/snapshots/{snapshotId}"
pytestmark = pytest.mark.usefixtures("ports")


def answering(see: Callable[[Request], object], route: str = GET) -> web.LambdaHandler:
    """A function that answers with what `see` makes of the request."""

    def serve(ports: Ports, request: Request) -> Response:
        return json_response(200, see(request))

    return web.handler({route: serve})


def raising(error: Exception) -> Answer:
    """The answer to a request that ends in `error`."""

    def fail(ports: Ports, request: Request) -> Response:
        raise error

    return call(web.handler({GET: fail}), sample("ngsi", "get_snapshot"))


def log_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/v2/snapshots/plain", "plain"),
        ("/v2/snapshots/plain/", "plain"),
        ("/v2/snapshots/urn%3Angsi-ld%3ASnapshot%3A1", "urn:ngsi-ld:Snapshot:1"),
        ("/v2/snapshots/a%2Fb", "a/b"),
        ("/v2/snapshots/100%2525", "100%25"),
        ("/v2/snapshots/caf%C3%A9", "café"),
        ("/v2/snapshots/a+b", "a+b"),
        ("/base/path/v2/snapshots/behind-a-domain", "behind-a-domain"),
    ],
)
def test_path_parameter_is_decoded_exactly_once(path: str, seen: str) -> None:
    answer = call(
        answering(lambda request: request.path_parameter("snapshotId")), request("ngsi", "get_snapshot", path=path)
    )
    assert answer.json == seen


@pytest.mark.parametrize("path", ["/v2/snapshots/%ff%fe", "/v2/snapshots/50%", "/v2/snapshots/%zz"])
def test_path_parameter_is_refused_when_it_is_not_percent_encoded_utf8(path: str) -> None:
    answer = call(
        answering(lambda request: request.path_parameter("snapshotId")), request("ngsi", "get_snapshot", path=path)
    )
    assert_error(answer, 400, "BadRequest", "the path part")


def test_inner_path_parameter_is_found_when_others_follow() -> None:
    handler = answering(lambda request: request.path_parameter("snapshotId"), "POST /v2/snapshots/{snapshotId}/restore")
    assert call(handler, request("ngsi", "restore_snapshot", path="/v2/snapshots/x%20y/restore")).json == "x y"


@pytest.mark.parametrize(
    ("header", "tenant"),
    [("smartcity", "smartcity"), ("SmartCity", "smartcity"), (None, "default"), ("", "default"), ("a_1", "a_1")],
)
def test_tenant_is_taken_from_the_header_when_the_authorizer_granted_it(header: str | None, tenant: str) -> None:
    event = request("ngsi", "get_snapshot", headers={"Fiware-Service": header})
    event["requestContext"]["authorizer"]["tenant"] = tenant
    assert call(answering(lambda request: request.tenant), event).json == tenant


@pytest.mark.parametrize("tenant", ["smart-city", "a" * 51, "ä", "a b", "../b", "a\x00b", "*", "smartcity#"])
def test_request_is_refused_when_the_tenant_name_is_bad(tenant: str) -> None:
    event = request("ngsi", "get_snapshot", headers={"Fiware-Service": tenant})
    del event["requestContext"]["authorizer"]["tenant"]
    assert_error(call(answering(lambda _: "served"), event), 400, "BadRequest", "tenant")


def test_request_is_forbidden_when_the_authorizer_granted_another_tenant() -> None:
    event = request("ngsi", "get_snapshot", headers={"Fiware-Service": "othercity"})
    assert_error(call(answering(lambda _: "served"), event), 403, "Forbidden")


@pytest.mark.parametrize("authorizer", [None, {}, {"keyId": "x", "principalId": "x"}])
def test_request_is_unauthorized_when_no_authorizer_vouched_for_it(authorizer: dict[str, str] | None) -> None:
    event = sample("ngsi", "get_snapshot")
    event["requestContext"]["authorizer"] = authorizer
    answer = call(answering(lambda _: "served"), event)
    assert_error(answer, 401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_header_is_found_whatever_its_case() -> None:
    event = request("ngsi", "get_snapshot", headers={"FIWARE-ServicePath": "/a"})
    assert call(answering(lambda request: request.header("Fiware-Servicepath")), event).json == "/a"


@pytest.mark.parametrize("given", ["9a1c8e70-1d2c-4d6b", "a=1; cbnotif=2"])
def test_correlator_is_echoed_when_it_is_well_formed(given: str) -> None:
    event = request("ngsi", "get_snapshot", headers={"fiware-correlator": given})
    answer = call(answering(lambda request: request.correlation_id), event)
    assert (answer.json, answer.headers["Fiware-Correlator"]) == (given, given)


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a\r\nSet-Cookie: b", "é", "<script>"])
def test_correlator_is_made_when_none_is_usable(given: str | None) -> None:
    event = request("ngsi", "get_snapshot", headers={"Fiware-Correlator": given})
    answer = call(answering(lambda request: request.correlation_id), event)
    assert answer.json == answer.headers["Fiware-Correlator"] == event["requestContext"]["requestId"]


def test_body_is_read_when_it_comes_as_base64() -> None:
    handler = answering(lambda request: request.json(), "POST /v2/snapshots")
    event = request("ngsi", "create_snapshot", text=base64.b64encode('{"description": "é"}'.encode()).decode())
    event["isBase64Encoded"] = True
    assert call(handler, event).json == {"description": "é"}


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"", b"  "])
def test_body_is_a_parse_error_when_it_is_no_text(raw: bytes) -> None:
    handler = answering(lambda request: request.json(), "POST /v2/snapshots")
    event = request("ngsi", "create_snapshot", text=base64.b64encode(raw).decode())
    event["isBase64Encoded"] = True
    assert_error(call(handler, event), 400, "ParseError")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":',
        "nonsense",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\x01"}',
        '{"a": "\ud800"}',
        "[" * 100_000,
        "'x'",
        "{} {}",
    ],
)
def test_body_is_a_parse_error_when_it_is_not_json(text: str) -> None:
    handler = answering(lambda request: request.json(), "POST /v2/snapshots")
    assert_error(call(handler, request("ngsi", "create_snapshot", text=text)), 400, "ParseError", "the body is not")


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/ld+json", "json"]
)
def test_body_is_refused_when_its_content_type_is_not_json(content_type: str | None) -> None:
    handler = answering(lambda request: request.json(), "POST /v2/snapshots")
    event = request("ngsi", "create_snapshot", headers={"Content-Type": content_type})
    assert_error(call(handler, event), 415, "UnsupportedMediaType", "application/json")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_body_is_read_when_its_content_type_is_json(content_type: str) -> None:
    handler = answering(lambda request: request.json(), "POST /v2/snapshots")
    event = request("ngsi", "create_snapshot", headers={"Content-Type": content_type})
    assert call(handler, event).json == {"description": "Pre-deployment backup"}


def test_body_is_refused_when_it_is_too_large() -> None:
    handler = answering(lambda request: request.json(max_bytes=100), "POST /v2/snapshots")
    event = request("ngsi", "create_snapshot", text=json.dumps("é" * 50))
    event["body"] = '"' + "é" * 50 + '"'
    assert_error(call(handler, event), 413, "RequestEntityTooLarge", "102 bytes", "at most 100")


def test_optional_body_is_an_empty_object_when_there_is_none_whatever_its_content_type() -> None:
    handler = answering(lambda request: [request.optional_json()], "POST /v2/snapshots/{snapshotId}/restore")
    event = request("ngsi", "restore_snapshot", headers={"Content-Type": "text/plain"})
    assert call(handler, event).json == [{}]


@pytest.mark.parametrize(
    ("error", "status", "name", "header"),
    [
        (SnapshotNotFound("no snapshot 'x'"), 404, "NotFound", None),
        (
            CaptureInProgress("busy", snapshot_id="snapshot_1"),
            409,
            "Conflict",
            ("Location", "/v2/snapshots/snapshot_1"),
        ),
        (RestoreInProgress("busy", restore_id="restore_1"), 409, "Conflict", ("Location", "/v2/restores/restore_1")),
        (TooManyResults("several"), 409, "TooManyResults", None),
        (Unprocessable("Already Exists"), 422, "Unprocessable", None),
        (NotSupported("geo-queries"), 501, "NotImplemented", None),
        (Throttled("slow down"), 429, "TooManyRequests", ("Retry-After", "2")),
        (GenerationMoved("read again"), 503, "ServiceUnavailable", ("Retry-After", "1")),
        (AwsFailure("table arn:aws:dynamodb:x"), 503, "ServiceUnavailable", ("Retry-After", "1")),
        (StaleRecord("version 3 of pk TENANT#a"), 503, "ServiceUnavailable", ("Retry-After", "1")),
        (RecordExists("pk TENANT#a"), 500, "InternalServerError", None),
        (PackCorrupt("a/packs/1"), 500, "InternalServerError", None),
        (KeyError("secret"), 500, "InternalServerError", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_error_is_rendered_by_its_category(
    error: Exception, status: int, name: str, header: tuple[str, str] | None
) -> None:
    answer = raising(error)
    assert_error(answer, status, name)
    if header:
        assert answer.headers[header[0]] == header[1]


@pytest.mark.parametrize(
    "error", [AwsFailure("arn:aws:x"), PackCorrupt("a/packs/1"), StaleRecord("pk"), ValueError("pw")]
)
def test_error_hides_its_inside_when_it_was_not_written_for_the_caller(error: Exception) -> None:
    answer = raising(error)
    assert str(error) not in answer.text
    assert sample("ngsi", "get_snapshot")["requestContext"]["requestId"] in answer.json["description"]


def test_unexpected_failure_is_logged_with_its_stack_trace(capsys: pytest.CaptureFixture[str]) -> None:
    raising(ZeroDivisionError("division by zero"))
    [line] = [line for line in log_lines(capsys) if line.get("level") == "ERROR"]
    assert "Traceback" in line["exception"]
    assert line["exception_name"] == line["error_code"] == "ZeroDivisionError"
    assert line["correlation_id"] == sample("ngsi", "get_snapshot")["requestContext"]["requestId"]


def test_every_request_is_logged_and_measured_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    event = request("ngsi", "create_snapshot", body={"description": "a secret of the city"})
    call(answering(lambda request: request.json(), "POST /v2/snapshots"), event)
    output = capsys.readouterr().out
    line, metric = (json.loads(text) for text in output.splitlines())
    assert line["message"] == "request"
    assert {key: line[key] for key in ("tenant", "dialect", "method", "route", "status", "key_id")} == {
        "tenant": "smartcity",
        "dialect": "ngsi",
        "method": "POST",
        "route": "/v2/snapshots",
        "status": 200,
        "key_id": "9f86d081884c",
    }
    assert line["duration_ms"] >= 0
    assert (metric["Requests"], metric["tenant"]) == ([1.0], "smartcity")
    assert metric["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert "secret of the city" not in output
    assert "tm_" not in output


def test_log_lines_carry_the_ids_in_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    raising(SnapshotNotFound("no"))
    line = log_lines(capsys)[0]
    assert (line["snapshot_id"], line["error_code"]) == ("snapshot_2026-01-15T10-00-00Z", "SnapshotNotFound")


def test_log_context_ends_with_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    raising(SnapshotNotFound("no"))
    capsys.readouterr()
    logger().info("after")
    [line] = log_lines(capsys)
    assert "correlation_id" not in line


def test_answer_is_refused_when_lambda_could_not_return_it() -> None:
    answer = call(answering(lambda _: '"' * 2_500_000), sample("ngsi", "get_snapshot"))
    assert_error(answer, 413, "RequestEntityTooLarge", "limit")


def test_large_answer_is_returned_when_it_fits() -> None:
    answer = call(answering(lambda _: "x" * 5_000_000), sample("ngsi", "get_snapshot"))
    assert (answer.status, len(answer.text)) == (200, 5_000_002)


@pytest.mark.parametrize(
    ("method", "route", "allow"),
    [
        ("PUT", "/v2/snapshots", "GET, POST"),
        ("POST", "/v2/snapshots/{snapshotId}", "GET, DELETE"),
        ("GET", "/v2/snapshots/{snapshotId}/restore", "POST"),
        ("HEAD", "/v2/restores", "GET"),
        ("OPTIONS", "/v2/entities", "GET, POST"),
    ],
)
def test_unknown_method_is_not_allowed_when_the_path_exists(method: str, route: str, allow: str) -> None:
    event = sample("ngsi", "unknown_route") | {"httpMethod": method, "resource": route}
    answer = call(unknown_route.handler, event)
    assert_error(answer, 405, "MethodNotAllowed", method)
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize(
    ("held", "tenant", "may"),
    [
        ("smartcity", "smartcity", True),
        ("smartcity", "test", False),
        ("smartcity,test", "test", True),
        ("smartcity,test2", "test", False),
        ("*", "test", True),
        (None, "smartcity", True),
        (None, "test", False),
        ("", "*", False),
    ],
)
def test_request_may_use_the_tenants_that_its_key_holds(held: str | None, tenant: str, may: bool) -> None:
    event = sample("ngsi", "get_snapshot")
    event["requestContext"]["authorizer"]["tenants"] = held

    def ask(given: Request) -> bool:
        given.check_may_use(Tenant(tenant))
        return given.may_use(Tenant(tenant))

    answer = call(answering(ask), event)
    if may:
        assert (answer.status, answer.json) == (200, True)
    else:
        assert_error(answer, 403, "Forbidden", tenant)


def test_unknown_path_is_not_found() -> None:
    event = sample("ngsi", "unknown_route") | {"resource": "/{proxy+}", "path": "/v3/nothing"}
    assert_error(call(unknown_route.handler, event), 404, "NotFound")


def test_answer_is_an_error_when_the_event_is_no_request() -> None:
    assert_error(call(unknown_route.handler, {"key1": "value1"}), 500, "InternalServerError")
