"""`make sam-api`: SAM CLI's own front end (`sam local start-api`) over the local stack, to compare it with ours.

SAM CLI has an environment of its own, `.venv-sam`, since its pins clash; the functions run in the stack's workers as
always. What SAM CLI does not do: gateway responses (its errors have its own bodies), throttling, and REST API's rules
for paths that are not there.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.local.deployer import DeployError
from tests.local.http_server import bind
from tests.local.keys import seed_key
from tests.local.logs import screen
from tests.local.stack import LocalStack
from tests.local.template import TemplateError
from tests.local.up import (
    StopRequested,
    arguments,
    curl_commands,
    environment_of,
    stop_on_signal,
    wait_for_stop,
    write_environment,
)

_REPOSITORY = Path(__file__).resolve().parents[2]
SAM_PYTHON = _REPOSITORY / ".venv-sam" / "bin" / "python"
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 10


@contextlib.contextmanager
def sam_front(stack: LocalStack, template: Path, port: int = 0) -> Iterator[str]:
    """SAM CLI's front end over a served stack; gives its URL.

    Raises:
        OSError: the port is in use, or SAM CLI is not installed.
        TimeoutError: SAM CLI does not answer.
    """
    if not SAM_PYTHON.is_file():
        raise FileNotFoundError(f"{SAM_PYTHON} is not there: run 'make setup-all' to install SAM CLI")
    free = bind(port)
    port = free.getsockname()[1]
    free.close()
    names = {logical_id: spec.name for logical_id, spec in stack.deployment.functions.items()}
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        **stack.aws.environment(),
        "LOCAL_FUNCTIONS": json.dumps(names),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_CHECK_FOR_UPDATES": "0",
    }
    command = [str(SAM_PYTHON), str(Path(__file__).with_name("sam_front.py")), "local", "start-api"]
    settings = [
        "--template",
        str(template),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-watch",
        "--skip-pull-image",
    ]
    process = subprocess.Popen([*command, *settings], cwd=template.parent, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise OSError(f"SAM CLI ended with status {process.returncode}; see its output above")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return  # an answer, whichever
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"SAM CLI did not answer at {url} within {_START_TIMEOUT_S} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until asked to stop."""
    options = arguments("Serve the stack through SAM CLI's own front end.", argv)
    signal.signal(signal.SIGTERM, stop_on_signal)
    try:
        with (
            LocalStack.serve(
                options.template,
                aws_port=options.aws_port,
                parameters=options.parameters,
                wait_scale=options.wait_scale,
                logs=screen(),
            ) as stack,
            sam_front(stack, options.template.resolve(), options.port) as url,
        ):
            key = seed_key(stack)
            write_environment(environment_of(stack, url, key), options.env_file)
            print(f"SAM CLI serves Tidemark at {url}\n\n{curl_commands(url, key)}", flush=True)
            wait_for_stop()
    except (KeyboardInterrupt, StopRequested):
        return 130
    except (TemplateError, DeployError, OSError) as error:
        print(f"The stack does not start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
