"""Sends requests over a socket, as the clients of a served stack do."""

import http.client
from collections.abc import Mapping

from tests.local.http_messages import Answer, Headers


def over_socket(url: str, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send a request to whatever serves at a URL."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, Headers(response.getheaders()), response.read())
    finally:
        connection.close()
