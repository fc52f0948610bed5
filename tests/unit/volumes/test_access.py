"""The routes of the cloud.ca dialect, and which keys may call them in which environment."""

import msgspec
import pytest

from tests.fakes import memory_ports
from tests.unit.volumes.examples import TEN_O_CLOCK, TEST_AREA
from tidemark.dialects.cloudca.routes import (
    METHODS,
    SNAPSHOT,
    SNAPSHOTS,
    TASK,
    VOLUME,
    action,
    of_environment,
    permits,
    refusal,
    serves,
)
from tidemark.dialects.ngsi.routes import METHODS as NGSI_METHODS
from tidemark.domain.api_key import Action, ApiKey, holds, holds_environment
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest, MethodNotAllowed, RouteNotFound
from tidemark.usecases.keys import create_key

PRODUCTION = EnvironmentId("compute-on/production")


def key(*actions: Action, environments: tuple[str, ...] = (TEST_AREA,), tenants: tuple[str, ...] = ()) -> ApiKey:
    wanted = actions or (Action.ADMIN,)
    return create_key(memory_ports(), name="volumes", tenants=tenants, actions=wanted, environments=environments).key


def test_paths_of_this_dialect_are_told_from_those_of_others() -> None:
    assert all(serves(route) for route in METHODS)
    assert not any(serves(route) for route in NGSI_METHODS)
    assert not serves("/v10/snapshots")


def test_every_path_but_a_tasks_names_its_environment() -> None:
    assert {route for route in METHODS if not of_environment(route)} == {TASK}


@pytest.mark.parametrize(
    ("method", "route", "needed"),
    [
        ("GET", SNAPSHOTS, Action.READ),
        ("GET", SNAPSHOT, Action.READ),
        ("GET", TASK, Action.READ),
        ("GET", VOLUME, Action.READ),
        ("POST", SNAPSHOTS, Action.SNAPSHOT),
        ("DELETE", SNAPSHOT, Action.SNAPSHOT),
        ("POST", SNAPSHOT, Action.RESTORE),
        ("DELETE", TASK, Action.RESTORE),
        ("PUT", SNAPSHOT, Action.READ),
        ("POST", "/v1/nothing", Action.READ),
    ],
)
def test_route_needs_the_action_that_it_is(method: str, route: str, needed: Action) -> None:
    assert action(method, route) is needed


def test_what_no_function_serves_is_refused_by_path_or_method() -> None:
    assert isinstance(refusal("GET", "/v1/nothing"), RouteNotFound)
    wrong = refusal("PUT", SNAPSHOT)
    assert isinstance(wrong, MethodNotAllowed)
    assert wrong.allow == ("GET", "POST", "DELETE")


@pytest.mark.parametrize(("method", "route"), [(method, route) for route in METHODS for method in METHODS[route]])
def test_key_opens_its_own_environment_and_no_other(method: str, route: str) -> None:
    assert permits(key(), method, route, TEST_AREA)
    assert not permits(key(), method, route, PRODUCTION)
    assert permits(key(environments=("*",)), method, route, PRODUCTION)


@pytest.mark.parametrize("held", list(Action))
@pytest.mark.parametrize(("method", "route"), [(method, route) for route in METHODS for method in METHODS[route]])
def test_key_does_what_it_was_made_for_and_nothing_else(held: Action, method: str, route: str) -> None:
    assert permits(key(held), method, route, TEST_AREA) == (held in {action(method, route), Action.ADMIN})


def test_key_of_tenants_alone_opens_no_environment_and_the_other_way_round() -> None:
    tenants = key(environments=(), tenants=("*",))
    assert not permits(tenants, "GET", SNAPSHOTS, TEST_AREA)
    assert not permits(tenants, "GET", TASK, None)
    environments = key(environments=("*",))
    assert not environments.allows(Tenant("default"), Action.READ)
    assert not holds(environments.held, Tenant("default"))


def test_task_is_asked_for_with_a_key_of_any_environment() -> None:
    assert permits(key(Action.READ), "GET", TASK, None)
    assert not permits(key(Action.WRITE), "GET", TASK, None)


@pytest.mark.parametrize(
    ("environments", "held"),
    [((), ""), (("b/x", "a/y"), "a/y,b/x"), (("a/y", "*"), "*")],
)
def test_functions_are_told_every_environment_that_the_key_holds(environments: tuple[str, ...], held: str) -> None:
    one = key(environments=environments, tenants=("smartcity",))
    assert one.held_environments == held
    assert holds_environment(held, EnvironmentId("a/y")) == bool(environments)
    assert holds_environment(held, EnvironmentId("a/z")) == (held == "*")
    assert not holds_environment("", EnvironmentId("a/y"))


def test_key_is_made_for_environments_that_can_be() -> None:
    with pytest.raises(InvalidRequest, match="no slash"):
        key(environments=("test_area",))
    with pytest.raises(InvalidRequest, match="at least one tenant"):
        key(environments=())


def test_key_that_was_stored_before_there_were_environments_holds_none() -> None:
    stored = msgspec.to_builtins(ApiKey("0" * 64, "old", frozenset({"*"}), frozenset({Action.ADMIN}), TEN_O_CLOCK))
    del stored["environments"]
    assert msgspec.convert(stored, ApiKey).environments == frozenset()
