"""Files that leave and arrive: no key goes to their addresses, and what breaks on the way is mended or told.

What the service makes of them is tried in `tests/e2e/test_command_line_transfers.py`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.cli.running import URL, CommandLine, Said, Scripted, answer, error
from tidemark_cli import api
from tidemark_cli.failures import Unreachable
from tidemark_cli.sending import Answer

BODY = b"a part of a snapshot"
PART = {
    "name": "snapshot_1-000-00000.ndjson.zst",
    "sizeBytes": len(BODY),
    "sha256": hashlib.sha256(BODY).hexdigest(),
    "records": 3,
    "url": "https://bucket.test/part?signature=1",
}
MANIFEST = {"format": "tidemark-export", "version": 1, "records": 3, "digest": "d" * 64, "expiresAt": "soon"}


class Bucket(Scripted):
    """The API of a script beside a store whose downloads end as a test says: bytes, a status, or silence."""

    def __init__(self, answers: Sequence[Answer | Unreachable], ends: Sequence[bytes | int | Unreachable] = ()) -> None:
        super().__init__(answers)
        self.ends = list(ends)
        self.stored: list[tuple[str, Mapping[str, str], bytes]] = []

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The store takes every part but the first try of each."""
        if url.startswith(URL):
            return super().send(method, url, headers, body)
        known = [stored for stored, *_ in self.stored]
        self.stored.append((url, headers, body or b""))
        return answer(200 if url in known else 503)

    def download(self, url: str, path: Path, arrived: Callable[[int], None]) -> tuple[int, str]:
        """The next end, the last one again and again."""
        assert url == PART["url"]
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Unreachable):
            path.write_bytes(BODY[:3])
            raise end
        if isinstance(end, int):
            return end, ""
        path.write_bytes(end)
        arrived(len(end))
        return 200, hashlib.sha256(end).hexdigest()


def exported(directory: Path, *ends: bytes | int | Unreachable, **part: Any) -> tuple[Said, CommandLine]:
    whole = answer(200, {**MANIFEST, "partCount": 1, "parts": [{**PART, **part}]})
    command = CommandLine(Bucket([whole], ends))
    return command("snapshots", "export", "snapshot_1", str(directory)), command


def test_export_waits_while_it_is_prepared_and_puts_its_pages_together(tmp_path: Path) -> None:
    first, second = PART, {**PART, "name": "second.ndjson.zst"}
    script = Bucket(
        [
            answer(202, {"snapshotId": "snapshot_1", "status": "preparing"}, retry_after="5"),
            answer(200, {**MANIFEST, "partCount": 2, "parts": [first]}),
            answer(200, {**MANIFEST, "partCount": 2, "parts": [second]}),
        ],
        [BODY],
    )
    said = CommandLine(script)("snapshots", "export", "snapshot_1", str(tmp_path / "new" / "directory"))
    assert said.code == 0, said
    assert "3 entities" in said.out
    assert "offset=1" in script.sent[2].url
    written = json.loads((tmp_path / "new" / "directory" / "manifest.json").read_text(encoding="utf-8"))
    assert [part["name"] for part in written["parts"]] == [PART["name"], "second.ndjson.zst"]
    assert not {"url", "expiresAt"} & {*written, *written["parts"][0]}


def test_download_that_breaks_is_tried_again(tmp_path: Path) -> None:
    said, command = exported(tmp_path, Unreachable("cut off", sent=True), b"other bytes", 503, BODY)
    assert said.code == 0, said
    assert (tmp_path / str(PART["name"])).read_bytes() == BODY
    assert len(command.slept_s) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([str(PART["name"]), "manifest.json"])


@pytest.mark.parametrize(
    ("end", "told", "pauses"),
    [
        pytest.param(403, "answers 403", 0, id="its time is over"),
        pytest.param(b"other bytes", "not those announced", api.TRIES, id="damaged for good"),
    ],
)
def test_download_that_stays_broken_leaves_no_manifest(
    end: bytes | int, told: str, pauses: int, tmp_path: Path
) -> None:
    said, command = exported(tmp_path, end)
    assert (said.code, len(command.slept_s)) == (6, pauses)
    assert told in said.err
    assert "snapshots export snapshot_1" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../.bashrc", "/etc/passwd", "..", "manifest.json", ""])
def test_file_that_would_land_elsewhere_is_not_written(name: str, tmp_path: Path) -> None:
    said, _ = exported(tmp_path / "inside", BODY, name=name)
    assert said.code == 1
    assert "can't be written" in said.err
    assert [path.name for path in tmp_path.rglob("*")] == ["inside"]


def test_import_sends_every_part_to_its_address_without_the_key(tmp_path: Path) -> None:
    file = tmp_path / "rooms.ndjson"
    file.write_bytes(b"0123456789")
    urls = [f"https://bucket.test/upload?part={number}" for number in range(3)]
    opened = {"name": "rooms.ndjson", "sizeBytes": 10, "partSizeBytes": 4, "urls": urls}
    script = Bucket(
        [
            answer(201, {"id": "snapshot_1", "status": "creating", "files": [opened]}),
            answer(202, {"id": "snapshot_1", "status": "creating"}),
            answer(200, {"id": "snapshot_1", "status": "completed"}),
        ]
    )
    said = CommandLine(script)("snapshots", "import", str(file), "--description", "from a file", "--quiet")
    assert (said.code, said.out) == (0, "snapshot_1\n")
    assert script.sent[0].document == {
        "files": [{"name": "rooms.ndjson", "sizeBytes": 10}],
        "description": "from a file",
    }
    assert "Idempotency-Key" in script.sent[0].headers
    assert {url: body for url, _, body in script.stored} == dict(zip(urls, (b"0123", b"4567", b"89"), strict=True))
    assert all(headers == {} for _, headers, _ in script.stored)


class Expiring(Bucket):
    """The store refuses addresses that are signed as old ones, by 403: once it has what came to another."""

    def __init__(self, answers: Sequence[Answer | Unreachable]) -> None:
        super().__init__(answers)
        self._has_one = Event()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if not url.startswith(URL) and "signed=old" in url:
            assert self._has_one.wait(10), "nothing came to a good address"
            return answer(403)
        given = super().send(method, url, headers, body)
        if not url.startswith(URL) and given.status == 200:
            self._has_one.set()
        return given


def expired(tmp_path: Path, again: str) -> tuple[Said, Expiring]:
    """An import of three parts, of which the first has arrived when the other addresses end, whose new ones end with
    `again`.
    """
    file = tmp_path / "rooms.ndjson"
    file.write_bytes(b"0123456789")
    told = {"name": "rooms.ndjson", "sizeBytes": 10, "partSizeBytes": 4}
    begun = [f"https://bucket.test/upload?part={number}&signed={'old' if number else 'new'}" for number in range(3)]
    renewed = [None, *(f"https://bucket.test/upload?part={number}&{again}" for number in (1, 2))]
    begins, ends = (
        answer(202, {"id": "snapshot_1", "status": "creating"}),
        answer(200, {"id": "snapshot_1", "status": "completed"}),
    )
    script = Expiring(
        [
            answer(201, {"id": "snapshot_1", "status": "creating", "files": [{**told, "urls": begun}]}),
            answer(200, {"id": "snapshot_1", "files": [{**told, "urls": renewed}]}),
            *((begins, ends) if "new" in again else ()),
        ]
    )
    return CommandLine(script)("snapshots", "import", str(file), "--quiet"), script


def test_import_goes_on_with_new_addresses_where_those_it_had_have_ended(tmp_path: Path) -> None:
    said, script = expired(tmp_path, "signed=new")
    assert (said.code, said.out) == (0, "snapshot_1\n")
    assert [(sent.method, sent.url.removeprefix(URL)) for sent in script.sent[1:3]] == [
        ("GET", "/v2/snapshots/snapshot_1/import"),
        ("POST", "/v2/snapshots/snapshot_1/import"),
    ]
    assert {body for _, _, body in script.stored} == {b"0123", b"4567", b"89"}


def test_import_gives_up_when_new_addresses_are_refused_too(tmp_path: Path) -> None:
    said, script = expired(tmp_path, "signed=old")
    assert (said.code, "403" in said.err) == (5, True)
    assert [sent.method for sent in script.sent] == ["POST"] + ["GET"] * (len(script.sent) - 1)
    assert 1 < len(script.sent) <= 1 + 2 * api.TRIES


def test_copy_is_waited_for_in_the_other_tenant() -> None:
    script = Scripted(
        [
            answer(202, {"id": "snapshot_2", "status": "creating"}),
            answer(200, {"id": "snapshot_2", "status": "completed"}),
        ]
    )
    assert CommandLine(script)("snapshots", "copy", "snapshot_1", "--into", "harbour", "--quiet").out == "snapshot_2\n"
    assert script.sent[0].document == {"service": "harbour"}
    assert "Idempotency-Key" in script.sent[0].headers
    assert [sent.headers["Fiware-Service"] for sent in script.sent] == ["smartcity", "harbour"]


def test_cancel_says_how_to_see_its_end() -> None:
    script = Scripted([answer(202, restore := {"id": "restore_1", "status": "restoring"})])
    said = CommandLine(script)("restores", "cancel", "restore_1", "--json")
    assert said.json() == restore
    assert (script.sent[0].method, "restores watch restore_1" in said.err) == ("DELETE", True)
    assert CommandLine(Scripted([error(409)]))("restores", "cancel", "restore_1").code == 4
