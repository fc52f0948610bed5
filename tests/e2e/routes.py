"""The routes of template.yaml, so that tests of every route cannot forget a new one."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from tests.repo.sources import resources
from tidemark.dialects.cloudca.routes import serves
from tidemark.dialects.ngsi.routes import OPEN

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VARIABLE = re.compile(r"\{(\w+)(\+?)\}")


class Route(NamedTuple):
    """A method and a path with its variables in braces."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def filled(self, values: Mapping[str, str]) -> str:
        """The path of a request: each variable's value percent-encoded."""
        return _VARIABLE.sub(lambda found: quote(values[found[1]], safe="" if not found[2] else "/"), self.path)

    @property
    def variables(self) -> list[str]:
        """The names of its variables."""
        return [found[1] for found in _VARIABLE.finditer(self.path)]


def _declared() -> list[Route]:
    return [
        Route(event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for properties in resources("AWS::Serverless::Function").values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    ]


_SERVED = {route for route in _declared() if route.method != "ANY"}
OPEN_TO_ALL = sorted(route for route in _SERVED if str(route) in OPEN)
"""What takes no key and knows no tenant."""

_REFUSED = {Route(method, path) for any_, path in _declared() for method in _METHODS if any_ == "ANY"} - _SERVED

SERVED = sorted(route for route in _SERVED - set(OPEN_TO_ALL) if not serves(route.path))
"""What does something for a tenant."""

REFUSED = sorted(route for route in _REFUSED if not serves(route.path))
"""Methods that a path does not have, and paths that are not there."""

SERVED_IN_ENVIRONMENTS = sorted(route for route in _SERVED if serves(route.path))
"""What does something in an environment."""

REFUSED_IN_ENVIRONMENTS = sorted(route for route in _REFUSED if serves(route.path))
"""Methods that a path about an environment does not have."""
