"""Runs commands in this process: against a stack that is served, or against answers that a test writes."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tidemark_cli.app import app
from tidemark_cli.failures import Unreachable
from tidemark_cli.sending import Answer
from tidemark_cli.session import Surroundings

URL = "http://tidemark.test/live"
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Said:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as JSON: one document and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Sent:
    """A request as it was sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    document: Any


@dataclass
class Scripted:
    """Answers requests with what a test wrote, in this order; the last one again and again."""

    answers: Sequence[Answer | Unreachable]
    sent: list[Sent] = field(default_factory=list)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Note the request, and give the next answer."""
        self.sent.append(Sent(method, url, dict(headers), json.loads(body) if body else None))
        answer = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    def download(self, url: str, path: Path, arrived: Callable[[int], None]) -> tuple[int, str]:
        """No script has files."""
        del arrived
        raise Unreachable(f"{url} for {path} is not in the script", sent=False)


def answer(status: int, document: Any = None, **headers: str) -> Answer:
    """An answer; underscores in names of headers stand for hyphens."""
    body = b"" if document is None else json.dumps(document).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def error(status: int, name: str = "Name", description: str = "the reason", **headers: str) -> Answer:
    """An answer that is an NGSIv2 error."""
    return answer(status, {"error": name, "description": description}, **headers)


@dataclass
class CommandLine:
    """Runs commands with a key for one tenant."""

    sender: Any
    url: str = URL
    key: str = "tm_key"
    tenant: str | None = "smartcity"
    interactive: bool = False
    slept_s: list[float] = field(default_factory=list)

    def __call__(self, *arguments: str, typed: str = "", env: Mapping[str, str | None] | None = None) -> Said:
        """Run `tidemark` with these arguments, and with what is typed when it asks."""
        variables = {
            "TIDEMARK_URL": self.url,
            "TIDEMARK_API_KEY": self.key,
            "TIDEMARK_TENANT": self.tenant,
            "COLUMNS": None,
        }
        around = Surroundings(sender=self.sender, sleep=self._sleep, interactive=lambda: self.interactive)
        result = CliRunner().invoke(
            app, arguments, input=typed, env={**variables, **(env or {})}, obj=around, prog_name="tidemark"
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        time.sleep(min(seconds, _PAUSE_S))
