"""Requests made from the API's description, good and bad: the stack never fails, and each answer is a described one.

`TIDEMARK_DESCRIPTION_EXAMPLES` says how many requests of each kind a route gets. By default they are few and the same
ones in each run; with it, others each time.
"""

import copy
import os
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tests.local.keys import headers_of
from tidemark.dialects.cloudca.routes import serves
from tidemark.dialects.ngsi.openapi.document import OPERATIONS as DESCRIBED
from tidemark.dialects.ngsi.openapi.document import build
from tidemark.dialects.ngsi.openapi.forms import FORMS, ROOM
from tidemark.dialects.ngsi.openapi.operation import JSON, Operation

TENANT = "described"
# The one that examples of the description name.
OTHER_TENANT = "staging"
SCHEDULE = {"expression": "cron(0 2 * * ? *)", "retention": {"daily": 7}}
ENTITY, SPARE_ENTITY = "urn:ngsi-ld:Room:0001", "urn:ngsi-ld:Room:0002"
OPERATIONS = {route: one for route, one in DESCRIBED.items() if not serves(route.split(" ")[1])}
CHECKED = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
FAILURES = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
# These start work that goes on after their answer, so a few of them say as much as many.
SLOW = {
    "POST /v2/snapshots",
    "POST /v2/snapshots/{snapshotId}/copy",
    "POST /v2/snapshots/{snapshotId}/restore",
    "POST /v2/snapshots/{snapshotId}/verify",
}
_WANTED: Final = os.environ.get("TIDEMARK_DESCRIPTION_EXAMPLES")
EXAMPLES: Final = int(_WANTED or 6)
EXAMPLES_OF_SLOW: Final = -(-EXAMPLES // 2)
# Requests with longer lines are refused before they reach any function, here and by API Gateway.
LONGEST_QUERY_CHARS = 1000
NEVER_BAD = {"GET /v2", "GET /version", "GET /health", "GET /openapi.json", "GET /docs"}
"""They look at nothing that a request says."""
REFUSED = {"POST /v2/subscriptions": 501, "POST /v2/registrations": 501, "DELETE /v2/restores/{restoreId}": 409}
"""What is asked for in vain: of what is not supported, and of a restore that is over."""

schemathesis.openapi.format("re2", st.sampled_from([".*", "^Room", "1$", "[0-9]{4}", "a|b"]))
schemathesis.openapi.format(
    "ngsi-query", st.sampled_from(["temperature>20", "temperature;!broken", "temperature==1..30", "name~=^R"])
)
schemathesis.openapi.format("lifetime", st.sampled_from(["P30D", "PT12H", "P1W", "PT1M"]))
schemathesis.openapi.format(
    "schedule-expression",
    st.sampled_from(["rate(1 hour)", "rate(7 days)", "cron(0 2 * * ? *)", "cron(0 4 ? * SUN *)", "cron(0 0 31 2 ? *)"]),
)
schemathesis.openapi.format("timezone", st.sampled_from(["UTC", "Europe/Paris", "America/St_Johns", "Mars/Olympus"]))


class World(NamedTuple):
    """A stack, somebody who may do everything in two tenants, and ids of what is in the first of them.

    `spare` names what may be changed and deleted, so that what is read stays.
    """

    served: Served
    call: Caller
    ids: Mapping[str, str]
    spare: Mapping[str, str]

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return headers_of(str(self.call.key), TENANT)

    def named(self, method: str, path: str) -> dict[str, str]:
        """The variables of a path, as names of what is there."""
        ids = self.ids if method == "GET" else self.spare
        return {name: ids[name] for name in ids if f"{{{name}}}" in path}


# A failing request is made smaller, which takes many more.
pytestmark = pytest.mark.timeout(120 + 5 * EXAMPLES)


@pytest.fixture(scope="module")
def world(served_stack: Served) -> World:
    call = Caller(served_stack.url, served_stack.key([TENANT, OTHER_TENANT]), TENANT)
    walk.put_rooms(call, 3, 21.5)
    snapshot, spare = (walk.create(call, description)["id"] for description in ("kept", "spare"))
    walk.put_rooms(call, 2, 25)
    planned = call("POST", f"/v2/snapshots/{snapshot}/restore", {"dryRun": True}).json()
    kept, spare_schedule = (call("POST", "/v2/schedules", SCHEDULE).json()["id"] for _ in range(2))
    ids = {
        "scheduleId": kept,
        "snapshotId": snapshot,
        "restoreId": walk.restore(call, snapshot)["id"],
        "planId": planned["plan"],
        "entityId": ENTITY,
        "attrName": "temperature",
        "typeName": "Room",
    }
    spares = {"snapshotId": spare, "entityId": SPARE_ENTITY, "scheduleId": spare_schedule}
    return World(served_stack, call, ids, ids | spares)


@cache
def described() -> Any:
    """The description, in which answers may have no member that is not described."""
    document = copy.deepcopy(build())
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object" and name not in FORMS.keys() | {"ErrorBody", "CloudcaErrorBody"}:
            schema.setdefault("additionalProperties", False)
    return schemathesis.openapi.from_dict(document)


def _optional(operation: Operation) -> list[str]:
    """The query parameters that may be left out."""
    return [one.name for one in operation.parameters if one.place == "query" and not one.required]


def check(world: World, session: requests.Session, case: Any) -> int:
    """Send a request and check the answer; its status."""
    response = case.call(base_url=world.served.url, session=session)
    status: int = response.status_code
    assert status not in FAILURES, (case, response.text, world.served.log_lines()[-3:])
    case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))
    return status


def attempt(world: World, route: str, mode: GenerationMode) -> None:
    """Send requests of a route, to what is there and to what is not, and check the answers."""
    method, path = route.split(" ")
    operation = described()[path][method]
    if "entit" in path:
        walk.put_rooms(world.call, 3, 25)
    if "schedules" in path:
        _keep_to_the_worlds_schedules(world)
    cases: SearchStrategy[Any] = operation.as_strategy(generation_mode=mode, headers=world.headers())
    if there := world.named(method, path):
        cases |= operation.as_strategy(generation_mode=mode, headers=world.headers(), path_parameters=there)

    @settings(
        max_examples=EXAMPLES_OF_SLOW if route in SLOW else EXAMPLES,
        derandomize=_WANTED is None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def send(case: Any) -> None:
        assume(len(repr(case.query)) < LONGEST_QUERY_CHARS)
        check(world, session, case)

    with requests.Session() as session:
        send()


@pytest.mark.parametrize("route", OPERATIONS)
def test_examples_of_the_description_are_obeyed(world: World, route: str) -> None:
    method, path = route.split(" ")
    operation, entry = described()[path][method], OPERATIONS[route]
    walk.put_rooms(world.call, 3, 25)
    query = {one.name: one.example for one in entry.parameters if one.required}
    examples = [{"body": example, "media_type": JSON} for example in entry.body.examples.values()] if entry.body else []
    for example in examples or [{}]:
        if route == "POST /v2/schedules":
            _keep_to_the_worlds_schedules(world)
        named = world.named(method, path) | _made_for(world.call, route, world.spare["snapshotId"])
        with requests.Session() as session:
            case = operation.Case(path_parameters=named, query=query, headers=world.headers(), **example)
            status = check(world, session, case)
        assert status in entry.answers or status == REFUSED.get(route)
        if route.endswith("/restore") and status == HTTPStatus.ACCEPTED:
            _wait_for_restores(world)


def _made_for(call: Caller, route: str, spare: str) -> dict[str, str]:
    """What a route needs to be there before, or not to be; variables of its path that name what was made."""
    match route:
        case "POST /v2/snapshots/{snapshotId}/undelete":
            # The examples of a change have pinned it and put it under a hold.
            for let_go in ({"legalHold": False}, {"pinned": False}):
                assert call("PATCH", f"/v2/snapshots/{spare}", let_go).status == 204
            assert call("DELETE", f"/v2/snapshots/{spare}").status == 204
        case "POST /v2/entities":
            call("DELETE", f"/v2/entities/{ROOM['id']}")
        case "DELETE /v2/snapshots/{snapshotId}":
            return {"snapshotId": walk.create(call)["id"]}
        case "DELETE /v2/schedules/{scheduleId}":
            return {"scheduleId": call("POST", "/v2/schedules", SCHEDULE).json()["id"]}
        case "GET /v2/snapshots/{snapshotId}/import":
            return {"snapshotId": call("POST", "/v2/snapshots/import", {"sizeBytes": 1}).json()["id"]}
        case "POST /v2/snapshots/{snapshotId}/import":
            listing = b'[{"id": "Room1", "type": "Room"}]'
            opened = call("POST", "/v2/snapshots/import", {"sizeBytes": len(listing)}).json()
            assert requests.put(opened["files"][0]["urls"][0], listing, timeout=10).status_code == HTTPStatus.OK
            return {"snapshotId": opened["id"]}
        case _:
            pass
    return {}


def _keep_to_the_worlds_schedules(world: World) -> None:
    """Leave the tenant room for more."""
    for one in world.call("GET", "/v2/schedules?limit=100").json():
        if one["id"] not in {world.ids["scheduleId"], world.spare["scheduleId"]}:
            assert world.call("DELETE", f"/v2/schedules/{one['id']}").status == HTTPStatus.NO_CONTENT


@pytest.mark.parametrize(
    "route", [route for route, operation in OPERATIONS.items() if _optional(operation) and route not in SLOW]
)
def test_answers_are_described_when_one_parameter_alone_is_wrong(world: World, route: str) -> None:
    method, path = route.split(" ")
    entry, named = OPERATIONS[route], world.named(method, path)
    body = {"body": next(iter(entry.body.examples.values())), "media_type": JSON} if entry.body else {}
    required = {one.name: one.example for one in entry.parameters if one.required}
    with requests.Session() as session:
        for name in _optional(entry):
            for junk in ("", "-1;<"):
                query = {**required, name: junk}
                case = described()[path][method].Case(
                    path_parameters=named, query=query, headers=world.headers(), **body
                )
                check(world, session, case)


def _wait_for_restores(world: World) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        call = Caller(world.served.url, world.call.key, tenant)
        for restore in call("GET", "/v2/restores").json():
            assert walk.over(call, restore["id"])["status"] == "completed"


@pytest.mark.parametrize("route", OPERATIONS)
def test_answers_are_described_when_requests_fit_the_description(world: World, route: str) -> None:
    attempt(world, route, GenerationMode.POSITIVE)


@pytest.mark.parametrize("route", [route for route in OPERATIONS if route not in NEVER_BAD])
def test_answers_are_described_when_requests_do_not_fit_the_description(world: World, route: str) -> None:
    attempt(world, route, GenerationMode.NEGATIVE)
