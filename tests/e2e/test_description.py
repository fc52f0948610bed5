"""Requests made from the API's description, good and bad: the stack never fails, and every answer is a described one."""

import copy
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tests.local.keys import headers_of
from tidemark.dialects.ngsi.openapi.document import OPERATIONS, build
from tidemark.dialects.ngsi.openapi.forms import FORMS

TENANT = "described"
OTHER_TENANT = "staging"
ENTITY = "urn:ngsi-ld:Room:0001"
CHECKED = [
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
FAILURES = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
# These start work that goes on after their answer, so a few of them say as much as many.
SLOW = {"POST /v2/snapshots", "POST /v2/snapshots/{snapshotId}/restore", "POST /v2/snapshots/{snapshotId}/verify"}
EXAMPLES, EXAMPLES_OF_SLOW = 20, 8
NEVER_BAD = {"GET /v2", "GET /version", "GET /health", "GET /openapi.json", "GET /docs"}
"""They look at nothing that a request says."""

schemathesis.openapi.format("re2", st.sampled_from([".*", "^Room", "1$", "[0-9]{4}", "a|b"]))
schemathesis.openapi.format(
    "ngsi-query", st.sampled_from(["temperature>20", "temperature;!broken", "temperature==1..30", "name~=^R"])
)
schemathesis.openapi.format("lifetime", st.sampled_from(["P30D", "PT12H", "P1W", "PT1M"]))


class World(NamedTuple):
    """A stack, somebody who may do everything in two tenants, and ids of what is in the first of them."""

    served: Served
    headers: Mapping[str, str]
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def world(served_stack: Served) -> World:
    key = served_stack.key([TENANT, OTHER_TENANT])
    call = Caller(served_stack.url, key, TENANT)
    walk.put_rooms(call, 3, 21.5)
    snapshot = walk.create(call, "kept")["id"]
    walk.put_rooms(call, 2, 25)
    planned = call("POST", f"/v2/snapshots/{snapshot}/restore", {"dryRun": True}).json()
    restore = walk.restore(call, snapshot)["id"]
    ids = {
        "snapshotId": snapshot,
        "restoreId": restore,
        "planId": planned["plan"],
        "entityId": ENTITY,
        "attrName": "temperature",
        "typeName": "Room",
    }
    return World(served_stack, headers_of(key, TENANT), ids)


@cache
def described() -> Any:
    """The description, in which answers may have no member that is not described."""
    document = copy.deepcopy(build())
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if schema.get("type") == "object" and name not in FORMS.keys() | {"ErrorBody"}:
            schema.setdefault("additionalProperties", False)
    return schemathesis.openapi.from_dict(document)


def cases(world: World, route: str, mode: GenerationMode) -> SearchStrategy[Any]:
    """Requests of a route, to what is there and to what is not."""
    method, path = route.split(" ")
    operation = described()[path][method]
    there = {name: world.ids[name] for name in world.ids if f"{{{name}}}" in path}
    anywhere = operation.as_strategy(generation_mode=mode, headers=dict(world.headers))
    if not there:
        return anywhere
    return anywhere | operation.as_strategy(generation_mode=mode, headers=dict(world.headers), path_parameters=there)


def attempt(world: World, route: str, mode: GenerationMode) -> None:
    """Send such requests and check the answers."""

    @settings(max_examples=EXAMPLES_OF_SLOW if route in SLOW else EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(cases(world, route, mode))
    def send(case: Any) -> None:
        response = case.call(base_url=world.served.url, session=session)
        assert response.status_code not in FAILURES, (case, response.text, world.served.log_lines()[-3:])
        case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))

    with requests.Session() as session:
        send()


@pytest.mark.parametrize("route", OPERATIONS)
def test_answers_are_described_when_requests_fit_the_description(world: World, route: str) -> None:
    attempt(world, route, GenerationMode.POSITIVE)


@pytest.mark.parametrize("route", [route for route in OPERATIONS if route not in NEVER_BAD])
def test_answers_are_described_when_requests_do_not_fit_the_description(world: World, route: str) -> None:
    attempt(world, route, GenerationMode.NEGATIVE)
