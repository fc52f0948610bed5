"""The tests' side of a stack that another process serves."""

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.endpoints import credentials
from tests.local.aws import Aws
from tests.local.http_messages import Answer, Headers
from tests.local.stack import TEMPLATE

_REQUEST_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Caller:
    """Sends requests with one key for one tenant."""

    url: str
    key: str | None
    tenant: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(
        self, method: str, path: str, document: Any = None, *, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """Send a request: `document` as JSON, or `body` as it is. Underscores in header names stand for hyphens."""
        fields: dict[str, str] = {"Fiware-Service": self.tenant, **self.headers}
        if self.key is not None:
            fields["Authorization"] = f"Bearer {self.key}"
        if document is not None:
            body = json.dumps(document).encode()
            fields["Content-Type"] = "application/json"
        for name, value in headers.items():
            wire_name = name.replace("_", "-").title()
            if value is None:
                fields.pop(wire_name, None)
            else:
                fields[wire_name] = value
        return send(self.url, method, path, fields, body)

    def at(self, url: str) -> "Caller":
        """The same caller at another front."""
        return Caller(url, self.key, self.tenant, self.headers)


def send(url: str, method: str, path: str, fields: Mapping[str, str], body: bytes | None) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_REQUEST_TIMEOUT_S)
    try:
        connection.request(method, path, body=body, headers=dict(fields))
        response = connection.getresponse()
        return Answer(response.status, Headers(response.getheaders()), response.read())
    finally:
        connection.close()


class Served:
    """A stack in another process."""

    def __init__(self, parameters: Mapping[str, str], elsewhere: Mapping[str, str]) -> None:
        """Start it; `elsewhere` has the URLs of other servers of DynamoDB and S3, by service."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.serve"],
            cwd=TEMPLATE.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        told = self._ask({"parameters": parameters, "elsewhere": elsewhere})
        self.url: str = told["url"]
        self.outputs: dict[str, str] = told["outputs"]
        self.physical_ids: dict[str, str] = told["ids"]
        self.aws = Aws(told["awsUrl"], elsewhere, credentials())
        self._sam_url: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.aws.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            status = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        if status and error is None:
            raise RuntimeError(f"the served stack ended with status {status}; see its output")

    def key(
        self,
        tenants: Collection[str] = ("*",),
        actions: Collection[str] = ("admin",),
        environments: Collection[str] = ("*",),
    ) -> str:
        """A new key's secret; by default it may do everything in every tenant and environment."""
        wanted = {"tenants": tenants, "actions": actions, "environments": environments}
        return str(self._ask({"want": "key", **{name: sorted(some) for name, some in wanted.items()}})["key"])

    def caller(self, tenant: str, actions: Collection[str] = ("admin",)) -> Caller:
        """A caller with a new key for one tenant alone."""
        return Caller(self.url, self.key([tenant], actions), tenant)

    def sam_url(self) -> str:
        """Where SAM CLI's own front end serves the same stack; it is started when it is first asked for."""
        if self._sam_url is None:
            self._sam_url = str(self._ask({"want": "sam"})["url"])
        return self._sam_url

    def log_lines(self) -> list[str]:
        """The last log lines of all functions."""
        return list(self._ask({"want": "log"})["lines"])

    def client(self, service: str) -> Any:
        """A boto3 client of the pretended AWS."""
        return self.aws.client(service)

    def _ask(self, document: Any) -> Any:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the served stack was started without pipes")
        with self._lock:
            self._process.stdin.write(json.dumps(document) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the served stack ended with status {self._process.wait()}; see its output")
        return json.loads(line)
