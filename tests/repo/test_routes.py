"""The routes that the code knows are those of template.yaml: none is unreachable, none falls through to the gateway."""

from tests.repo.sources import resources
from tidemark.dialects.cloudca.routes import METHODS as OF_VOLUMES
from tidemark.dialects.ngsi.entity_store import ROUTES
from tidemark.dialects.ngsi.routes import METHODS as OF_TENANTS

METHODS = {**OF_TENANTS, **OF_VOLUMES}

UNKNOWN_ROUTE = "UnknownRouteFunction"
OUTSIDE = {"/", "/{proxy+}"}


def _routes(function: str | None = None) -> set[str]:
    """The method and path of every event of type Api: of one function, or of all but the one for unknown routes."""
    return {
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}"
        for name, properties in resources("AWS::Serverless::Function").items()
        if (name == function if function else name != UNKNOWN_ROUTE)
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    }


def test_methods_of_every_path_are_those_of_the_template() -> None:
    assert {f"{method} {path}" for path, methods in METHODS.items() for method in methods} == _routes()


def test_every_path_answers_to_every_method() -> None:
    assert _routes(UNKNOWN_ROUTE) == {f"ANY {path}" for path in METHODS.keys() | OUTSIDE}


def test_entity_store_serves_what_the_template_sends_to_it() -> None:
    assert set(ROUTES) == _routes("EntityStoreFunction")
