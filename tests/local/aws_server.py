"""Serves the pretended AWS at a port, for worker processes and people: moto's server in a thread of its own."""

import logging
import socket
import threading
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from tests.local.http_server import bind

EXECUTE_STATE_MACHINES: Any = {"stepfunctions": {"execute_state_machine": True}}


class _RequestHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, which saves most of the time of a small call

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: functions' own lines are what one wants to see."""


class _Server(ThreadedWSGIServer):
    """Knows its open connections, so that it can close them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)


class AwsServer:
    """The pretended AWS at one port of this machine, with nothing in it at first."""

    def __init__(self, port: int) -> None:
        """Bind the port (0 means any free one) and serve.

        Raises:
            OSError: the port is in use.
        """
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        _forget_everything()
        default_user_config.update(EXECUTE_STATE_MACHINES)
        self._socket = bind(port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = _Server(
            "127.0.0.1",
            self.port,
            DomainDispatcherApplication(create_backend_app),
            _RequestHandler,
            fd=self._socket.fileno(),
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="aws-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, free the port and forget everything."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._socket.close()
        for connection in list(self._server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by the other end in the meantime
        default_user_config["stepfunctions"] = {"execute_state_machine": False}
        _forget_everything()


def _forget_everything() -> None:
    BackendDict.reset()
    reset_model_data()
