"""Disks of a stack that can be reached into: the demo's story, twice as large, and the commands of README.md."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PARAMETERS
from tests.e2e.curl import run
from tests.local import ext4, volumes
from tests.local.demo_story import Story
from tests.local.demo_volumes import ENVIRONMENT, Disk, require_same
from tests.local.environments import seed_environment
from tests.local.keys import seed_key
from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES, GIB_BYTES
from tests.repo.sources import README

pytestmark = pytest.mark.timeout(300)

# The ids that README.md has, which are those of the documentation of cloud.ca.
VOLUME = "c779ca42-6966-41af-a7dc-23db4e41d4ee"
SNAPSHOT = "33a27b8d-5a27-42a5-aec4-37606e372bda"
TASK = "85df8dfb-b904-42dc-bb76-4824e6b50c83"
_TASK_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """A stack in this process, so that its volumes can be filled, with sockets for curl and the command line."""
    with LocalStack.serve(parameters=PARAMETERS, wait_scale=0.2) as started:
        yield started


@pytest.fixture(scope="module")
def key(stack: LocalStack) -> str:
    return seed_key(stack, tenants=(), environments=(ENVIRONMENT,))


def test_second_snapshot_of_two_gib_stores_the_one_percent_that_changed(
    stack: LocalStack, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story()

    Disk(story, stack, key, size_gib=2).play()

    told, results = capsys.readouterr().out, [step.result for step in story.steps]
    assert "40 of 4,096 blocks changed, 20.0 MiB" in told
    stored = re.fullmatch(r"BackedUp; ([0-9.]+) MiB stored for 20\.0 MiB changed", results[2])
    assert stored is not None, results
    assert 15 < float(stored[1]) <= 20 * 1.01
    assert results[3].startswith("Ready, 2 GiB in ")
    assert re.fullmatch(r"2 GiB, sparse: [0-9.]+ MiB on disk", results[4])
    assert results[5].startswith("equal to the last byte: ")
    assert ("e2fsck -n finds nothing wrong with any of them" in told) == (ext4.missing_tools() is None)
    assert max(map(len, told.splitlines())) <= 100


def test_disk_holds_random_bytes_and_says_why_where_e2fsprogs_is_missing(
    stack: LocalStack, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ext4, "missing_tools", lambda: "no mkfs.ext4 on this machine")
    story = Story()

    disk = Disk(story, stack, key)
    with disk._client:  # noqa: SLF001 - `play` closes it
        disk._make(tmp_path / "volume.raw")

    [made] = story.steps
    assert (made.title, made.result) == ("Make a volume with random bytes in it", "64 of 2,048 blocks hold something")
    assert "no mkfs.ext4 on this machine" in capsys.readouterr().out


class Reader:
    """Somebody who follows README.md from a shell: only host, key and ids are other ones."""

    def __init__(self, stack: LocalStack, key: str) -> None:
        self._environment = {"TIDEMARK_URL": stack.url, "TIDEMARK_API_KEY": key}
        self._ids: dict[str, str] = {}

    def means(self, **ids: str) -> None:
        """What the ids of the document stand for from now on."""
        known = {"volume": VOLUME, "snapshot": SNAPSHOT, "task": TASK}
        self._ids |= {known[name]: found for name, found in ids.items()}

    def asks(self, heading: str, number: int) -> Any:
        """What is answered to one of the requests by curl below a heading."""
        requests = [f"curl {one.strip()}" for one in "".join(self._shells(heading)).split("curl ")[1:]]
        answer = run(requests[number].replace("\\\n", " "))
        assert answer.status in {200, 202}, answer.text
        return answer.json()

    def types(self, heading: str, number: int, folder: Path) -> str:
        """What one of the blocks of commands below a heading prints, in a folder."""
        shim = folder / "bin" / "tidemark"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tidemark_cli "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
        surroundings = {
            "PATH": f"{shim.parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TIDEMARK_ENVIRONMENT": ENVIRONMENT,
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._shells(heading)[number]],
            cwd=folder,
            env={**self._environment, **surroundings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def waits(self, begun: Any) -> Any:
        """What a task has made, which the document says how to ask for."""
        self.means(task=begun["taskId"])
        deadline = time.monotonic() + _TASK_TIMEOUT_S
        while (task := self.asks("Snapshots of volumes", 2))["taskStatus"] == "PENDING":
            assert time.monotonic() < deadline, task
            time.sleep(0.1)
        assert task["taskStatus"] == "SUCCESS", task
        return task["data"]["result"]

    def _shells(self, heading: str) -> list[str]:
        """The blocks of commands below a heading, with what differs put in."""
        section = README.read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2].partition("\n#")[0]
        found = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        assert found, f"README.md has no commands below {heading!r}"
        meant = {f"${name}": value for name, value in self._environment.items()} | self._ids
        return [reduce(lambda told, one: told.replace(one, meant[one]), meant, block) for block in found]


def test_commands_of_the_readme_take_a_disk_out_and_back_in(stack: LocalStack, key: str, tmp_path: Path) -> None:
    seeded, reader = seed_environment(stack), Reader(stack, key)
    volumes.write(seeded.volume_id, 3 * BLOCK_BYTES + 17, b"a disk's bytes")
    reader.means(volume=seeded.shown_as)

    assert seeded.shown_as in {one["id"] for one in reader.asks("Snapshots of volumes", 0)["data"]}
    begun = reader.asks("Snapshots of volumes", 1)
    assert list(begun) == ["taskId", "taskStatus", "data"]
    made = reader.waits(begun)
    reader.means(snapshot=made["id"])
    assert reader.asks("Snapshots of volumes", 3) == {"data": [made], "metadata": {"recordCount": 1}}
    assert reader.asks("Snapshots of volumes", 4) == {"data": made}
    assert (made["state"], made["volumeType"], made["volumeId"]) == ("BackedUp", "DATADISK", seeded.shown_as)

    scheduled = reader.asks("Schedules of volumes", 0)
    assert (scheduled["taskStatus"], scheduled["data"]["volumeId"]) == ("SUCCESS", seeded.shown_as)

    restored = reader.waits(reader.asks("Restores and templates", 0))
    assert (restored["name"], restored["sizeInGb"]) == ("restored", 1)

    printed = reader.types("Images of volumes", 0, tmp_path)
    [imported] = {one["id"] for one in _get(stack, key, "snapshots")["data"]} & set(printed.split())
    assert imported != made["id"]
    volumes.save(seeded.volume_id, tmp_path / "volume.raw")
    require_same({"volume": tmp_path / "volume.raw", "exported file": tmp_path / "disk.raw"})
    assert (tmp_path / "disk.raw").stat().st_blocks * 512 < GIB_BYTES // 100
    images = [_get(stack, key, f"snapshots/{one}/image")["data"] for one in (made["id"], imported)]
    assert images[0]["digest"] == images[1]["digest"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="the commands need jq: apt-get install jq")
def test_commands_of_the_readme_send_an_image_by_hand(stack: LocalStack, key: str, tmp_path: Path) -> None:
    with (tmp_path / "disk.raw").open("xb") as image:
        image.write(b"the first part".ljust(32 * BLOCK_BYTES, b"\1"))
        image.write(b"the second, and last")

    begun = json.loads(Reader(stack, key).types("Images of volumes", 1, tmp_path))

    made = Reader(stack, key).waits(begun)
    assert (made["state"], made["volume"]) == ("BackedUp", "imported")
    told = _get(stack, key, f"snapshots/{made['id']}/image")["data"]
    assert (told["sizeBytes"], told["blocks"]) == (GIB_BYTES, 33)


def _get(stack: LocalStack, key: str, path: str) -> Any:
    answer = stack.http("GET", f"/v1/services/{ENVIRONMENT}/{path}", {"MC-Api-Key": key})
    assert answer.status == 200, answer.text
    return answer.json()
