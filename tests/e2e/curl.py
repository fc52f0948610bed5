"""Runs commands of curl as a shell does."""

import shlex
import shutil
import subprocess

from tests.e2e.served import send
from tests.local.http_messages import Answer, Headers


def run(command: str) -> Answer:
    """What the command answers: by curl itself, or, where there is none, by sending what it would send."""
    words = shlex.split(command, comments=True)
    if shutil.which("curl") is None:
        return _send_as_curl(words[1:])
    done = subprocess.run(
        [*words, "--silent", "--show-error", "--include"], capture_output=True, check=True, timeout=60
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    return Answer(int(status.split(" ")[1]), Headers(pairs), body)


def _send_as_curl(words: list[str]) -> Answer:
    method, url, body, headers = "GET", "", None, {}
    rest = iter(words)
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                body = next(rest).encode()
            case _:
                url = word
    host, path = url.removeprefix("http://").split("/", 1)
    return send(f"http://{host}", method, f"/{path}", headers, body)
