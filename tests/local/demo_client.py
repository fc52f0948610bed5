"""The demo's side of HTTP: one kept connection a thread, and what it asks of the API."""

import http.client
import json
import time
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.local.http_messages import Answer, Headers

PAGE = 1000
_TIMEOUT_S = 60
_IDLE_S = 2.0


class DemoFailed(Exception):
    """Something was not as it must be; the message says what."""


class Listing(NamedTuple):
    """Every entity of the tenant, as the pages of a whole listing brought them: bytes, not looked into."""

    pages: tuple[bytes, ...]
    total: int

    @property
    def ids(self) -> list[str]:
        """The ids of the entities, in the order of the listing."""
        return [entity["id"] for page in self.pages for entity in json.loads(page)]


class Client:
    """Talks to the API as one tenant."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_TIMEOUT_S)
        self._headers = headers
        self._used_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send(self, method: str, path: str, document: Any = None) -> Answer:
        """Send a request, with a JSON document where there is one, and give whatever was answered."""
        body = None if document is None else json.dumps(document, ensure_ascii=False).encode()
        content = {} if body is None else {"Content-Type": "application/json"}
        now_s = time.monotonic()
        if now_s - self._used_s > _IDLE_S:
            # The server may have ended it meanwhile; it is opened again by itself.
            self._connection.close()
        self._used_s = now_s
        self._connection.request(method, path, body=body, headers=self._headers | content)
        response = self._connection.getresponse()
        return Answer(response.status, Headers(response.getheaders()), response.read())

    def expect(self, status: int, method: str, path: str, document: Any = None) -> Answer:
        """Send a request that must be answered with this status.

        Raises:
            DemoFailed: it was answered with another.
        """
        answer = self.send(method, path, document)
        if answer.status != status:
            raise DemoFailed(f"{method} {path} must answer {status}; it answered {answer.status}: {answer.text[:500]}")
        return answer

    def update(self, action: str, entities: list[Any], batch: int = 125) -> int:
        """Send entities in batches; the number of batches."""
        batches = [entities[start : start + batch] for start in range(0, len(entities), batch)]
        for some in batches:
            self.expect(204, "POST", "/v2/op/update", {"actionType": action, "entities": some})
        return len(batches)

    def page(self, number: int, options: str = "normalized") -> Answer:
        """One page of the listing of all entities, in one request."""
        return self.expect(200, "GET", f"/v2/entities?options={options}&limit={PAGE}&offset={number * PAGE}")

    def listing(self) -> Listing:
        """Every entity there is. Nothing may be writing."""
        answer = self.page(0, "count")
        total = int(answer.headers["Fiware-Total-Count"])
        rest = [self.page(number).body for number in range(1, -(-total // PAGE))]
        return Listing((answer.body, *rest), total)


def carry(method: str, url: str, body: bytes | None = None) -> bytes:
    """GET or PUT a file at an address that carries its own right, as any client without a key does.

    Raises:
        DemoFailed: it was answered with anything but 200.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body=body)
        response = connection.getresponse()
        answered = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise DemoFailed(f"{method} {parts.path} must answer 200; it answered {response.status}: {answered[:500]!r}")
    return answered
