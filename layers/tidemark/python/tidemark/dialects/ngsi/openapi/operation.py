"""What an operation of the API is described by. Its rendering as OpenAPI is in `document.py`.

Source: the OpenAPI specification 3.1.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

type Schema = dict[str, Any]
type Model = type | Schema
"""A msgspec model, whose schema goes among the components, or a schema written out."""

JSON: Final = "application/json"
TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter. `key` is its name among the components; a list is written with commas. One that is `required` has an
    example. Those in a path always are.
    """

    key: str
    name: str
    place: Literal["query", "header", "path"]
    schema: Schema
    description: str
    example: str | int | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request. `examples` are bodies by their names; `also` are schemas of other media types."""

    model: Model
    examples: Mapping[str, Any]
    required: bool = True
    also: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request that was obeyed. Without a model it has no body. `headers` are names of `HEADERS`."""

    description: str
    model: Model | None = None
    headers: tuple[str, ...] = ()
    also: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one method of one path does. `id` is how generated clients call it.

    `refusals` are statuses besides those that follow from what the operation is: see `statuses`. `open`: it takes no
    key and knows no tenant.
    """

    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    refusals: tuple[int, ...] = ()
    open: bool = False

    def statuses(self, path: str) -> list[int]:
        """The statuses of all errors that the operation at this path can answer with, in NGSIv2."""
        always = {HTTPStatus.TOO_MANY_REQUESTS, *_SERVER_ERRORS}
        keyed = set() if self.open else {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        named = {HTTPStatus.NOT_FOUND} if "{" in path else set()
        sent = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE} if self.body else set()
        return sorted({int(status) for status in always | keyed | named | sent | set(self.refusals)})


_SERVER_ERRORS: Final = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
