"""The uses that README.md shows, run by a shell as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tests.repo.sources import README

MAX_LINES = 10
USES = (
    "Roll back a deployment",
    "Test with production data in another tenant",
    "Undo a migration",
    "Have backups made, and see why one stays",
)
# What stands for the reader's own scripts: it sets every room's temperature, adds a car, and ends with a status.
_SCRIPT = """\
#!{python}
import json, os, sys, urllib.request
entities = [{{"id": f"urn:ngsi-ld:Room:{{number:04d}}", "type": "Room",
             "temperature": {{"type": "Number", "value": -1}}}} for number in range(3)]
entities.append({{"id": "urn:ngsi-ld:Car:1", "type": "Car", "speed": {{"type": "Number", "value": 7}}}})
request = urllib.request.Request(
    os.environ["TIDEMARK_URL"] + "/v2/op/update",
    json.dumps({{"actionType": "append", "entities": entities}}).encode(),
    {{"Content-Type": "application/json", "Fiware-Service": os.environ["TIDEMARK_TENANT"],
      "Authorization": "Bearer " + os.environ["TIDEMARK_API_KEY"]}},
)
urllib.request.urlopen(request, timeout=30)
print("ran with", sys.argv[1:])
sys.exit({status})
"""


def blocks(use: str) -> list[str]:
    """The shell commands below a heading."""
    section = README.read_text(encoding="utf-8").partition(f"\n### {use}\n")[2].partition("\n#")[0]
    found: list[str] = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no commands below {use!r}"
    return found


def block(use: str) -> str:
    """The first of them."""
    return blocks(use)[0]


@pytest.fixture
def city(served_stack: Served, tenant: str) -> Caller:
    """A tenant with three rooms; the test tenant of the document is of the same key."""
    call = Caller(served_stack.url, served_stack.key([tenant, "smartcity_test"]), tenant)
    walk.put_rooms(call, 3, 21.5)
    return call


def run(use: str, city: Caller, directory: Path, *, status: int = 0) -> subprocess.CompletedProcess[str]:
    """The block as a script that stops at the first failure, with scripts that end with `status` beside it."""
    for name in ("deploy.sh", "run-tests.sh", "migrate.sh"):
        _executable(directory / name, _SCRIPT.format(python=sys.executable, status=status))
    _executable(directory / "bin" / "tidemark", f'#!/bin/sh\nexec "{sys.executable}" -m tidemark_cli "$@"\n')
    return shell(block(use), city, directory)


def shell(commands: str, city: Caller, directory: Path) -> subprocess.CompletedProcess[str]:
    """Commands, ended by the first failure of one."""
    environment = {
        "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TIDEMARK_URL": city.url,
        "TIDEMARK_API_KEY": str(city.key),
        "TIDEMARK_TENANT": city.tenant,
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def temperatures(call: Caller) -> list[Any]:
    """Those of the rooms, and of the car None."""
    return [entity.get("temperature", {}).get("value") for entity in walk.entities(call)]


@pytest.mark.parametrize("use", USES)
def test_use_is_told_in_a_few_lines(use: str) -> None:
    assert 1 <= len(block(use).splitlines()) <= MAX_LINES


def test_failed_deployment_is_rolled_back(city: Caller, tmp_path: Path) -> None:
    before = walk.entities(city)
    done = run(USES[0], city, tmp_path, status=1)
    assert done.returncode == 0, done.stderr
    assert "ran with ['2.1.0']" in done.stdout
    assert "is completed" in done.stdout
    assert walk.entities(city) == before


def test_deployment_that_succeeds_stays(city: Caller, tmp_path: Path) -> None:
    done = run(USES[0], city, tmp_path)
    assert done.returncode == 0, done.stderr
    assert temperatures(city) == [None, -1, -1, -1]


def test_production_data_is_tested_with_in_another_tenant(city: Caller, tmp_path: Path) -> None:
    before = walk.entities(city)
    walk.create(city)
    done = run(USES[1], city, tmp_path)
    assert done.returncode == 0, done.stderr
    assert walk.entities(city) == before
    there = Caller(city.url, city.key, "smartcity_test")
    assert temperatures(there) == [None, -1, -1, -1]
    (restored,) = there("GET", "/v2/restores?limit=1").json()
    assert (restored["sourceService"], restored["status"], restored["total"]) == (city.tenant, "completed", 3)


def test_migration_is_undone_where_it_touched_something(city: Caller, tmp_path: Path) -> None:
    done = run(USES[2], city, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0 created, 3 updated, 0 deleted" in done.stdout
    assert re.search(r"updated +Room +urn:ngsi-ld:Room:0002 +temperature +21\.5 +-1 *\n", done.stdout)
    assert temperatures(city) == [None, 21.5, 21.5, 21.5]


def test_backups_are_made_on_a_schedule(city: Caller, tmp_path: Path) -> None:
    done = run(USES[3], city, tmp_path)
    assert done.returncode == 0, done.stderr
    (schedule,) = city("GET", "/v2/schedules").json()
    assert (schedule["status"], schedule["interval"]) == ("active", "daily")
    assert schedule["retention"] == {"daily": 7, "weekly": 4, "monthly": 12}
    listed, own, tried = done.stdout.splitlines()[1:]
    assert listed.startswith(f"{schedule['id']}  cron(0 2 * * ? *) Europe/Paris ")
    assert own == "0 kept, 0 to be forgotten, 0 left alone, by daily=7, weekly=4, monthly=12."
    assert tried.endswith("by daily=3, weekly=2.")


@pytest.mark.skipif(
    not all(map(shutil.which, ("zstdcat", "jq", "curl"))),
    reason="zstdcat, jq and curl, with which people take snapshots elsewhere, are not installed: "
    "apt-get install zstd jq curl",
)
def test_snapshot_is_taken_elsewhere(city: Caller, tmp_path: Path) -> None:
    snapshot = walk.create(city)["id"]
    (tmp_path / "entities.ndjson").write_text('{"id": "Room1", "type": "Room"}\n', encoding="utf-8")
    commands = "".join(blocks("Take a snapshot elsewhere"))
    for shown, wanted in (
        ("smartcity", city.tenant),
        ("staging", "smartcity_test"),
        ("snapshot_2026-01-15T10-00-00Z", snapshot),
    ):
        assert shown in commands
        commands = commands.replace(shown, wanted)
    done = shell(commands, city, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"id": "urn:ngsi-ld:Room:') == 3
    there = Caller(city.url, city.key, "smartcity_test")
    for call, trigger, entities in ((there, "copy", 3), (city, "import", 1)):
        (made,) = call("GET", f"/v2/snapshots?trigger={trigger}").json()
        assert walk.completed(call, made["id"])["entityCount"] == entities
