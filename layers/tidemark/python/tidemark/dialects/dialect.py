"""What the entry of the functions must know of a dialect to serve requests in it."""

from collections.abc import Callable
from typing import NamedTuple

from tidemark.dialects.wire import Request, Response
from tidemark.domain.environment import EnvironmentId
from tidemark.errors import TidemarkError


class Dialect(NamedTuple):
    """One dialect. `name` is what logs call it; `render` makes the answer of an error and a correlation id; `refusal`
    says why a method and route are not served; `open_routes` are served to everybody, such as `GET /health`.

    `environment` finds the environment that a request names, None where its path has none, or raises
    EnvironmentNotFound. A dialect without it is about tenants.
    """

    name: str
    render: Callable[[Exception, str], Response]
    refusal: Callable[[str, str], TidemarkError]
    open_routes: frozenset[str] = frozenset()
    environment: Callable[[Request], EnvironmentId | None] | None = None
