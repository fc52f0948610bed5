"""What the demo proves, it could also disprove: its reader and its generator of a city."""

import hashlib
import json
import random
import time
from collections import Counter
from typing import Any

import pytest

from tests.local.city import KINDS, city, read_again
from tests.local.demo_client import Client, DemoFailed, Listing
from tests.local.demo_parts import Parts
from tests.local.demo_reader import AFTER, BEFORE, Reader
from tests.local.demo_story import Story
from tests.local.demo_transfer import Transfer
from tests.local.http_messages import Answer, Headers

OLD = Listing((b"[1]", b"[2]"), 2)
NEW = Listing((b"[3]", b"[4]"), 2)


class Scripted(Client):
    """Answers page after page from a list, and the last round for ever."""

    def __init__(self, rounds: list[tuple[bytes, ...]]) -> None:
        super().__init__("http://127.0.0.1:1", {})
        self._bodies = [body for bodies in rounds for body in bodies]

    def page(self, number: int, options: str = "normalized") -> Answer:
        del options
        body = self._bodies.pop(0) if len(self._bodies) > 2 else self._bodies[number]
        if body == b"broken":
            raise DemoFailed("the connection broke")
        return Answer(200, Headers(), body)


def _read(*rounds: tuple[bytes, ...]) -> Counter[str]:
    client = Scripted(list(rounds))
    with Reader(lambda: client, OLD, NEW) as reader:
        while len(client._bodies) > 2:  # noqa: SLF001 - until all is read but the last round
            time.sleep(0.001)
    return reader.judge()


def test_reader_counts_the_reads_of_each_state_when_all_are_whole() -> None:
    counts = _read(OLD.pages, (OLD.pages[0], NEW.pages[1]), NEW.pages, NEW.pages)
    assert counts[BEFORE] == 3
    assert counts[AFTER] >= 5


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([OLD.pages, (b"[1,3]", b"[4]"), NEW.pages], "neither"),
        ([OLD.pages, (NEW.pages[1], NEW.pages[0]), NEW.pages], "neither"),
        ([OLD.pages, NEW.pages, OLD.pages, NEW.pages], "later one"),
        ([OLD.pages, OLD.pages], "before and that after"),
        ([NEW.pages, NEW.pages], "before and that after"),
        ([OLD.pages, (b"broken", b"[4]"), NEW.pages], "could not read"),
    ],
)
def test_reader_fails_the_demo_when_reads_are_not_as_they_must_be(rounds: list[tuple[bytes, ...]], said: str) -> None:
    client = Scripted(rounds)
    with Reader(lambda: client, OLD, NEW) as reader:
        while len(client._bodies) > 2 and reader._failure is None:  # noqa: SLF001 - until all is read but the last round
            time.sleep(0.001)
    with pytest.raises(DemoFailed, match=said):
        reader.judge()


def test_city_is_the_same_again_and_has_twelve_types_of_entities_of_about_two_kilobytes() -> None:
    entities = list(city(1250))
    assert entities == list(city(1250))
    assert entities != list(city(1250, seed=1))
    assert len({entity["id"] for entity in entities}) == 1250
    assert {entity["type"] for entity in entities} == {kind.type for kind in KINDS}
    assert len(KINDS) == 12
    sizes_bytes = [len(json.dumps(entity, ensure_ascii=False, separators=(",", ":")).encode()) for entity in entities]
    assert min(sizes_bytes) > 1500
    assert max(sizes_bytes) < 2200


def test_sensor_sends_another_time_when_it_reads_again() -> None:
    (entity,) = city(1)
    again = read_again(entity, random.Random(1))
    assert (again["id"], again["type"]) == (entity["id"], entity["type"])
    assert again["dateObserved"] != entity["dateObserved"]
    assert set(again) < set(entity)


def test_story_tells_its_steps_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story()
    with story.step("Count to three") as step:
        step.result = "three"
    assert capsys.readouterr().out.startswith(" 1. Count to three\n")
    lines = story.table().splitlines()
    assert [line.split()[0] for line in lines] == ["#", "--", "1", "--", "all"]
    assert "Count to three" in lines[2]
    assert "three" in lines[2]


class Told(Client):
    """Answers each path with its document; what is PUT or POSTed is taken."""

    def __init__(self, documents: dict[str, Any]) -> None:
        super().__init__("http://127.0.0.1:1", {})
        self._documents = documents

    def send(self, method: str, path: str, document: Any = None) -> Answer:
        del document
        status = {"GET": 200}.get(method, 202 if path.endswith("/s/import") else 201)
        return Answer(status, Headers(), json.dumps(self._documents[path]).encode())


FILE = b"entities"
ENTITY = {"id": "e", "type": "T", "a": {"value": 1}}
LOADED = Listing((json.dumps([ENTITY]).encode(),), 1)
MANIFEST = {
    "digest": "d" * 64,
    "records": 1,
    "parts": [{"name": "p", "url": "http://bucket/p", "sha256": hashlib.sha256(FILE).hexdigest()}],
}
IMPORTED = {
    "/v2/snapshots/import": {
        "id": "s",
        "files": [{"partSizeBytes": 5, "urls": ["http://bucket/1", "http://bucket/2"]}],
    },
    "/v2/snapshots/s/import": {"id": "s"},
    "/v2/snapshots/s": {"status": "completed", "digest": "d" * 64, "entityCount": 1},
    "/v2/snapshots/s/entities?limit=1000&offset=0": [ENTITY],
}


def _transferred(monkeypatch: pytest.MonkeyPatch, file: bytes, imported: dict[str, Any]) -> list[bytes | None]:
    """What was sent to addresses when a snapshot is exported and imported again."""
    carried = []

    def carry(_method: str, _url: str, body: bytes | None = None) -> bytes:
        carried.append(body)
        return file

    monkeypatch.setattr("tests.local.demo_transfer.carry", carry)
    transfer = Transfer(Story(), Told({"/v2/snapshots/b/export": MANIFEST}), Told({**IMPORTED, **imported}))
    manifest, files = transfer.export("b")
    transfer.import_(manifest, files, LOADED)
    return carried


def test_export_and_import_are_told_when_all_is_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _transferred(monkeypatch, FILE, {}) == [None, b"entit", b"ies"]


@pytest.mark.parametrize(
    ("file", "imported", "said"),
    [
        (b"other", {}, "not the file"),
        (FILE, {"/v2/snapshots/s": {"status": "failed", "error": {"code": "ImportRefused"}}}, "ImportRefused"),
        (FILE, {"/v2/snapshots/s": {"status": "completed", "digest": "e" * 64}}, "must have one digest"),
        (FILE, {"/v2/snapshots/s/entities?limit=1000&offset=0": [{**ENTITY, "a": {"value": 2}}]}, "not those"),
        (FILE, {"/v2/snapshots/s/entities?limit=1000&offset=0": []}, "not those"),
    ],
)
def test_demo_fails_when_what_was_imported_is_not_what_was_exported(
    monkeypatch: pytest.MonkeyPatch, file: bytes, imported: dict[str, Any], said: str
) -> None:
    with pytest.raises(DemoFailed, match=said):
        _transferred(monkeypatch, file, imported)


@pytest.mark.parametrize(
    ("counts", "new", "said"),
    [
        ({"created": 3, "updated": 2, "deleted": 1}, 7, None),
        ({"created": 1, "updated": 2, "deleted": 3}, 7, "the difference must be"),
        ({"created": 3, "updated": 2, "deleted": 1}, 1, "on both sides"),
    ],
)
def test_demo_fails_when_the_difference_is_not_the_wreckage(
    counts: dict[str, int], new: int, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    entity = {"id": "e", "attributes": {"a": {"old": {"value": 1}, "new": {"value": new}}}}
    client = Told({"/v2/snapshots/b/diff?with=live&change=updated&limit=1": {"counts": counts, "entities": [entity]}})
    parts = Parts(Story(), client, client, lambda _client, _location: [])
    wreckage = {"created": 1, "updated": 2, "deleted": 3}
    if said is None:
        parts.compare("b", wreckage)
        assert "a was 1, is 7" in capsys.readouterr().out
        return
    with pytest.raises(DemoFailed, match=said):
        parts.compare("b", wreckage)
