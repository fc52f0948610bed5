"""The screens of README.md are what the command line shows."""

import re

import pytest

from tests.cli.in_memory import InMemory
from tests.fakes import memory_ports
from tests.repo import screens
from tests.repo.screens import screens_in
from tests.repo.sources import README

MAX_WIDTH = 140


def test_readme_shows_every_screen_as_it_is() -> None:
    assert screens_in(README.read_text(encoding="utf-8")) == screens.screens(), "play them anew: make screens"


def test_screens_are_the_same_each_time() -> None:
    first = screens.screens()
    screens.screens.cache_clear()
    assert screens.screens() == first


def test_screens_show_what_they_are_there_for() -> None:
    shown = screens.screens()
    assert re.search(r"^updated +Room +Room1 +temperature +21.5 +70.7$", shown["diff"], re.MULTILINE)
    phases = re.findall(r"^  (\w+) \d", shown["restore"], re.MULTILINE)
    assert phases == ["Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire"]
    assert "[y/N]: y\n" in shown["restore"]
    decisions = re.findall(r"^snapshot_\S+ +(keep|forget) ", shown["preview"], re.MULTILINE)
    assert set(decisions) == {"keep", "forget"}
    assert "pinned" in shown["preview"]


def test_screens_show_a_disk_its_snapshots_and_what_is_made_of_one() -> None:
    shown = screens.screens()
    assert re.search(r"^state +BackedUp$", shown["volume-create"], re.MULTILINE)
    names = re.findall(r"^[0-9a-f-]{36} +(\S+) +BackedUp ", shown["volume-snapshots"], re.MULTILINE)
    assert names == ["after-upgrade", "before-upgrade"]
    assert re.search(r"^name +foo-restored$", shown["volume-restore"], re.MULTILINE)
    assert re.search(r"^state +Ready$", shown["volume-restore"], re.MULTILINE)


def test_screens_show_schedules_of_a_disk_one_of_them_paused() -> None:
    shown = screens.screens()
    assert re.search(r"^nextDue +2026-01-16T07:30:00\+0000$", shown["volume-schedule"], re.MULTILINE)
    assert "volumes schedules resume" in shown["volume-pause"]
    assert "completed" in shown["volume-schedules"]
    assert "paused" in shown["volume-schedules"]


def test_screens_fit_on_a_page() -> None:
    lines = [line for screen in screens.screens().values() for line in screen.splitlines()]
    assert [line for line in lines if len(line) > MAX_WIDTH or line != line.rstrip()] == []


def test_rewrites_only_the_screens_when_a_document_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "screens", lambda: {"a": "$ ls\nx\n"})
    document = "# T\n<!-- screen: a -->\n\n```console\nold\n```\nText\n```console\n$ id\n```\n"
    expected = document.replace("old\n", "$ ls\nx\n")
    assert screens.updated(document) == expected
    assert screens_in(expected) == {"a": "$ ls\nx\n"}


def test_requests_go_by_the_routes_of_the_template() -> None:
    api = InMemory(memory_ports())
    headers = {"Fiware-Service": "smartcity"}
    found = {
        path: api.send("GET", f"http://tidemark.example{path}", headers, None).status
        for path in ("/v2/snapshots", "/v2/snapshots/snapshot_2026-01-15T10-00-00Z", "/v3")
    }
    assert found == {"/v2/snapshots": 200, "/v2/snapshots/snapshot_2026-01-15T10-00-00Z": 404, "/v3": 404}
