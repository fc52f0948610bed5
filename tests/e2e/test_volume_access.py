"""Keys and environments on every route of the template that is about volumes: 403 in the documented form, never 401."""

import pytest

from tests.e2e.routes import REFUSED_IN_ENVIRONMENTS, SERVED_IN_ENVIRONMENTS, Route
from tests.e2e.served import Served, send
from tests.local.http_messages import Answer
from tidemark.dialects.cloudca.routes import action
from tidemark.domain.api_key import Action

ANY_ID = "1bd672f4-b274-4371-a792-b0a6c6778cc7"
ANYTHING = {
    "serviceCode": "compute-on",
    "environmentName": "test_area",
    "snapshotId": ANY_ID,
    "volumeId": ANY_ID,
    "taskId": ANY_ID,
    "scheduleId": ANY_ID,
}
NOWHERE = Route("GET", "/v1/no/such/path")
TEST_AREA = "compute-on/test_area"


def ask(served: Served, route: Route, **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(served.url, route.method, route.filled(ANYTHING), fields, None)


def error_code(answer: Answer) -> int:
    """The code of a refusal, which has the documented form."""
    [one] = answer.json()["errors"]
    assert list(one) == ["code", "errorCode", "message", "context"]
    assert one["message"]
    return int(one["code"])


@pytest.mark.parametrize("route", [*SERVED_IN_ENVIRONMENTS, *REFUSED_IN_ENVIRONMENTS, NOWHERE], ids=str)
def test_route_refuses_whoever_has_no_usable_key(served_stack: Served, route: Route) -> None:
    for headers in ({}, {"MC_Api_Key": "tm_" + "A" * 43}, {"MC_Api_Key": "nonsense"}, {"Authorization": "Bearer x"}):
        answer = ask(served_stack, route, **headers)
        assert (answer.status, error_code(answer)) == (403, 401)
        assert "MC-Api-Key" in answer.text


@pytest.mark.parametrize("route", SERVED_IN_ENVIRONMENTS, ids=str)
def test_route_refuses_a_key_of_another_environment_or_of_tenants(served_stack: Served, route: Route) -> None:
    tenants = served_stack.key(environments=())
    assert ask(served_stack, route, MC_Api_Key=tenants).status == 403
    other = ask(served_stack, route, MC_Api_Key=served_stack.key(tenants=(), environments=("compute-on/other",)))
    # A task is of the environment that its record says, so it is not there for others.
    expected = 403 if "environmentName" in route.variables else 404
    assert (other.status, error_code(other)) == (expected, expected)


@pytest.mark.parametrize("route", SERVED_IN_ENVIRONMENTS, ids=str)
def test_route_refuses_a_key_for_other_actions(served_stack: Served, route: Route) -> None:
    needed = action(route.method, route.path)
    others = {one.value for one in Action} - {needed.value, Action.ADMIN.value}
    answer = ask(served_stack, route, MC_Api_Key=served_stack.key(actions=others, environments=(TEST_AREA,)))
    assert (answer.status, error_code(answer)) == (403, 403)


@pytest.mark.parametrize("route", SERVED_IN_ENVIRONMENTS, ids=str)
def test_route_finds_no_thing_and_no_environment_that_is_not_there(served_stack: Served, route: Route) -> None:
    key = served_stack.key(tenants=(), environments=("*",))
    if {"snapshotId", "volumeId", "taskId", "scheduleId"} & set(route.variables):
        answer = ask(served_stack, route, MC_Api_Key=key)
        # A request that needs a body or an operation may be told so first.
        expected = {404} if route.method in {"GET", "DELETE"} else {400, 404}
        assert answer.status in expected
        assert error_code(answer) in expected
    if "environmentName" in route.variables:
        path = route.filled({**ANYTHING, "environmentName": "nowhere"})
        answer = send(served_stack.url, route.method, path, {"MC-Api-Key": key}, None)
        assert answer.status in ({404} if route.method in {"GET", "DELETE"} else {400, 404})
        assert error_code(answer) in {400, 404}


@pytest.mark.parametrize("route", REFUSED_IN_ENVIRONMENTS, ids=str)
def test_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(served_stack: Served, route: Route) -> None:
    answer = ask(served_stack, route, MC_Api_Key=served_stack.key(environments=("*",)))
    assert (answer.status, error_code(answer)) == (405, 405)
    assert answer.headers["Allow"]
