"""Where the pretended AWS is: its region and account, and boto3 clients that reach it."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import moto.core.models  # noqa: F401 - a session made before this is imported is never intercepted
from botocore.config import Config

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"  # the one account that moto knows
PARTITION = "aws"
ACCESS_KEY_ID = "local"
SECRET_ACCESS_KEY = "local"
_REQUEST_TIMEOUT_S = 900
_CONNECTIONS = 64
# One session for all stacks of a process: it keeps the service models, which take most of a client's making. It is not
# safe to make clients from it in several threads.
_session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)
_session_lock = threading.Lock()


@contextlib.contextmanager
def region_in_environment(region: str = REGION) -> Iterator[None]:
    """Name the region to what asks the environment for it, until the block ends."""
    before = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = region
    try:
        yield
    finally:
        if before is None:
            del os.environ["AWS_DEFAULT_REGION"]
        else:
            os.environ["AWS_DEFAULT_REGION"] = before


@dataclass
class Aws:
    """Makes and keeps one client a service. Without an endpoint the clients are intercepted by `moto.mock_aws`."""

    endpoint_url: str | None = None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """URLs of services that other servers provide, by the service's name in boto3."""
    credentials: Mapping[str, str] = field(
        default_factory=lambda: {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    )
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The boto3 client of a service, one for all threads."""
        with _session_lock:
            if service not in self._clients:
                make: Any = _session.client  # its types know each service by name only
                self._clients[service] = make(
                    service,
                    endpoint_url=self.elsewhere.get(service, self.endpoint_url),
                    aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
                    config=Config(
                        s3={"addressing_style": "path"},
                        retries={"total_max_attempts": 1},
                        read_timeout=_REQUEST_TIMEOUT_S,
                        max_pool_connections=_CONNECTIONS,
                    ),
                )
            return self._clients[service]

    def environment(self) -> dict[str, str]:
        """What a function or a person needs in the environment to reach this AWS."""
        endpoints = {"AWS_ENDPOINT_URL": self.endpoint_url} if self.endpoint_url else {}
        endpoints |= {f"AWS_ENDPOINT_URL_{service.upper()}": url for service, url in self.elsewhere.items()}
        return {**endpoints, **self.credentials, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}

    def close(self) -> None:
        """Close every connection."""
        with _session_lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
