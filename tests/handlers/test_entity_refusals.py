"""Requests that the entity store refuses: the right status and error, and nothing written."""

import pytest

from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tidemark.ports import Ports

JSON = {"Content-Type": "application/json"}
E1 = {"id": "E1", "type": "T", "a": {"type": "Number", "value": 1, "metadata": {}}}
NESTED = '{"id":"N","a":{"value":' + "[" * 60 + "]" * 60 + "}}"


@pytest.fixture
def api(ports: Ports) -> EntitiesClient:
    client = EntitiesClient()
    client.create(E1)
    return client


def unchanged(api: EntitiesClient) -> bool:
    return bool(api.call("GET /v2/entities").json == [E1])


BODIES: dict[str, tuple[object, int, str, str]] = {
    "array": ([], 400, "BadRequest", "an array"),
    "no id": ({"type": "T"}, 400, "BadRequest", "'id'"),
    "id not a string": ({"id": 7}, 400, "BadRequest", "a number"),
    "id empty": ({"id": ""}, 400, "BadRequest", "empty"),
    "id too long": ({"id": "x" * 257}, 400, "BadRequest", "257"),
    "id with a space": ({"id": "a b"}, 400, "BadRequest", "'a b'"),
    "id with a control character": ({"id": "a\u0007b"}, 400, "BadRequest", "entity id"),
    "id not ASCII": ({"id": "Zürich"}, 400, "BadRequest", "ASCII"),
    "id with the key separator": ({"id": "a\u001fb"}, 400, "BadRequest", "entity id"),
    "type empty": ({"id": "N", "type": ""}, 400, "BadRequest", "entity type"),
    "type null": ({"id": "N", "type": None}, 400, "BadRequest", "null"),
    "type forbidden": ({"id": "N", "type": "A(b)"}, 400, "BadRequest", "entity type"),
    "attribute not an object": ({"id": "N", "a": 1}, 400, "BadRequest", "keyValues"),
    "attribute unknown member": ({"id": "N", "a": {"value": 1, "unit": 2}}, 400, "BadRequest", "'unit'"),
    "attribute name": ({"id": "N", "a/b": {"value": 1}}, 400, "BadRequest", "'a/b'"),
    "attribute name empty": ({"id": "N", "": {"value": 1}}, 400, "BadRequest", "attribute name"),
    "attribute name reserved": ({"id": "N", "geo:distance": {"value": 1}}, 400, "BadRequest", "geo:distance"),
    "attribute type": ({"id": "N", "a": {"value": 1, "type": "x y"}}, 400, "BadRequest", "'x y'"),
    "attribute type a number": ({"id": "N", "a": {"value": 1, "type": 5}}, 400, "BadRequest", "type"),
    "metadata not an object": ({"id": "N", "a": {"value": 1, "metadata": []}}, 400, "BadRequest", "metadata"),
    "metadata element": ({"id": "N", "a": {"metadata": {"m": 1}}}, 400, "BadRequest", "'m'"),
    "metadata unknown member": ({"id": "N", "a": {"metadata": {"m": {"metadata": {}}}}}, 400, "BadRequest", "'m'"),
    "metadata name": ({"id": "N", "a": {"metadata": {"*": {}}}}, 400, "BadRequest", "'*'"),
    "forbidden value": ({"id": "N", "a": {"value": "<script>"}}, 400, "BadRequest", "TextUnrestricted"),
    "forbidden inner value": ({"id": "N", "a": {"value": [{"k": "a=b"}]}}, 400, "BadRequest", "="),
    "forbidden inner name": ({"id": "N", "a": {"value": {"k(": 1}}}, 400, "BadRequest", "("),
    "forbidden in metadata": ({"id": "N", "a": {"metadata": {"m": {"value": "a;b"}}}}, 400, "BadRequest", ";"),
    "operator": ({"id": "N", "a": {"value": {"$inc": 1}}}, 501, "NotImplemented", "$inc"),
    "expiry": ({"id": "N", "dateExpires": {"value": "2030-01-01"}}, 501, "NotImplemented", "dateExpires"),
    "too large": ({"id": "N", "a": {"value": "x" * 180_000}}, 413, "RequestEntityTooLarge", "180000"),
    "exists": (E1, 422, "Unprocessable", "Already Exists"),
}


@pytest.mark.parametrize(("body", "status", "error", "said"), BODIES.values(), ids=BODIES)
def test_create_is_refused(api: EntitiesClient, body: object, status: int, error: str, said: str) -> None:
    rest.assert_error(api.call("POST /v2/entities", body), status, error, said)
    assert unchanged(api)


TEXTS = {
    "no body": ("", JSON, 400, "ParseError"),
    "not JSON": ("{", JSON, 400, "ParseError"),
    "not a number of JSON": ('{"id":"N","a":{"value":NaN}}', JSON, 400, "ParseError"),
    "infinite": ('{"id":"N","a":{"value":1e999}}', JSON, 400, "ParseError"),
    "half a character": ('{"id":"N","a":{"value":"\\ud800"}}', JSON, 400, "ParseError"),
    "raw control character": ('{"id":"N","a":{"value":"\u0001"}}', JSON, 400, "ParseError"),
    "nested": (NESTED, JSON, 400, "BadRequest"),
    "nested beyond reading": ("[" * 200_000, JSON, 400, "ParseError"),
    "too long": ('{"id":"N"}' + " " * 1_048_576, JSON, 413, "RequestEntityTooLarge"),
    "wrong type": ('{"id":"N"}', {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
    "no type": ('{"id":"N"}', {"Content-Type": None}, 415, "UnsupportedMediaType"),
}


@pytest.mark.parametrize("line", ["POST /v2/entities", "POST /v2/op/update", "PATCH /v2/entities/E1/attrs"])
@pytest.mark.parametrize(("text", "headers", "status", "error"), TEXTS.values(), ids=TEXTS)
def test_body_that_is_not_usable_json_is_refused(
    api: EntitiesClient, line: str, text: str, headers: dict[str, str | None], status: int, error: str
) -> None:
    rest.assert_error(api.call(line, text=text, headers=headers), status, error)
    assert unchanged(api)


def test_body_may_be_nested_up_to_the_limit(api: EntitiesClient) -> None:
    # The entity and the attribute are two levels of the fifty.
    text = '{"id":"N","a":{"value":' + "[" * 48 + "]" * 48 + "}}"
    assert api.call("POST /v2/entities", text=text, headers=JSON).status == 201


VALUE = {"value": 1}
LINES: dict[str, tuple[str, object, int, str, str]] = {
    "unknown entity": ("GET /v2/entities/E9", None, 404, "NotFound", "'E9'"),
    "other type": ("GET /v2/entities/E1?type=U", None, 404, "NotFound", "'U'"),
    "bad id": ("GET /v2/entities/a%20b", None, 400, "BadRequest", "'a b'"),
    "id that is not UTF-8": ("GET /v2/entities/%ff", None, 400, "BadRequest", "UTF-8"),
    "bad escape": ("GET /v2/entities/a%zz", None, 400, "BadRequest", "percent"),
    "id with a line break": ("DELETE /v2/entities/a%0Ab", None, 400, "BadRequest", "entity id"),
    "empty type": ("GET /v2/entities/E1?type=", None, 400, "BadRequest", "entity type"),
    "delete unknown": ("DELETE /v2/entities/E9", None, 404, "NotFound", "'E9'"),
    "append to unknown": ("POST /v2/entities/E9/attrs", {"a": VALUE}, 404, "NotFound", "'E9'"),
    "append to another type": ("POST /v2/entities/E1/attrs?type=U", {"b": VALUE}, 404, "NotFound", "'U'"),
    "append nothing": ("POST /v2/entities/E1/attrs", {}, 400, "BadRequest", "empty payload"),
    "append id": ("POST /v2/entities/E1/attrs", {"id": "E2"}, 400, "BadRequest", "'id'"),
    "append strictly": ("POST /v2/entities/E1/attrs?options=append", {"a": VALUE}, 422, "Unprocessable", "a"),
    "update type": ("PATCH /v2/entities/E1/attrs", {"type": "U"}, 400, "BadRequest", "'type'"),
    "update unknown attribute": ("PATCH /v2/entities/E1/attrs", {"b": VALUE}, 404, "NotFound", "b"),
    "replace unknown": ("PUT /v2/entities/E9/attrs", {"a": VALUE}, 404, "NotFound", "'E9'"),
    "unknown option": ("POST /v2/entities/E1/attrs?options=merge", {"a": VALUE}, 400, "BadRequest", "merge"),
    "two forms": ("GET /v2/entities?options=keyValues,values", None, 400, "BadRequest", "exclude"),
    "read unknown attribute": ("GET /v2/entities/E1/attrs/b", None, 404, "NotFound", "b"),
    "read value of unknown attribute": ("GET /v2/entities/E1/attrs/b/value", None, 404, "NotFound", "b"),
    "put unknown attribute": ("PUT /v2/entities/E1/attrs/b", VALUE, 404, "NotFound", "b"),
    "put bare value": ("PUT /v2/entities/E1/attrs/a", [1], 400, "BadRequest", "an array"),
    "put reserved name": ("PUT /v2/entities/E1/attrs/type", VALUE, 400, "BadRequest", "'type'"),
    "delete unknown attribute": ("DELETE /v2/entities/E1/attrs/b", None, 404, "NotFound", "b"),
    "limit zero": ("GET /v2/entities?limit=0", None, 400, "BadRequest", "limit"),
    "limit too high": ("GET /v2/entities?limit=1001", None, 400, "BadRequest", "limit"),
    "limit a word": ("GET /v2/entities?limit=ten", None, 400, "BadRequest", "limit"),
    "negative offset": ("GET /v2/entities?offset=-1", None, 400, "BadRequest", "offset"),
    "bad pattern": ("GET /v2/entities?idPattern=(", None, 400, "BadRequest", "regular expression"),
    "look-ahead": ("GET /v2/entities?idPattern=(%3F=a)", None, 400, "BadRequest", "regular expression"),
    "explosive pattern": ("GET /v2/entities?idPattern=((a{99}){99}){99}", None, 400, "BadRequest", "regular"),
    "long pattern": (f"GET /v2/entities?typePattern={'a' * 513}", None, 400, "BadRequest", "513"),
    "id and pattern": ("GET /v2/entities?id=a&idPattern=b", None, 400, "BadRequest", "exclude"),
    "type and pattern": ("GET /v2/entities?type=a&typePattern=b", None, 400, "BadRequest", "exclude"),
    "empty id": ("GET /v2/entities?id=", None, 400, "BadRequest", "id"),
    "empty q": ("GET /v2/entities?q=", None, 400, "BadRequest", "q"),
    "bad q": ("GET /v2/entities?q=a==", None, 400, "BadRequest", "q"),
    "short mq": ("GET /v2/entities?mq=a==1", None, 400, "BadRequest", "attribute.metadata"),
    "geographical": ("GET /v2/entities?georel=near&geometry=point&coords=1,2", None, 501, "NotImplemented", "georel"),
    "by distance": ("GET /v2/entities?orderBy=geo:distance", None, 501, "NotImplemented", "geo:distance"),
    "empty order": ("GET /v2/entities?orderBy=a,,b", None, 400, "BadRequest", "orderBy"),
    "empty attrs": ("GET /v2/entities?attrs=", None, 400, "BadRequest", "attrs"),
    "query unknown member": ("POST /v2/op/query", {"filter": 1}, 400, "BadRequest", "'filter'"),
    "query without id": ("POST /v2/op/query", {"entities": [{"type": "T"}]}, 400, "BadRequest", "idPattern"),
    "query bad entities": ("POST /v2/op/query", {"entities": 1}, 400, "BadRequest", "entities"),
    "query bad pattern": ("POST /v2/op/query", {"entities": [{"idPattern": 1}]}, 400, "BadRequest", "idPattern"),
    "query bad attrs": ("POST /v2/op/query", {"attrs": "a"}, 400, "BadRequest", "attrs"),
    "query bad names": ("POST /v2/op/query", {"metadata": [1]}, 400, "BadRequest", "metadata"),
    "query bad expression": ("POST /v2/op/query", {"expression": {"q": 1}}, 400, "BadRequest", "'q'"),
    "query geographical": ("POST /v2/op/query", {"expression": {"georel": "near"}}, 501, "NotImplemented", "geo"),
    "unknown type": ("GET /v2/types/U", None, 404, "NotFound", "U"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "body", "status", "error", "said"), LINES.values(), ids=LINES)
def test_request_is_refused(api: EntitiesClient, line: str, body: object, status: int, error: str, said: str) -> None:
    rest.assert_error(api.call(line, body), status, error, said)
    assert unchanged(api)


PATHS = ["city", "/a b", "//", "/a//b", "/" + "x" * 51, "/a" * 11, "/é", "/a,b"]


@pytest.mark.parametrize("path", [*PATHS, "/#", "/a/#", "/a,/b"])
def test_write_is_refused_when_the_service_path_is_not_one_path(api: EntitiesClient, path: str) -> None:
    rest.assert_error(api.call("POST /v2/entities", {"id": "N"}, path=path), 400, "BadRequest", "Fiware-ServicePath")
    assert unchanged(api)


@pytest.mark.parametrize("path", [*PATHS, "#", "/a#", ",", ",".join(["/a"] * 11)])
def test_read_is_refused_when_the_service_path_is_malformed(api: EntitiesClient, path: str) -> None:
    rest.assert_error(api.call("GET /v2/entities", path=path), 400, "BadRequest", "Fiware-ServicePath")


VALUES = {
    "word": ("on", "text/plain", 400, "BadRequest"),
    "infinite": ("1e999", "text/plain", 400, "BadRequest"),
    "open quote": ('"on', "text/plain", 400, "BadRequest"),
    "array as text": ("[1]", "text/plain", 400, "BadRequest"),
    "empty": ("", "text/plain", 400, "BadRequest"),
    "forbidden": ('"a(b)"', "text/plain", 400, "BadRequest"),
    "scalar as JSON": ("1", "application/json", 400, "BadRequest"),
    "not JSON": ("{", "application/json", 400, "ParseError"),
    "operator": ('{"$inc":1}', "application/json", 501, "NotImplemented"),
    "other type": ("1", "application/xml", 415, "UnsupportedMediaType"),
}


@pytest.mark.parametrize(("text", "media_type", "status", "error"), VALUES.values(), ids=VALUES)
def test_value_is_refused(api: EntitiesClient, text: str, media_type: str, status: int, error: str) -> None:
    answer = api.call("PUT /v2/entities/E1/attrs/a/value", text=text, headers={"Content-Type": media_type})
    rest.assert_error(answer, status, error)
    assert unchanged(api)


def test_value_is_not_given_in_a_type_that_the_caller_does_not_accept(api: EntitiesClient) -> None:
    answer = api.call("GET /v2/entities/E1/attrs/a/value", headers={"Accept": "application/json"})
    rest.assert_error(answer, 406, "NotAcceptable", "text/plain")


def test_unrestricted_text_may_hold_what_is_forbidden_elsewhere(api: EntitiesClient) -> None:
    body = {"id": "N", "a": {"type": "TextUnrestricted", "value": "<b>'x'</b>"}}
    assert api.call("POST /v2/entities", body).status == 201
    url = "/v2/entities/N/attrs/a/value"
    assert api.call(f"PUT {url}", text='"(y)"', headers={"Content-Type": "text/plain"}).status == 204
    assert api.call(f"GET {url}").text == '"(y)"'


def test_update_of_some_attributes_is_done_when_others_are_unknown(api: EntitiesClient) -> None:
    answer = api.call("PATCH /v2/entities/E1/attrs", {"a": {"value": 2}, "b": {"value": 3}})
    rest.assert_error(answer, 422, "PartialUpdate", "do not exist: E1/T - [ b ]")
    assert api.call("GET /v2/entities/E1?options=keyValues").json == {"id": "E1", "type": "T", "a": 2}
