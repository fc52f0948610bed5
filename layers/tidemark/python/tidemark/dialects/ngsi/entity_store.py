"""All routes of the built-in entity store, by method and path."""

from collections.abc import Mapping
from typing import Final

from tidemark.dialects.ngsi import attribute_routes, entity_routes, operation_routes
from tidemark.dialects.ngsi.entity_routes import Route

ROUTES: Final[Mapping[str, Route]] = {**entity_routes.ROUTES, **attribute_routes.ROUTES, **operation_routes.ROUTES}
