"""Images of volumes leave and arrive over HTTP, as the command line and a shell move them."""

import hashlib
import time
from pathlib import Path

import pytest

from tests.cli.running import CommandLine
from tests.e2e.served import Served, send
from tests.e2e.test_volumes import ENVIRONMENT, call, over
from tests.local.environments import Seeded, seed_environment
from tests.unit.blocks.imaging import body
from tidemark.domain.blocks import BLOCK_BYTES
from tidemark_cli.sending import HttpSender

GIB = 1024**3
BLOCKS = (0, 3, 2047, 2048)
_GONE_WITHIN_S = 20.0


@pytest.fixture(scope="module")
def volume(served_stack: Served) -> Seeded:
    return seed_environment(served_stack)


@pytest.fixture(scope="module")
def key(served_stack: Served) -> str:
    return served_stack.key(tenants=(), environments=("compute-on/test_area",))


@pytest.fixture
def tidemark(served_stack: Served, key: str, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("TIDEMARK_ENVIRONMENT", "compute-on/test_area")
    return CommandLine(HttpSender(), served_stack.url, key, tenant=None)


def sparse(path: Path) -> int:
    """How many bytes a file takes on the disk."""
    return path.stat().st_blocks * 512


def test_image_is_imported_and_exported_again_with_the_same_digest(tidemark: CommandLine, tmp_path: Path) -> None:
    first, second = tmp_path / "first.raw", tmp_path / "second.raw"
    with first.open("wb") as file:
        # More than a GiB, so the last GiB is filled up with zeros.
        file.truncate(GIB + BLOCK_BYTES)
        for index in BLOCKS:
            file.seek(index * BLOCK_BYTES)
            file.write(body(index))
    imported = tidemark("volumes", "import", str(first), "--quiet")
    assert imported.code == 0, imported
    told = tidemark("volumes", "export", imported.out.strip(), str(second), "--json")
    assert told.code == 0, told
    assert (told.json()["blocks"], told.json()["sizeBytes"]) == (len(BLOCKS), 2 * GIB)
    assert second.stat().st_size == 2 * GIB
    assert sparse(second) <= sparse(first) + BLOCK_BYTES
    with second.open("rb") as file:
        for index in BLOCKS:
            file.seek(index * BLOCK_BYTES)
            assert file.read(BLOCK_BYTES) == body(index)

    again = tidemark("volumes", "import", str(second), "--quiet")
    assert again.code == 0, again
    third = tidemark("volumes", "export", again.out.strip(), str(tmp_path / "third.raw"), "--json")
    assert third.json()["digest"] == told.json()["digest"]


def test_snapshot_of_a_volume_is_exported_and_imported_as_one_of_that_volume(
    tidemark: CommandLine, volume: Seeded, tmp_path: Path
) -> None:
    taken = tidemark("volumes", "snapshots", "create", volume.shown_as, "--quiet")
    assert taken.code == 0, taken
    told = tidemark("volumes", "export", taken.out.strip(), str(tmp_path / "volume.raw"), "--json")
    assert told.code == 0, told
    assert (tmp_path / "volume.raw").stat().st_size == GIB
    upon = tidemark("volumes", "import", str(tmp_path / "volume.raw"), "--volume", volume.shown_as, "--json")
    assert upon.code == 0, upon
    result = upon.json()["data"]["result"]
    assert (result["state"], result["volumeId"]) == ("BackedUp", volume.shown_as)


def gone(served: Served, snapshot_id: str) -> bool:
    """Whether nothing is left of what was sent, which is removed right after the task is over."""
    deadline = time.monotonic() + _GONE_WITHIN_S
    while time.monotonic() < deadline:
        sent = served.client("s3").list_objects_v2(Bucket=served.physical_ids["Bucket"], Prefix="transfer-imports/")
        if not any(snapshot_id in found["Key"] for found in sent.get("Contents", ())):
            return True
        time.sleep(0.1)
    return False


def test_image_is_sent_by_hand(served_stack: Served, volume: Seeded, key: str) -> None:
    """What the README shows: `split`, `sha256sum` and `curl` are enough."""
    image = b"a disk".ljust(1000, b"\0") + b"the end"
    asked = {"sizeBytes": len(image), "volume": "by hand", "volumeType": "ROOT"}
    begun = call(served_stack, key, "POST", f"{ENVIRONMENT}/snapshots?operation=import", asked)
    assert begun.status == 202, begun
    uploads = f"{ENVIRONMENT}/snapshots/{begun.json()['snapshot']['id']}/uploads"
    told = call(served_stack, key, "GET", uploads).json()["data"]
    for url, sent in (
        (told["parts"][0]["url"], image),
        (told["indexUrl"], f"{hashlib.sha256(image).hexdigest()}  00000000\n".encode()),
    ):
        host, _, path = url.removeprefix("http://").partition("/")
        assert send(f"http://{host}", "PUT", f"/{path}", {}, sent).status == 200
    done = call(served_stack, key, "POST", f"{uploads}?operation=complete")
    assert done.status == 202, done
    task = over(served_stack, key, begun.json())
    assert task["taskStatus"] == "SUCCESS", task
    assert task["data"]["result"]["volume"] == "by hand"
    assert task["data"]["result"]["volumeType"] == "ROOT"
    assert gone(served_stack, begun.json()["snapshot"]["id"])


def test_image_whose_part_was_altered_ends_in_an_error_that_names_it(
    served_stack: Served, volume: Seeded, key: str
) -> None:
    begun = call(served_stack, key, "POST", f"{ENVIRONMENT}/snapshots?operation=import", {"sizeBytes": 4}).json()
    uploads = f"{ENVIRONMENT}/snapshots/{begun['snapshot']['id']}/uploads"
    told = call(served_stack, key, "GET", uploads).json()["data"]
    for url, sent in (
        (told["parts"][0]["url"], b"more"),
        (told["indexUrl"], f"{hashlib.sha256(b'less').hexdigest()}  00000000\n".encode()),
    ):
        host, _, path = url.removeprefix("http://").partition("/")
        assert send(f"http://{host}", "PUT", f"/{path}", {}, sent).status == 200
    assert call(served_stack, key, "POST", f"{uploads}?operation=complete").status == 202
    task = over(served_stack, key, begun)
    assert task["taskStatus"] == "FAILED"
    assert "part 00000000 of the image (blocks 0 to 31)" in task["errors"][0]["message"]
    shown = call(served_stack, key, "GET", f"{ENVIRONMENT}/snapshots/{begun['snapshot']['id']}").json()
    assert shown["data"]["state"] == "Error"
