"""A client of the entity store's function: it turns `GET /v2/entities/E1?type=Room` into what a gateway would send."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from functions.entity_store.handler import handler
from tests.handlers import rest
from tests.handlers.rest import Answer
from tidemark.dialects.ngsi.entity_store import ROUTES

_TEMPLATES = sorted({route.split(" ")[1] for route in ROUTES})


class EntitiesClient(NamedTuple):
    """Calls as one tenant."""

    tenant: str = "smartcity"

    def call(
        self,
        line: str,
        body: object = None,
        *,
        text: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        path: str | None = None,
    ) -> Answer:
        """Send a request. `line` is method and URL; `body` goes as JSON, `text` as is; `path` is the service path."""
        method, url = line.split(" ", 1)
        parts = urlsplit(url)
        base = {"Content-Type": None, "Fiware-ServicePath": path, "Fiware-Service": self.tenant}
        if body is not None:
            base["Content-Type"] = "application/json"
        event = rest.request(
            "entity_store",
            "entity_store",
            body=body,
            text=text,
            headers=base | dict(headers or {}),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            path=parts.path,
        )
        if body is None and text is None:
            event["body"] = None
        event["httpMethod"] = method
        event["resource"] = _template(parts.path)
        event["requestContext"]["authorizer"]["tenant"] = self.tenant
        return rest.call(handler, event)

    def create(self, *entities: Mapping[str, object], path: str | None = None) -> None:
        """Store entities."""
        answer = self.call("POST /v2/op/update", {"actionType": "append", "entities": list(entities)}, path=path)
        assert answer.status == 204, answer.text

    def ids(self, line: str, **arguments: object) -> list[str]:
        """The ids in a list of entities."""
        answer = self.call(line, **arguments)  # type: ignore[arg-type]
        assert answer.status == 200, answer.text
        return [entity["id"] for entity in answer.json]


def _template(path: str) -> str:
    return next(
        template
        for template in _TEMPLATES
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path.rstrip("/"))
    )
