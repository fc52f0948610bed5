"""One HTTP exchange as every dialect sees it: what came in and what goes out.

Knows neither API Gateway nor any dialect's vocabulary.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from tidemark.domain.api_key import Action, holds, includes
from tidemark.domain.asked import Asked
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.tenant import Tenant
from tidemark.errors import BodyTooLarge, Forbidden, InvalidRequest, MalformedBody, UnsupportedMediaType

JSON: Final = "application/json"
MAX_BODY_BYTES: Final = 1_048_576
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `route` is the template that was matched, such as `/v2/snapshots/{snapshotId}`.

    `path` is still percent-encoded. `headers` has lower-cased names. `query` is decoded and holds the last value of a
    repeated parameter. `held_tenants` are those that the API key was made for, as `ApiKey.held` writes them, and
    `allowed_actions` what it was made for, as `ApiKey.allowed` does. `asked` is set where the request can be sent again
    and must not be obeyed twice.

    In a dialect of environments, `environment` is the one in the path, None where there is none, `tenant` whose its
    objects are, and `held_environments` are those of the key, as `ApiKey.held_environments` writes them.
    """

    method: str
    route: str
    path: str
    tenant: Tenant
    correlation_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    held_tenants: str = ""
    allowed_actions: str = ""
    environment: EnvironmentId | None = None
    held_environments: str = ""
    asked: Asked | None = None

    def may_use(self, tenant: Tenant) -> bool:
        """Whether the API key is for this tenant too. What it may do is the same for all of its tenants."""
        return tenant == self.tenant or holds(self.held_tenants, tenant)

    def check_may_use(self, tenant: Tenant) -> None:
        """Raise Forbidden unless the API key is for this tenant too."""
        if not self.may_use(tenant):
            raise Forbidden(f"the API key is not made for tenant {tenant!r}; use one that holds both tenants")

    def check_may(self, action: Action) -> None:
        """Raise Forbidden unless the API key is made for this too, which the route alone does not ask for."""
        if not includes(self.allowed_actions, action):
            raise Forbidden(f"the API key is not made for the action {action.value!r}; use one that is")

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return self.headers.get(name.lower())

    def options(self) -> frozenset[str]:
        """The words of the query parameter `options`."""
        return frozenset(word for word in self.query.get("options", "").split(",") if word)

    def path_parameter(self, name: str) -> str:
        """A variable part of the path, percent-decoded exactly once. Raises InvalidRequest where it isn't UTF-8.

        It is read from the path and not from the gateway's own `pathParameters`: a REST API passes the path on as it
        came, so this decodes the same everywhere. The template is matched from the end, which passes over the base path
        of a custom domain.
        """
        segments = self.path.rstrip("/").split("/")
        parts = self.route.rstrip("/").split("/")
        return _decoded(segments[parts.index(f"{{{name}}}") - len(parts)])

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower-cased; empty where there is none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    def content(self, *accepted: str, max_bytes: int = MAX_BODY_BYTES) -> bytes:
        """The body, at most `max_bytes` long and of one of the accepted media types.

        Raises UnsupportedMediaType, BodyTooLarge.
        """
        if self.media_type not in accepted:
            given = f"it is {self.media_type[:100]!r}" if self.media_type else "none was given"
            # An empty one stands for none.
            wanted = " or ".join(filter(None, accepted))
            raise UnsupportedMediaType(f"send the body with Content-Type: {wanted}; {given}")
        if len(self.body) > max_bytes:
            raise BodyTooLarge(f"the body has {len(self.body)} bytes; at most {max_bytes} are accepted")
        return self.body

    def json(self, *, max_bytes: int = MAX_BODY_BYTES) -> Any:  # noqa: ANN401 - whatever the JSON holds
        """The body read as JSON. Raises MalformedBody (also when there is none), UnsupportedMediaType, BodyTooLarge."""
        if not self.body.strip():
            raise MalformedBody("the body is empty; send a JSON document")
        return parse_json(self.content(JSON, max_bytes=max_bytes))

    def optional_json(self, *, max_bytes: int = MAX_BODY_BYTES) -> Any:  # noqa: ANN401 - whatever the JSON holds
        """As `json`, but an empty object where there is no body, whatever content type is named then."""
        return self.json(max_bytes=max_bytes) if self.body.strip() else {}


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `body` is text as it goes out; its type is the header `Content-Type`."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON document, members in the order they are given; `msgspec.Raw` parts are passed through."""
    return Response(status, _ENCODER.encode(document).decode(), {"Content-Type": JSON, **(headers or {})})


def or_unset[T](value: T | None) -> T | msgspec.UnsetType:
    """The value of a member that answers leave out where there is none."""
    return msgspec.UNSET if value is None else value


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """A JSON document. Raises MalformedBody."""
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise MalformedBody("the body is not usable: it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None


def _decoded(segment: str) -> str:
    if _BAD_ESCAPE.search(segment):
        raise InvalidRequest(f"the path part {segment[:100]!r} is not percent-encoded correctly: write % as %25")
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the path part {segment[:100]!r} is not UTF-8 when decoded") from None
