"""The routes that the code knows are those of template.yaml: none is unreachable, none falls through to the gateway."""

import json
import re

from tests.repo.sources import resources
from tidemark.dialects.cloudca.routes import METHODS as OF_VOLUMES
from tidemark.dialects.ngsi.entity_store import ROUTES
from tidemark.dialects.ngsi.routes import METHODS as OF_TENANTS

METHODS = {**OF_TENANTS, **OF_VOLUMES}

UNKNOWN_ROUTE = "UnknownRouteFunction"
UNKNOWN_ROUTE_OF_VOLUMES = "UnknownVolumeRouteFunction"
OUTSIDE = {"/", "/{proxy+}"}
# What Lambda takes for the policy of a function, see "Lambda quotas"; and the longest that names become there: those of
# functions and statements begin with the stack's, as far as there is room.
MAX_POLICY_BYTES = 20_480
LONGEST = {"Sid": "s" * 100, "Function": "f" * 64, "Region": "ap-southeast-2", "Account": "1" * 12, "Api": "a" * 10}


def _routes(function: str | None = None) -> set[str]:
    """The method and path of every event of type Api: of one function, or of all but those for unknown routes."""
    return {
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}"
        for name, properties in resources("AWS::Serverless::Function").items()
        if (name == function if function else name not in {UNKNOWN_ROUTE, UNKNOWN_ROUTE_OF_VOLUMES})
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    }


def test_methods_of_every_path_are_those_of_the_template() -> None:
    assert {f"{method} {path}" for path, methods in METHODS.items() for method in methods} == _routes()


def test_every_path_answers_to_every_method() -> None:
    assert _routes(UNKNOWN_ROUTE) == {f"ANY {path}" for path in OF_TENANTS.keys() | OUTSIDE}
    assert _routes(UNKNOWN_ROUTE_OF_VOLUMES) == {f"ANY {path}" for path in OF_VOLUMES}


def test_entity_store_serves_what_the_template_sends_to_it() -> None:
    assert set(ROUTES) == _routes("EntityStoreFunction")


def test_policy_of_every_function_has_room_for_what_each_of_its_routes_adds_to_it() -> None:
    # SAM makes a permission of every event of type Api.
    sizes = {
        name: len(json.dumps([_permission(route) for route in _routes(name)], separators=(",", ":")))
        for name in resources("AWS::Serverless::Function")
    }
    assert {name: size for name, size in sizes.items() if size > MAX_POLICY_BYTES - 200} == {}


def _permission(route: str) -> dict[str, object]:
    """A statement as Lambda stores it, with the longest names."""
    method, path = route.replace("ANY", "*").split()
    place = re.sub(r"\{[^}]+\}", "*", path)
    return {
        "Sid": LONGEST["Sid"],
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": "arn:aws:lambda:{Region}:{Account}:function:{Function}".format_map(LONGEST),
        "Condition": {
            "ArnLike": {
                "AWS:SourceArn": "arn:aws:execute-api:{Region}:{Account}:{Api}/*/".format_map(LONGEST) + method + place
            }
        },
    }
