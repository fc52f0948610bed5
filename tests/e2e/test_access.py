"""Keys and tenants on every route of the template: nothing without a key, and nobody sees another tenant's things."""

import http.client
import json
from typing import Any, NamedTuple

import pytest

from tests.e2e import walk
from tests.e2e.routes import OPEN_TO_ALL, REFUSED, SERVED, Route
from tests.e2e.served import Caller, Served

ANYTHING = {
    "entityId": "x",
    "attrName": "x",
    "typeName": "x",
    "snapshotId": "x",
    "restoreId": "x",
    "planId": "x",
    "scheduleId": "x",
    "proxy": "no/such/path",
}
SECRET = "only-the-owner-may-read-this"
ACTIONS = {"read", "write", "snapshot", "restore"}
ATTRIBUTE = {"type": "Text", "value": "changed by a stranger", "metadata": {}}
QUERIES = {"/v2/snapshots/{snapshotId}/diff": "?with=live"}
# What a request of a stranger carries, where it carries something. A route that is not here is sent `{}`.
BODIES: dict[str, Any] = {
    "POST /v2/entities": {"id": "mine", "type": "Room"},
    "POST /v2/entities/{entityId}/attrs": {"note": ATTRIBUTE},
    "PATCH /v2/entities/{entityId}/attrs": {"note": ATTRIBUTE},
    "PUT /v2/entities/{entityId}/attrs": {"note": ATTRIBUTE},
    "PUT /v2/entities/{entityId}/attrs/{attrName}": ATTRIBUTE,
    "PUT /v2/entities/{entityId}/attrs/{attrName}/value": {"changed": True},
    "PATCH /v2/snapshots/{snapshotId}": {"description": "changed by a stranger"},
    "POST /v2/op/update": {"actionType": "append", "entities": [{"id": "mine", "type": "Room"}]},
    "POST /v2/op/query": {"entities": [{"idPattern": ".*"}]},
    "POST /v2/snapshots/import": {"sizeBytes": 1},
    "POST /v2/snapshots/{snapshotId}/copy": {"service": "stranger"},
    "POST /v2/schedules": {"expression": "rate(1 day)"},
    "PATCH /v2/schedules/{scheduleId}": {"description": "changed by a stranger"},
}
OPEN_TO_STRANGERS = {200, 201, 204, 501}
"""What a route answers to somebody about their own, empty tenant where it names no thing of the owner's."""


def needed_action(route: Route) -> str:
    """The action that a key must be made for, as documented."""
    # What answers with addresses to write to is no reading.
    if (route.method == "GET" and not route.path.endswith("/import")) or route.path.endswith(("/query", "/preview")):
        return "read"
    if route.path.endswith("/restore") or route.path.startswith("/v2/restores"):
        return "restore"
    return "snapshot" if route.path.startswith(("/v2/snapshots", "/v2/schedules")) else "write"


class Owned(NamedTuple):
    """A tenant with an entity, a snapshot, a restore and a schedule, and the ids of all that."""

    call: Caller
    ids: dict[str, str]

    def everything(self) -> list[Any]:
        """All that can be seen of the tenant."""
        paths = ("/v2/entities?limit=1000", "/v2/snapshots", "/v2/restores", "/v2/types", "/v2/schedules")
        return [self.call("GET", path).json() for path in paths]


@pytest.fixture(scope="module")
def owned(served_stack: Served) -> Owned:
    call = served_stack.caller("owner_of_things")
    note = {"type": "Text", "value": SECRET, "metadata": {}}
    assert call("POST", "/v2/entities", {"id": "vault", "type": "Vault", "note": note}).status == 201
    snapshot = walk.create(call, SECRET)["id"]
    restore = walk.restore(call, snapshot)["id"]
    plan = call("POST", f"/v2/snapshots/{snapshot}/restore", {"dryRun": True}).json()["plan"]
    # It shows no next run, which would change while the tests run.
    nightly = {"expression": "cron(0 2 * * ? *)", "description": SECRET, "retention": {"daily": 7}, "paused": True}
    schedule = call("POST", "/v2/schedules", nightly).json()["id"]
    names = {
        "entityId": "vault",
        "attrName": "note",
        "typeName": "Vault",
        "snapshotId": snapshot,
        "restoreId": restore,
        "planId": plan,
        "scheduleId": schedule,
    }
    return Owned(call, names)


@pytest.fixture(scope="module")
def stranger(served_stack: Served) -> Caller:
    """May do everything in a tenant of their own, which is empty."""
    return served_stack.caller("stranger")


@pytest.mark.parametrize("route", [*SERVED, *REFUSED], ids=str)
def test_route_refuses_whoever_has_no_usable_key(served_stack: Served, route: Route) -> None:
    path = route.filled(ANYTHING)
    without = Caller(served_stack.url, None, "owner_of_things")
    answers = [
        without(route.method, path),
        without(route.method, path, authorization="Bearer tm_" + "A" * 43),
        without(route.method, path, authorization="Bearer nonsense"),
        without(route.method, path, x_api_key="tm_" + "A" * 43),
    ]
    for answer in answers:
        walk.assert_error(answer, 401, "Unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("route", OPEN_TO_ALL, ids=str)
def test_open_route_asks_nobody_for_a_key_and_tells_nothing_of_a_tenant(
    served_stack: Served, owned: Owned, route: Route
) -> None:
    anybody = Caller(served_stack.url, None, owned.call.tenant)
    answers = [anybody(route.method, route.path), anybody(route.method, route.path, authorization="Bearer nonsense")]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert not any(told in answers[0].text for told in (SECRET, owned.call.tenant, owned.ids["restoreId"]))


@pytest.mark.parametrize("route", [*SERVED, *REFUSED], ids=str)
def test_route_refuses_a_key_when_it_is_for_another_tenant(stranger: Caller, owned: Owned, route: Route) -> None:
    answer = stranger(route.method, route.filled({**ANYTHING, **owned.ids}), fiware_service=owned.call.tenant)
    walk.assert_error(answer, 403, "Forbidden")
    assert SECRET not in answer.text


@pytest.mark.parametrize("route", SERVED, ids=str)
def test_route_refuses_a_key_when_it_is_for_other_actions(served_stack: Served, owned: Owned, route: Route) -> None:
    others = served_stack.caller(owned.call.tenant, ACTIONS - {needed_action(route)})
    answer = others(route.method, route.filled(owned.ids), BODIES.get(str(route), {}))
    walk.assert_error(answer, 403, "Forbidden")
    assert SECRET not in answer.text


@pytest.mark.parametrize("route", SERVED, ids=str)
def test_route_shows_a_stranger_nothing_of_a_tenant(stranger: Caller, owned: Owned, route: Route) -> None:
    before = owned.everything()
    document = None if route.method in {"GET", "DELETE"} else BODIES.get(str(route), {})
    answer = stranger(route.method, route.filled(owned.ids) + QUERIES.get(route.path, ""), document)
    assert SECRET not in answer.text
    if route.variables:
        walk.assert_error(answer, 404, "NotFound")
    else:
        assert answer.status in OPEN_TO_STRANGERS or document == {}, answer.text
    assert owned.everything() == before


def test_lists_hold_nothing_of_another_tenant(served_stack: Served, owned: Owned) -> None:
    call = served_stack.caller("stranger_with_empty_lists")
    lists = [route for route in SERVED if route.method == "GET" and not route.variables]
    shown = {route.path: call("GET", route.path).json() for route in lists}
    assert {path: found for path, found in shown.items() if path not in {"/version", "/v2"}} == {
        path: [] for path in shown if path not in {"/version", "/v2"}
    }
    assert len(shown) >= 9
    assert owned.ids["snapshotId"] not in json.dumps(shown)


def test_key_of_one_tenant_reaches_no_other_when_the_request_names_two(served_stack: Served, owned: Owned) -> None:
    call = served_stack.caller("two_names")
    other = owned.call.tenant
    renamed: list[Any] = [{"ngsild_tenant": other}, {"fiware_service": None, "ngsild_tenant": other}]
    for headers in renamed:
        answer = call("GET", "/v2/entities", **headers)
        assert SECRET not in answer.text
        assert (answer.status, answer.text[:2]) in {(200, "[]"), (403, '{"')}
    for first, second in (("two_names", other), (other, "two_names")):
        connection = http.client.HTTPConnection(served_stack.url.removeprefix("http://"), timeout=30)
        connection.putrequest("GET", "/v2/entities")
        for value in (first, second):
            connection.putheader("Fiware-Service", value)
        connection.putheader("Authorization", f"Bearer {call.key}")
        connection.endheaders()
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert SECRET not in text
        assert response.status in {200, 400, 403}


def test_tenant_name_is_the_same_in_any_case(owned: Owned) -> None:
    answer = owned.call("GET", "/v2/entities/vault", fiware_service=owned.call.tenant.upper())
    assert answer.json()["note"]["value"] == SECRET


@pytest.mark.parametrize("header", ["x_api_key", "mc_api_key"])
def test_key_is_accepted_in_other_headers(owned: Owned, header: str) -> None:
    key: dict[str, Any] = {header: owned.call.key}
    answer = owned.call("GET", "/v2/entities/vault", authorization=None, **key)
    assert answer.status == 200
