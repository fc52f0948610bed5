"""`make up`: serves the whole stack of `template.yaml` on this machine until Ctrl-C.

python -m tests.local.up [--port 3000] [--aws-port 0] [--parameter Name=Value ...]
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from tests.local.clock_route import PATH as CLOCK_PATH
from tests.local.deployer import DeployError
from tests.local.environments import DECLARATION, ENVIRONMENT_NAME, SERVICE_CODE, Seeded, seed_with_files
from tests.local.ext4 import ImageError
from tests.local.keys import seed_key
from tests.local.logs import screen
from tests.local.stack import TEMPLATE, LocalStack
from tests.local.template import TemplateError

ENVIRONMENT_FILE = TEMPLATE.parent / ".local" / "env"
_TENANT = "smartcity"
_ENVIRONMENT = f"/v1/services/{SERVICE_CODE}/{ENVIRONMENT_NAME}"


class StopRequested(Exception):
    """The process was asked to end."""


def arguments(description: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of `up` and `sam_api`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--port",
        type=int,
        default=int(os.environ.get("PORT", "3000")),
        help="port of the REST API (default: PORT, or 3000)",
    )
    parser.add_argument("--aws-port", type=int, default=0, help="port of the pretended AWS (default: any free one)")
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="the SAM template")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a template parameter; may be repeated"
    )
    parser.add_argument(
        "--wait-scale", type=float, default=1.0, help="multiplies Wait states and pauses before retries (default: 1)"
    )
    parser.add_argument(
        "--env-file", type=Path, default=ENVIRONMENT_FILE, help="written for a shell to source (default: .local/env)"
    )
    parsed = parser.parse_args(argv)
    for text in parsed.parameter:
        if "=" not in text:
            parser.error(f"--parameter {text}: write it as NAME=VALUE")
    parsed.parameters = dict(text.split("=", 1) for text in parsed.parameter)
    return parsed


def environment_of(stack: LocalStack, url: str, key: str) -> dict[str, str]:
    """What a shell needs to talk to the stack."""
    return {"TIDEMARK_URL": url, "TIDEMARK_API_KEY": key, **stack.aws.environment()}


def write_environment(variables: Mapping[str, str], path: Path) -> None:
    """Write them as a file for a shell to source; nobody else may read it, since it holds a key."""
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={value}\n" for name, value in variables.items()), encoding="utf-8")


def curl_commands(url: str, key: str) -> str:
    """The documented commands, ready to paste."""
    common = f"""\
  -H "Fiware-Service: {_TENANT}" \\
  -H "Authorization: Bearer {key}\""""
    return f"""\
# Create a snapshot
curl -X POST {url}/v2/snapshots \\
  -H "Content-Type: application/json" \\
{common} \\
  -d '{{
    "description": "Pre-deployment backup"
  }}'

# List snapshots
curl {url}/v2/snapshots \\
{common}

# Restore a snapshot (the id is what creating one answered)
curl -X POST {url}/v2/snapshots/snapshot_2026-01-15T10-00-00Z/restore \\
{common}

# Delete a snapshot
curl -X DELETE {url}/v2/snapshots/snapshot_2026-01-15T10-00-00Z \\
{common}
"""


def volume_commands(url: str, key: str, volume_id: str) -> str:
    """Commands about the volume of the environment, ready to paste."""
    return f"""\
# List the volumes of the environment, and the snapshots of them
curl -H "MC-Api-Key: {key}" {url}{_ENVIRONMENT}/volumes
curl -H "MC-Api-Key: {key}" {url}{_ENVIRONMENT}/snapshots

# Take a snapshot of the volume
curl -X POST "{url}{_ENVIRONMENT}/snapshots?operation=create" \\
  -H "MC-Api-Key: {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"volumeId": "{volume_id}"}}'
"""


def wait_for_stop() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    asked.wait()


def stop_on_signal(number: int, frame: FrameType | None) -> None:
    """Unwind the stack's start when the signal comes before it is up."""
    raise StopRequested


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until asked to stop."""
    options = arguments("Serve the whole stack on this machine.", argv)
    signal.signal(signal.SIGTERM, stop_on_signal)
    started = time.monotonic()
    try:
        with LocalStack.serve(
            options.template,
            port=options.port,
            aws_port=options.aws_port,
            parameters={"Environments": DECLARATION, **options.parameters},
            wait_scale=options.wait_scale,
            logs=screen(),
            ticking=True,
        ) as stack:
            stack.streams.start()
            key = seed_key(stack)
            volume = seed_with_files(stack)
            write_environment(environment_of(stack, stack.url, key), options.env_file)
            print(_banner(stack, key, volume, options.env_file, time.monotonic() - started), flush=True)
            wait_for_stop()
            print("\nStopping.", flush=True)
    except (KeyboardInterrupt, StopRequested):
        return 130
    except (TemplateError, DeployError, ImageError, OSError) as error:
        print(f"The stack does not start: {error}", file=sys.stderr)
        return 1
    return 0


def _banner(stack: LocalStack, key: str, volume: tuple[Seeded, str], env_file: Path, seconds: float) -> str:
    seeded, holding = volume
    counts = f"{len(stack.api.routes)} routes, {len(stack.deployment.functions)} functions"
    return f"""\
Tidemark is up at {stack.url} ({counts}, {seconds:.1f} s)

  API key   {key}
  AWS       {stack.aws.endpoint_url}
  volume    {seeded.volume_id} of {SERVICE_CODE}/{ENVIRONMENT_NAME} ({holding})
  shell     source {_relative(env_file)}

{curl_commands(stack.url, key)}
{volume_commands(stack.url, key, seeded.shown_as)}
# Move the clock by a day, and let everything happen that is scheduled until then
curl -X POST {stack.url}{CLOCK_PATH} -d '{{"hours": 24}}'

Ctrl-C stops it. What follows is what the functions log.
"""


def _relative(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
