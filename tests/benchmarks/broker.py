"""A context broker for the script that a user would write: it serves the entities of a file in pages, takes batches.

Usage: python -m tests.benchmarks.broker FILE. Prints its port. It answers from the file's lines as they are, so what
is measured is the script.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

PAGE: Final = 1000


class Broker(ThreadingHTTPServer):
    """Knows where each page of the file begins."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.path = path
        self.starts = _starts(path)


def _starts(path: Path) -> list[int]:
    starts, offset = [], 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number % PAGE == 0:
                starts.append(offset)
            offset += len(line)
    return [*starts, offset]


class Answers(BaseHTTPRequestHandler):
    """GET /v2/entities?offset=..., POST /v2/op/update."""

    protocol_version = "HTTP/1.1"
    server: Broker

    def do_GET(self) -> None:
        page, within = divmod(int(parse_qs(urlsplit(self.path).query)["offset"][0]), PAGE)
        body = b"[]"
        # Who asks from inside of a page has had the last one.
        if within == 0 and page + 1 < len(self.server.starts):
            with self.server.path.open("rb") as file:
                file.seek(self.server.starts[page])
                lines = file.read(self.server.starts[page + 1] - self.server.starts[page]).splitlines()
            body = b"[" + b",".join(lines) + b"]"
        self._answer(200, body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(204, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not worth a line."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    broker = Broker(Path(sys.argv[1]))
    sys.stdout.write(json.dumps(broker.server_port) + "\n")
    sys.stdout.flush()
    broker.serve_forever()
