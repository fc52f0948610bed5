"""HTTP itself: requests and answers, and files to and from addresses that carry their own permission.

Source: the urllib3 documentation, "Advanced usage".
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from tidemark_cli.failures import Unreachable

_CONNECT_S: Final = 10.0
# API Gateway answers within 29 seconds, whatever happens behind it.
_READ_S: Final = 60.0
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as a JSON value; None where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Sender(Protocol):
    """Carries requests, each once."""

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request. Raises Unreachable."""
        ...

    def download(self, url: str, path: Path, arrived: Callable[[int], None]) -> tuple[int, str]:
        """The status of an address, and the SHA-256 of what was written to the file where that is 200.

        `arrived` is called with the size of each piece. Raises Unreachable.
        """
        ...


class HttpSender:
    """Sends over connections that stay open; safe to share between threads."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S), maxsize=8
        )

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        try:
            response = self._pool.request(method, url, headers=dict(headers), body=body, redirect=False)
        except HTTPError as error:
            raise _unreachable(error) from error
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, response.data)

    def download(self, url: str, path: Path, arrived: Callable[[int], None]) -> tuple[int, str]:
        digest = hashlib.sha256()
        try:
            response = self._pool.request("GET", url, preload_content=False, redirect=False)
            try:
                if response.status == HTTPStatus.OK:
                    with path.open("wb") as file:
                        for piece in response.stream(_CHUNK_BYTES, decode_content=False):
                            file.write(piece)
                            digest.update(piece)
                            arrived(len(piece))
            finally:
                response.release_conn()
        except HTTPError as error:
            raise _unreachable(error) from error
        return response.status, digest.hexdigest()


def _unreachable(error: HTTPError) -> Unreachable:
    never_sent = isinstance(error, NewConnectionError | ConnectTimeoutError)
    # urllib3 puts the object at the front of its sentences, which says nothing to a reader.
    reason = str(error).rpartition(">: ")[2].rpartition("): ")[2] or type(error).__name__
    return Unreachable(reason, sent=not never_sent)
