"""The authorizer: who gets in, who is told 401, who 403, and that no answer is good for more than was asked."""

import fnmatch
from collections.abc import Mapping
from typing import Any

import pytest

from functions.authorizer import handler as authorizer
from tests.handlers.rest import Context, Event, request
from tidemark.dialects.ngsi.routes import METHODS, action
from tidemark.domain.api_key import Action
from tidemark.ports import Ports
from tidemark.usecases.keys import create_key

ARN = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/v1"


def secret(ports: Ports, *actions: Action, tenants: tuple[str, ...] = ("smartcity",)) -> str:
    return create_key(ports, name="test", tenants=tenants, actions=actions or [Action.ADMIN]).secret


def asking(
    headers: Mapping[str, str | None], *, method: str = "POST", route: str = "/v2/snapshots", path: str | None = None
) -> Event:
    """What the gateway asks about a request; the sample's key is left out."""
    event = request("authorizer", "authorizer", headers={"Authorization": None, **headers}, path=path or route)
    return event | {"httpMethod": method, "resource": route, "methodArn": f"{ARN}/{method}{path or route}"}


def effect(policy: Mapping[str, Any]) -> str:
    [statement] = policy["policyDocument"]["Statement"]
    return str(statement["Effect"])


def bearer(key: str) -> dict[str, str | None]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "header",
    [("Authorization", "Bearer {}"), ("authorization", "bearer  {} "), ("X-Api-Key", "{}"), ("mc-api-key", "{}")],
)
def test_key_is_accepted_in_each_of_its_headers(ports: Ports, header: tuple[str, str]) -> None:
    key = secret(ports)
    policy = authorizer.handler(asking({header[0]: header[1].format(key)}), Context())
    assert effect(policy) == "Allow"
    assert policy["context"]["tenant"] == "smartcity"


def test_x_api_key_is_accepted_when_authorization_is_of_another_scheme(ports: Ports) -> None:
    headers = {"Authorization": "Basic dXNlcjpwdw==", "X-Api-Key": secret(ports)}
    assert effect(authorizer.handler(asking(headers), Context())) == "Allow"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer tm_" + "x" * 43},
        {"Authorization": "Basic dXNlcjpwdw=="},
        {"X-Api-Key": "nonsense"},
        {"X-Api-Key": "tm_" + "é" * 43},
    ],
)
def test_request_is_unauthorized_without_a_known_key(ports: Ports, headers: dict[str, str | None]) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer.handler(asking(headers), Context())


def test_request_is_denied_when_the_key_is_not_for_the_tenant(ports: Ports) -> None:
    headers = bearer(secret(ports)) | {"Fiware-Service": "othercity"}
    assert effect(authorizer.handler(asking(headers), Context())) == "Deny"


def test_request_is_denied_when_no_tenant_is_named_and_the_key_is_not_for_the_default(ports: Ports) -> None:
    headers = bearer(secret(ports)) | {"Fiware-Service": None}
    assert effect(authorizer.handler(asking(headers), Context())) == "Deny"


def test_request_is_allowed_for_any_tenant_when_the_key_has_the_star(ports: Ports) -> None:
    headers = bearer(secret(ports, tenants=("*",))) | {"Fiware-Service": "OtherCity"}
    policy = authorizer.handler(asking(headers), Context())
    assert (effect(policy), policy["context"]["tenant"]) == ("Allow", "othercity")


def test_no_tenant_is_granted_when_its_name_is_malformed(ports: Ports) -> None:
    headers = bearer(secret(ports, tenants=("*",))) | {"Fiware-Service": "no/such"}
    policy = authorizer.handler(asking(headers), Context())
    assert (effect(policy), "tenant" in policy["context"]) == ("Allow", False)


@pytest.mark.parametrize(
    ("tenants", "held"),
    [
        (("smartcity",), "smartcity"),
        (("smartcity", "Abc", "test_2"), "abc,smartcity,test_2"),
        (("smartcity", "*"), "*"),
    ],
)
def test_functions_are_told_every_tenant_that_the_key_holds(ports: Ports, tenants: tuple[str, ...], held: str) -> None:
    policy = authorizer.handler(asking(bearer(secret(ports, tenants=tenants))), Context())
    assert policy["context"]["tenants"] == held
    assert all(isinstance(value, str) for value in policy["context"].values())


def test_functions_are_told_every_action_that_the_key_is_made_for(ports: Ports) -> None:
    policy = authorizer.handler(asking(bearer(secret(ports, Action.SNAPSHOT, Action.HOLD))), Context())
    assert policy["context"]["actions"] == "hold,snapshot"


@pytest.mark.parametrize("held", list(Action))
@pytest.mark.parametrize(("method", "route"), [(method, route) for route in METHODS for method in METHODS[route]])
def test_key_does_what_it_was_made_for_and_nothing_else(ports: Ports, held: Action, method: str, route: str) -> None:
    policy = authorizer.handler(asking(bearer(secret(ports, held)), method=method, route=route), Context())
    assert (effect(policy) == "Allow") == (held in {action(method, route), Action.ADMIN})


@pytest.mark.parametrize(
    ("method", "route", "needed"),
    [
        ("GET", "/v2/entities", Action.READ),
        ("HEAD", "/v2/snapshots", Action.READ),
        ("POST", "/v2/op/query", Action.READ),
        ("POST", "/v2/op/update", Action.WRITE),
        ("DELETE", "/v2/entities/{entityId}", Action.WRITE),
        ("PUT", "/v2/entities/{entityId}/attrs/{attrName}/value", Action.WRITE),
        ("POST", "/v2/snapshots", Action.SNAPSHOT),
        ("DELETE", "/v2/snapshots/{snapshotId}", Action.SNAPSHOT),
        ("POST", "/v2/snapshots/{snapshotId}/restore", Action.RESTORE),
        ("POST", "/v2/snapshots/{snapshotId}/copy", Action.SNAPSHOT),
        ("DELETE", "/v2/restores/{restoreId}", Action.RESTORE),
        ("GET", "/v2/restores/{restoreId}", Action.READ),
        ("GET", "/{proxy+}", Action.READ),
        ("DELETE", "/{proxy+}", Action.READ),
    ],
)
def test_route_needs_the_action_that_it_is(method: str, route: str, needed: Action) -> None:
    assert action(method, route) is needed


@pytest.mark.parametrize(
    "path",
    ["/v2/snapshots/snapshot_2026-01-15T10-00-00Z", "/v2/snapshots/*", "/v2/snapshots/${aws:x}", "/v2/snapshots/(é?"],
)
def test_policy_is_good_for_the_called_path_alone(ports: Ports, path: str) -> None:
    event = asking(bearer(secret(ports)), method="DELETE", route="/v2/snapshots/{snapshotId}", path=path)
    [statement] = authorizer.handler(event, Context())["policyDocument"]["Statement"]
    resource = statement["Resource"]
    assert "*" not in resource
    assert "$" not in resource
    assert fnmatch.fnmatchcase(event["methodArn"], resource)
    assert not fnmatch.fnmatchcase(f"{ARN}/DELETE/v2/snapshots/another-one-of-this-tenant", resource)
    assert not fnmatch.fnmatchcase(event["methodArn"].replace("DELETE", "GET"), resource)


def test_policy_and_logs_hold_no_secret(ports: Ports, capsys: pytest.CaptureFixture[str]) -> None:
    key = secret(ports, Action.READ)
    policy = authorizer.handler(asking(bearer(key)), Context())
    with pytest.raises(Exception, match="Unauthorized"):
        authorizer.handler(asking(bearer("tm_" + "z" * 43)), Context())
    said = repr(policy) + capsys.readouterr().out
    assert "key not made for this" in said
    assert key not in said
    assert "tm_" not in said


# --- environments

TEST_AREA = "compute-on/test_area"
SNAPSHOTS = "/v1/services/{serviceCode}/{environmentName}/snapshots"
IN_TEST_AREA = "/v1/services/compute-on/test_area/snapshots"


def opening(ports: Ports, *environments: str, actions: tuple[Action, ...] = (Action.ADMIN,)) -> dict[str, str | None]:
    """The header of a key for environments."""
    made = create_key(ports, name="test", tenants=(), actions=actions, environments=environments)
    return {"MC-Api-Key": made.secret}


def of_environments(headers: Mapping[str, str | None], path: str = IN_TEST_AREA, **asked: Any) -> Mapping[str, Any]:
    return authorizer.handler(
        asking(headers, **{"method": "GET", "route": SNAPSHOTS, "path": path, **asked}), Context()
    )


def test_functions_are_told_the_environment_that_was_checked_and_all_that_the_key_holds(ports: Ports) -> None:
    policy = of_environments(opening(ports, TEST_AREA, "a/b"))
    assert effect(policy) == "Allow"
    assert (policy["context"]["environment"], policy["context"]["environments"]) == (TEST_AREA, f"a/b,{TEST_AREA}")
    assert "tenant" not in policy["context"]


def test_key_of_another_environment_is_denied_with_a_reason(ports: Ports) -> None:
    policy = of_environments(opening(ports, "compute-on/other"))
    assert effect(policy) == "Deny"
    assert "not for this environment" in policy["context"]["refusal"]
    assert policy["context"]["code"] == "403"


def test_key_of_every_tenant_opens_no_environment(ports: Ports) -> None:
    assert effect(of_environments(bearer(secret(ports, tenants=("*",))))) == "Deny"


def test_key_of_an_environment_opens_no_tenant(ports: Ports) -> None:
    policy = authorizer.handler(asking(opening(ports, "*")), Context())
    assert effect(policy) == "Deny"
    assert "not for this tenant" in policy["context"]["refusal"]


@pytest.mark.parametrize("headers", [{}, {"MC-Api-Key": "nonsense"}, {"Authorization": "Bearer tm_" + "x" * 43}])
@pytest.mark.parametrize(
    ("route", "path"),
    [
        (SNAPSHOTS, IN_TEST_AREA),
        ("/v1/tasks/{taskId}", "/v1/tasks/1bd672f4-b274-4371-a792-b0a6c6778cc7"),
        ("/{proxy+}", "/v1/nothing/here"),
        ("/{proxy+}", "/v1"),
    ],
)
def test_request_without_a_known_key_is_denied_where_401_is_no_answer(
    ports: Ports, headers: dict[str, str | None], route: str, path: str
) -> None:
    policy = of_environments(headers, path, route=route)
    assert effect(policy) == "Deny"
    assert list(policy["context"]) == ["refusal", "code"]
    assert policy["context"]["code"] == "401"


def test_unknown_path_of_another_dialect_is_unauthorized_without_a_key(ports: Ports) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        of_environments({}, "/v10/nothing", route="/{proxy+}")


def test_unknown_path_behind_a_base_path_is_told_by_its_own_part(ports: Ports) -> None:
    event = asking({}, method="GET", route="/{proxy+}", path="/volumes/v1/nothing")
    policy = authorizer.handler(event | {"pathParameters": {"proxy": "v1/nothing"}}, Context())
    assert effect(policy) == "Deny"


def test_environment_that_none_can_be_is_left_to_the_function_to_refuse(ports: Ports) -> None:
    policy = of_environments(opening(ports, "*"), "/v1/services/compute-on/BAD!/snapshots")
    assert (effect(policy), "environment" in policy["context"]) == ("Allow", False)
    assert effect(of_environments(bearer(secret(ports)), "/v1/services/compute-on/BAD!/snapshots")) == "Deny"


def test_refusals_can_stand_in_the_gateway_s_answer_as_they_are(ports: Ports) -> None:
    told = [
        of_environments({})["context"]["refusal"],
        of_environments(opening(ports, "a/b"))["context"]["refusal"],
        authorizer.handler(asking(bearer(secret(ports, tenants=("a",)))), Context())["context"]["refusal"],
    ]
    assert not any(set(one) & set('"\\') for one in told)
