"""Carries HTTP between a socket and the REST API (uvicorn in a thread of its own)."""

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from tests.local.http_messages import Answer, Headers, Request
from tests.local.rest_api import MAX_BODY_BYTES

_THREADS = 64
_START_TIMEOUT_S = 10
_STOP_TIMEOUT_S = 10


class HttpServer:
    """Serves a handler of requests at one port of this machine, and only to it."""

    def __init__(self, port: int) -> None:
        """Bind the port (0 means any free one); `start` begins to serve.

        Raises:
            OSError: the port is in use.
        """
        self._handle: Callable[[Request], Answer]
        self._socket = bind(port)
        self.port: int = self._socket.getsockname()[1]
        self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="http")
        settings = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._run, name="http-server", daemon=True)
        self._ready = threading.Event()

    def start(self, handle: Callable[[Request], Answer]) -> None:
        """Serve until `close`."""
        self._handle = handle
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            raise RuntimeError("the HTTP server did not start; see its output above")

    def close(self) -> None:
        """Stop serving and free the port. May be repeated."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._socket.close()

    def _run(self) -> None:
        async def serve() -> None:
            asyncio.get_running_loop().call_soon(self._ready.set)
            await self._server.serve(sockets=[self._socket])

        asyncio.run(serve())

    async def _serve(self, scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
            if len(body) > MAX_BODY_BYTES:
                # Enough to be refused; what follows is read and dropped, so that the client gets to read the answer.
                del body[MAX_BODY_BYTES + 1 :]
        request = Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1") or "/",
            query=scope["query_string"].decode("latin-1"),
            # The server hands names on in lower case; API Gateway keeps what was sent, which mostly is this.
            headers=Headers(
                (name.decode("latin-1").title(), value.decode("latin-1")) for name, value in scope["headers"]
            ),
            body=bytes(body),
            source_ip=(scope.get("client") or ("127.0.0.1", 0))[0],
        )
        answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._handle, request)
        fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in answer.headers.fields
        ]
        if not any(name == b"content-length" for name, _ in fields):
            fields.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body})


def bind(port: int) -> socket.socket:
    """A listening socket of this machine.

    Raises:
        OSError: the port is in use.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise OSError(
            error.errno, f"port {port} of this machine is in use: stop what uses it, or choose another (PORT=...)"
        ) from error
    listening.listen(256)
    return listening
