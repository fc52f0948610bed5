"""Bad input on every route: the right status, an NGSIv2 error that says what is wrong, and nothing written."""

import http.client
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.e2e import walk
from tests.e2e.routes import OPEN_TO_ALL, REFUSED, SERVED, Route
from tests.e2e.served import Caller, Served
from tests.local.http_messages import Answer

JSON = "application/json"
WITH_BODY = [route for route in SERVED if route.method in {"POST", "PUT", "PATCH"}]
# Their body is refused with the route itself, whatever it holds.
NOT_OFFERED = {"POST /v2/subscriptions", "POST /v2/registrations"}
WITH_OBJECT = [route for route in WITH_BODY if not route.path.endswith("/value") and str(route) not in NOT_OFFERED]
LISTS = ("/v2/entities", "/v2/types", "/v2/snapshots", "/v2/restores", "/v2/schedules")
UPDATE = "/v2/op/update"
ENTITY = "urn:ngsi-ld:Room:0000"
UNKNOWN_SNAPSHOT = "snapshot_2020-01-15T10-00-00Z"
UNKNOWN_RESTORE = "restore_2020-01-15T10-00-00Z"
NO_IDS = ("x", "%00", "%0A", "a%2Fb", "..%2F..", "%F0%9F%92%A5", "x" * 2000, "%2520", "*", "%7B%7D")
NO_ENTITY_IDS = ("a%20b", "a%00", "a%0Ab", "a%3Cb", "a%2Fb", "x" * 257, "caf%C3%A9", "a%26b", "a%27b")
BAD_TENANTS = ("smart city", "a" * 51, "smart-city", "../x", "\u00fcmlaut", "a,b")
BAD_PAGES = (
    *("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999"),
    *("offset=-1", "offset=x", "offset=1e3", "offset=99999999999999999999"),
)
NO_JSON = (
    b'{"description": ',
    b"{'a': 1}",
    b'{"a": NaN}',
    b'{"a": 1} x',
    b"\xff\xfe{}",
    b'{"a": "\xc3\x28"}',
    b'{"a": "\x01"}',
    b'{"a": "\\ud800"}',
    b"[" * 60 + b"]" * 60,
    b"[" * 5000 + b"]" * 5000,
)
NO_OBJECT = (b"[]", b'"text"', b"17", b"null", b"true", b'{"noSuchMember": 1}')
LIMIT_BYTES = 1_048_576


class Tenant(NamedTuple):
    """A tenant that has something to lose."""

    call: Caller
    ids: dict[str, str]
    state: list[Any]

    def everything(self) -> list[Any]:
        """All that can be seen of it."""
        paths = ("/v2/entities?limit=1000", "/v2/snapshots", "/v2/restores", "/v2/schedules")
        return [self.call("GET", path).json() for path in paths]


@pytest.fixture(scope="module")
def stocked(served_stack: Served) -> Tenant:
    call = served_stack.caller("bad_input")
    walk.put_rooms(call, 2)
    snapshot = walk.create(call, "kept")["id"]
    names = {
        "entityId": ENTITY,
        "attrName": "temperature",
        "typeName": "Room",
        "snapshotId": snapshot,
        "restoreId": "x",
        "planId": "x",
        # It shows no next run, which would change while the tests run.
        "scheduleId": call("POST", "/v2/schedules", {"expression": "rate(1 day)", "paused": True}).json()["id"],
    }
    empty = Tenant(call, names, [])
    return empty._replace(state=empty.everything())


@pytest.fixture
def call(stocked: Tenant) -> Iterator[Caller]:
    """A caller; after the test nothing may have changed."""
    yield stocked.call
    assert stocked.everything() == stocked.state


def assert_refused(answer: Answer, status: int, sent: object) -> None:
    """The answer is an NGSIv2 error with this status and nothing of the inside."""
    assert answer.status == status, (sent, answer.text)
    assert list(answer.json())[:2] == ["error", "description"], sent
    assert "Traceback" not in answer.text


# --- every route ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", SERVED, ids=str)
def test_tenant_is_refused_when_its_name_is_invalid(call: Caller, stocked: Tenant, route: Route) -> None:
    for name in BAD_TENANTS:
        assert_refused(call(route.method, route.filled(stocked.ids), fiware_service=name), 400, name)


@pytest.mark.parametrize("path", sorted({route.path for route in REFUSED}))
def test_method_is_refused_when_the_path_does_not_have_it(call: Caller, stocked: Tenant, path: str) -> None:
    served = {route.method for route in [*SERVED, *OPEN_TO_ALL] if route.path == path}
    for route in [route for route in REFUSED if route.path == path]:
        answer = call(route.method, route.filled({**stocked.ids, "proxy": "v2/no/such/path"}))
        if path in {"/", "/{proxy+}"}:
            walk.assert_error(answer, 404, "NotFound")
        else:
            walk.assert_error(answer, 405, "MethodNotAllowed", route.method)
            assert set(answer.headers["Allow"].split(", ")) == served


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
def test_body_is_refused_when_it_is_no_json(call: Caller, stocked: Tenant, route: Route) -> None:
    for body in NO_JSON:
        answer = call(route.method, route.filled(stocked.ids), body=body, content_type=JSON)
        assert_refused(answer, 501 if str(route) in NOT_OFFERED else 400, body[:40])


@pytest.mark.parametrize("route", WITH_OBJECT, ids=str)
def test_body_is_refused_when_it_is_no_object_with_known_members(call: Caller, stocked: Tenant, route: Route) -> None:
    for body in NO_OBJECT:
        answer = call(route.method, route.filled(stocked.ids), body=body, content_type=JSON)
        assert_refused(answer, 400, body)


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
def test_body_is_refused_when_its_type_or_size_is_wrong(call: Caller, stocked: Tenant, route: Route) -> None:
    offered = str(route) not in NOT_OFFERED
    for content_type in ("text/html", "application/xml", "application/ld+json", ""):
        answer = call(route.method, route.filled(stocked.ids), body=b'{"value": 1}', content_type=content_type)
        assert_refused(answer, 415 if offered else 501, content_type)
    body = b'{"a": "' + b"x" * LIMIT_BYTES + b'"}'
    answer = call(route.method, route.filled(stocked.ids), body=body, content_type=JSON)
    assert_refused(answer, 413 if offered else 501, "just above 1 MB")
    body = b'{"a": "' + b"x" * (10 * LIMIT_BYTES) + b'"}'
    answer = call(route.method, route.filled(stocked.ids), body=body, content_type=JSON)
    assert_refused(answer, 413, "above what the gateway takes")


@pytest.mark.parametrize("path", LISTS)
def test_page_is_refused_when_its_numbers_are_wrong(call: Caller, path: str) -> None:
    for query in BAD_PAGES:
        walk.assert_error(call("GET", f"{path}?{query}"), 400, "BadRequest", query.partition("=")[0])


# --- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/restore")])
def test_snapshot_is_not_found_when_the_id_names_none(call: Caller, method: str, rest: str) -> None:
    wrong = (f"{UNKNOWN_SNAPSHOT}-2", f"{UNKNOWN_SNAPSHOT}-01", "snapshot_", UNKNOWN_RESTORE)
    for name in (UNKNOWN_SNAPSHOT, *wrong, *NO_IDS):
        walk.assert_error(call(method, f"/v2/snapshots/{name}{rest}"), 404, "NotFound")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_restore_is_not_found_when_the_id_names_none(call: Caller, method: str) -> None:
    for name in (UNKNOWN_RESTORE, UNKNOWN_SNAPSHOT, *NO_IDS):
        walk.assert_error(call(method, f"/v2/restores/{name}"), 404, "NotFound")


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("DELETE", ""), ("GET", "/attrs"), ("GET", "/attrs/t/value")]
)
def test_entity_id_is_refused_when_it_has_forbidden_characters(call: Caller, method: str, rest: str) -> None:
    for name in NO_ENTITY_IDS:
        walk.assert_error(call(method, f"/v2/entities/{name}{rest}"), 400, "BadRequest")


def test_id_is_refused_when_it_is_not_encoded_well(call: Caller) -> None:
    for path in ("snapshots/%ZZ", "snapshots/%FF", "restores/%C3%28", "entities/%FF", "entities/%"):
        walk.assert_error(call("GET", f"/v2/{path}"), 400, "BadRequest")


def test_entity_is_not_found_when_there_is_none(call: Caller) -> None:
    for path in ("entities/none", "entities/none/attrs", "entities/none/attrs/a", "types/None"):
        walk.assert_error(call("GET", f"/v2/{path}"), 404, "NotFound")
    walk.assert_error(call("GET", f"/v2/entities/{ENTITY}/attrs/none"), 404, "NotFound", "none")


def test_snapshot_is_found_when_its_id_is_percent_encoded(call: Caller, stocked: Tenant) -> None:
    snapshot = stocked.ids["snapshotId"]
    encoded = "".join(f"%{ord(character):02X}" for character in snapshot)
    assert call("GET", f"/v2/snapshots/{encoded}").json()["id"] == snapshot
    assert call("GET", f"/v2/snapshots/{snapshot}/").json()["id"] == snapshot


def test_entity_is_found_when_its_id_is_percent_encoded(call: Caller) -> None:
    assert call("GET", f"/v2/entities/{ENTITY.replace(':', '%3A')}").json()["id"] == ENTITY


# --- what bodies say --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"description": 7}, "description"),
        ({"description": None}, "description"),
        ({"description": ["x"]}, "description"),
        ({"description": "x" * 1025}, "1024"),
        ({"description": "a\x00b"}, "U+0000"),
        ({"description": "a\x1bb"}, "U+001B"),
        ({"description": "x", "colour": "red"}, "colour"),
        ({"": 1}, "unknown"),
    ],
)
def test_create_is_refused_when_a_member_is_wrong(call: Caller, document: Any, said: str) -> None:
    walk.assert_error(call("POST", "/v2/snapshots", document), 400, "BadRequest", said)


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({"mode": "overwrite"}, 400, "mode"),
        ({"mode": 1}, 400, "mode"),
        ({"safetySnapshot": "yes"}, 400, "safetySnapshot"),
        ({"safetySnapshot": None}, 400, "safetySnapshot"),
        ({"colour": "red"}, 400, "colour"),
        ({"mode": "other"}, 400, "mode"),
        ({"filter": {"idPattern": "("}}, 400, "regular expression"),
        ({"filter": {"type": "Nothing"}}, 422, "selects no entity"),
        ({"plan": "plan_1"}, 404, "plan_1"),
        ({"dryRun": 1}, 400, "dryRun"),
    ],
)
def test_restore_is_refused_when_a_member_is_wrong(
    call: Caller, stocked: Tenant, document: Any, status: int, said: str
) -> None:
    answer = call("POST", f"/v2/snapshots/{stocked.ids['snapshotId']}/restore", document)
    walk.assert_error(answer, status, {400: "BadRequest", 404: "NotFound", 422: "Unprocessable"}[status], said)


NEW = {"id": "new", "type": "Room"}
NUMBER = {"type": "Number", "value": 1}


@pytest.mark.parametrize(
    "entity",
    [
        {"type": "Room"},
        {"id": 5},
        {"id": ""},
        {"id": "a b"},
        {"id": "a\nb"},
        {"id": "x" * 257},
        {**NEW, "type": "a<b"},
        {**NEW, "type": 7},
        {**NEW, "a b": NUMBER},
        {**NEW, "a": 5},
        {**NEW, "a": {"value": "<script>"}},
        {**NEW, "a": {"value": "x=y"}},
        {**NEW, "a": {"value": 1, "kind": "x"}},
        {**NEW, "a": {"value": 1, "type": 5}},
        {**NEW, "a": {"value": 1, "metadata": 5}},
        {**NEW, "a": {"value": 1, "metadata": {"m": 5}}},
    ],
    ids=str,
)
def test_entity_is_refused_when_it_breaks_the_rules(call: Caller, entity: Any) -> None:
    walk.assert_error(call("POST", "/v2/entities", entity), 400, "BadRequest")
    walk.assert_error(call("POST", UPDATE, {"actionType": "append", "entities": [entity]}), 400, "BadRequest")


@pytest.mark.parametrize(
    "document",
    [
        {"actionType": "append"},
        {"entities": [NEW]},
        {"actionType": "explode", "entities": [NEW]},
        {"actionType": 5, "entities": [NEW]},
        {"actionType": "append", "entities": []},
        {"actionType": "append", "entities": {"id": "x"}},
        {"actionType": "append", "entities": ["x"]},
        {"actionType": "append", "entities": [NEW], "more": 1},
        {"actionType": "append", "entities": [{"id": f"e{number}"} for number in range(1001)]},
        {"actionType": "append", "entities": [NEW, {"id": "not valid"}]},
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_batch_is_refused_when_any_of_it_is_wrong(call: Caller, document: Any) -> None:
    walk.assert_error(call("POST", UPDATE, document), 400, "BadRequest")


def test_entity_is_refused_when_it_is_too_large(call: Caller) -> None:
    huge = {**NEW, "a": {"type": "Text", "value": "x" * 190_000}}
    walk.assert_error(call("POST", "/v2/entities", huge), 413, "RequestEntityTooLarge", "new")
    small = {"id": "small", "type": "Room"}
    answer = call("POST", UPDATE, {"actionType": "append", "entities": [small, huge]})
    walk.assert_error(answer, 413, "RequestEntityTooLarge", "new")


def test_entity_is_refused_when_it_grows_too_large(call: Caller) -> None:
    large = {"a": {"type": "Text", "value": "x" * 190_000}}
    for method in ("POST", "PATCH", "PUT"):
        document = large if method != "PATCH" else {"temperature": large["a"]}
        walk.assert_error(call(method, f"/v2/entities/{ENTITY}/attrs", document), 413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    "path", ["no-slash", "/a b", "/" + "a" * 51, "/a" * 11, "/a,/b", "/#", "/ä".encode().decode("latin-1")]
)
def test_write_is_refused_when_the_service_path_is_wrong(call: Caller, path: str) -> None:
    walk.assert_error(call("POST", "/v2/entities", NEW, fiware_servicepath=path), 400, "BadRequest")


@pytest.mark.parametrize(
    "query",
    [
        "q=temperature%3E",
        "q=%3B",
        "idPattern=%28",
        "typePattern=%5B",
        "id=a&idPattern=b",
        "options=everything",
        "orderBy=,",
    ],
)
def test_query_is_refused_when_it_cannot_be_read(call: Caller, query: str) -> None:
    walk.assert_error(call("GET", f"/v2/entities?{query}"), 400, "BadRequest")


@pytest.mark.parametrize("query", ["georel=near", "geometry=point&coords=1,2&georel=coveredBy"])
def test_query_is_refused_when_it_asks_for_geography(call: Caller, query: str) -> None:
    walk.assert_error(call("GET", f"/v2/entities?{query}"), 501, "NotImplemented")


def test_request_is_refused_when_it_is_no_http_that_a_client_would_send(call: Caller) -> None:
    connection = http.client.HTTPConnection(call.url.removeprefix("http://"), timeout=30)
    connection.putrequest("GET", "/v2/entities/" + "x" * 9000)
    connection.putheader("Authorization", f"Bearer {call.key}")
    connection.putheader("Fiware-Service", call.tenant)
    connection.endheaders()
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status in {400, 403, 414}, text
    assert "Traceback" not in text
