"""`make up` as a process of its own, with the product's template: it starts, answers, and leaves nothing behind."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.stack import TEMPLATE
from tests.local.up import curl_commands

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15


@contextlib.contextmanager
def up(env_file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.local.up", "--port", "0", "--env-file", str(env_file)]
    process = subprocess.Popen(
        command, cwd=TEMPLATE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(env_file: Path, process: subprocess.Popen[str]) -> dict[str, str]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        lines = env_file.read_text().splitlines() if env_file.exists() else []
        if len(lines) >= 7:
            return dict(line.removeprefix("export ").split("=", 1) for line in lines)
        time.sleep(0.1)
    raise TimeoutError(f"{env_file} was not written")


def descendants(process_id: int) -> set[int]:
    found = {process_id}
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            if int((path / "stat").read_text().rsplit(")", 1)[1].split()[1]) in found:
                found.add(int(path.name))
    return found - {process_id}


def is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)],
    ids=["Ctrl-C", "SIGTERM", "SIGKILL"],
)
def test_answers_and_leaves_nothing_behind_when_it_is_ended(tmp_path: Path, number: int, status: int) -> None:
    with up(tmp_path / "local" / "env") as process:
        variables = wait_for(tmp_path / "local" / "env", process)
        headers = {"Authorization": f"Bearer {variables['TIDEMARK_API_KEY']}", "Fiware-Service": "smartcity"}
        request = urllib.request.Request(f"{variables['TIDEMARK_URL']}/v2/snapshots", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.loads(answer.read()) == []
        path = "/v1/services/compute-on/test_area/volumes"
        of_volumes = urllib.request.Request(f"{variables['TIDEMARK_URL']}{path}", headers=headers)
        with urllib.request.urlopen(of_volumes, timeout=20) as answer:
            [volume] = json.loads(answer.read())["data"]
        assert (volume["name"], volume["instanceName"]) == ("foo", "i-douglas-ADM")
        started = descendants(process.pid)

        process.send_signal(number)
        output = process.communicate(timeout=STOP_TIMEOUT_S)[0]

    assert process.returncode == status, output
    assert f"Tidemark is up at {variables['TIDEMARK_URL']}" in output
    assert "of compute-on/test_area (" in output
    assert volume["id"] in output
    assert started, "the workers are processes"
    deadline = time.monotonic() + 5
    while any(map(is_alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [process_id for process_id in started if is_alive(process_id)]
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(variables["TIDEMARK_URL"].rpartition(":")[2])))


def test_ends_when_it_is_told_to_while_it_starts(tmp_path: Path) -> None:
    with up(tmp_path / "env") as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=STOP_TIMEOUT_S)

    assert process.returncode != 0
    assert not (tmp_path / "env").exists()


def test_lets_nobody_else_read_the_key_when_it_writes_one(tmp_path: Path) -> None:
    from tests.local.up import write_environment  # noqa: PLC0415 - beside what it is about

    write_environment({"TIDEMARK_API_KEY": "tm_secret"}, tmp_path / "new" / "env")

    assert (tmp_path / "new" / "env").read_text() == "export TIDEMARK_API_KEY=tm_secret\n"
    assert (tmp_path / "new" / "env").stat().st_mode & 0o777 == 0o600


def test_says_what_is_wrong_when_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "tests.local.up", "--port", port, "--env-file", str(tmp_path / "env")]
        ended = subprocess.run(command, cwd=TEMPLATE.parent, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert f"port {port} of this machine is in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_fills_in_host_and_key_when_it_prints_commands() -> None:
    commands = curl_commands("http://127.0.0.1:3000", "tm_key")

    assert commands.count('-H "Authorization: Bearer tm_key"') == 4
    assert "curl -X POST http://127.0.0.1:3000/v2/snapshots \\\n" in commands
    assert "geolonia" not in commands
