"""The process that a function runs in: AWS's own Python runtime, fed over a socket instead of Lambda's runtime API.

It is entered in a fork of `zygote.py`, with the environment and the Python path of one function. One frame on the
socket is two lengths (header, body; 4 bytes each, network order), a JSON header and the body. The header of an event
also tells how far the stack's clock is moved; until the next event this process's clock is not moved again.
"""

import datetime as dt
import json
import os
import socket
import struct
import sys
import types
from typing import Any

from tests.local.local_clock import LocalClock

_LENGTHS = struct.Struct("!II")
_clocks: list[LocalClock] = []


def send_frame(connection: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    """Send one frame."""
    head = json.dumps(header).encode()
    connection.sendall(_LENGTHS.pack(len(head), len(body)) + head + body)


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(1 << 20, count - len(parts)))
        if not part:
            os._exit(0)  # the stack is gone, and so is the reason to live
        parts += part
    return bytes(parts)


def _receive_frame(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    head_bytes, body_bytes = _LENGTHS.unpack(_receive_exactly(connection, _LENGTHS.size))
    header: dict[str, Any] = json.loads(_receive_exactly(connection, head_bytes))
    return header, _receive_exactly(connection, body_bytes)


def follow_clock(offset_us: int) -> None:
    """Be as far ahead of the machine's clock as the stack is. A clock that nobody moved is left as it is."""
    if offset_us and not _clocks:
        _clocks.append(LocalClock())
    for clock in _clocks:
        clock.follow(dt.timedelta(microseconds=offset_us))


class _SocketRuntimeApi(types.ModuleType):
    """Takes the place of awslambdaric's native module `runtime_client`, which speaks HTTP to Lambda."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__("runtime_client")
        self._connection = connection

    def initialize_client(self, user_agent: str) -> None:
        """Called once on import of the runtime."""

    def next(self) -> tuple[bytes, dict[str, Any]]:
        """Say that the function waits, and wait for an event."""
        send_frame(self._connection, {"kind": "idle"})
        header, event = _receive_frame(self._connection)
        follow_clock(header["clock_offset_us"])
        return event, header["headers"]

    def post_invocation_result(self, invoke_id: str, result: bytes, content_type: str, *_: object) -> None:
        """The function returned."""
        send_frame(self._connection, {"kind": "result", "id": invoke_id, "type": content_type}, result)

    def post_error(self, invoke_id: str, error: str | bytes, *_: object) -> None:
        """The function raised."""
        send_frame(
            self._connection, {"kind": "error", "id": invoke_id}, error if isinstance(error, bytes) else error.encode()
        )


def serve(connection: socket.socket) -> None:
    """Load the function that the environment names and serve events until the socket closes."""
    sys.modules["runtime_client"] = _SocketRuntimeApi(connection)
    # Imported here, not above: the runtime reads the function's environment on import.
    from awslambdaric import bootstrap, lambda_runtime_client  # noqa: PLC0415

    class Client(lambda_runtime_client.LambdaRuntimeClient):  # type: ignore[misc]
        def post_init_error(self, error_response_data: dict[str, Any], error_type_override: str | None = None) -> None:
            send_frame(
                connection,
                {"kind": "init_error", "type": error_type_override},
                json.dumps(error_response_data).encode(),
            )

    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    bootstrap.run(os.environ["_HANDLER"], Client("unused"))
