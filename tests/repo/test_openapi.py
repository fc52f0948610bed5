"""The description of the API is of the routes that there are, is valid, and is the one that is served."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.repo.sources import FUNCTIONS, resources
from tests.repo.test_routes import UNKNOWN_ROUTE, UNKNOWN_ROUTE_OF_VOLUMES
from tidemark.dialects.cloudca import routes as cloudca
from tidemark.dialects.cloudca.openapi.parameters import IN_PATH as IN_PATH_OF_VOLUMES
from tidemark.dialects.ngsi import errors
from tidemark.dialects.ngsi.openapi.__main__ import text_of
from tidemark.dialects.ngsi.openapi.document import OPERATIONS, build
from tidemark.dialects.ngsi.openapi.parameters import IDEMPOTENCY, IN_PATH
from tidemark.dialects.ngsi.routes import METHODS, OPEN

STORED = FUNCTIONS / "ngsi" / "describe_api" / "openapi.json"
ENTRIES = "tidemark/dialects/*/openapi/*operations.py"


def _events() -> dict[str, dict[str, Any]]:
    """The API events of the template by method and path, but those for unknown routes."""
    return {
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}": event["Properties"]
        for name, properties in resources("AWS::Serverless::Function").items()
        if name not in {UNKNOWN_ROUTE, UNKNOWN_ROUTE_OF_VOLUMES}
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    }


def _operations() -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in build()["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_of_the_template_is_described_and_no_other() -> None:
    built = set(_events())
    assert built - OPERATIONS.keys() == set(), f"give each of these an entry in {ENTRIES}"
    assert OPERATIONS.keys() - built == set(), f"not in template.yaml: take these out of {ENTRIES}"
    assert set(_operations()) == built


def test_every_variable_of_a_path_is_described() -> None:
    for methods, described in ((METHODS, IN_PATH), (cloudca.METHODS, IN_PATH_OF_VOLUMES)):
        variables = {part[1:-1] for path in methods for part in path.split("/") if part.startswith("{")}
        assert variables - described.keys() == set(), (
            "describe it in tidemark/dialects/*/openapi/parameters.py: IN_PATH"
        )


def test_served_description_is_what_the_code_says() -> None:
    assert STORED.read_text(encoding="utf-8") == text_of(build()), "write it anew: make openapi"


def test_description_is_valid_openapi() -> None:
    problems = list(OpenAPIV31SpecValidator(build()).iter_errors())
    assert [str(problem) for problem in problems] == []


def test_routes_without_a_key_are_the_same_everywhere() -> None:
    described = {route for route, operation in _operations().items() if operation.get("security") == []}
    built = {route for route, event in _events().items() if event.get("Auth") == {"Authorizer": "NONE"}}
    assert described == built == OPEN
    assert {route for route, operation in OPERATIONS.items() if operation.open} == OPEN


def test_key_of_repeats_is_described_where_it_is_looked_at_and_nowhere_else() -> None:
    obeyed = {
        route
        for handler in FUNCTIONS.glob("*/*/handler.py")
        if re.search(r"^ *@once$", text := handler.read_text(encoding="utf-8"), re.MULTILINE)
        for route in _routes_in(text)
    }
    assert {route for route, operation in OPERATIONS.items() if IDEMPOTENCY in operation.parameters} == obeyed
    assert obeyed


def _routes_in(handler: str) -> list[str]:
    """The routes in a handler's table, where the paths of one dialect have names."""
    named = re.findall(r'"([A-Z]+) \{([A-Z]+)\}": ', handler)
    return [*re.findall(r'"([A-Z]+ /\S*)": ', handler), *(f"{verb} {getattr(cloudca, name)}" for verb, name in named)]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = Counter(operation.id for operation in OPERATIONS.values())
    assert [name for name, count in names.items() if count > 1] == []


def test_every_error_that_the_dialect_has_is_described() -> None:
    statuses = {str(int(form.status)) for form in errors.FORMS.values()}
    # A method that a path does not have is no operation, so its status has no place here.
    assert statuses - build()["components"]["responses"].keys() == {"405"}


@pytest.mark.parametrize("kind", ["schemas", "parameters", "responses", "headers"])
def test_no_part_of_the_description_is_unused(kind: str) -> None:
    document = build()
    text = json.dumps(document)
    unused = [name for name in document["components"][kind] if f'"#/components/{kind}/{name}"' not in text]
    assert unused == []
