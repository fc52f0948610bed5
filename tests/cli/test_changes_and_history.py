"""What is said about snapshots is changed without losing the rest, and an entity is followed through them."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.running import URL, CommandLine, Scripted, answer, error
from tidemark_cli import api
from tidemark_cli.failures import Unreachable

HELD = answer(200, {"id": "snapshot_1", "labels": {"env": "prod", "release": "2.1.0"}})
DONE = answer(204)
HISTORY: list[dict[str, Any]] = [
    {
        "snapshotId": "snapshot_3",
        "description": "after",
        "createdAt": "2026-01-17T10:00:00Z",
        "change": "deleted",
        "type": "Room",
        "servicePath": "/",
    },
    {
        "snapshotId": "snapshot_2",
        "description": "",
        "createdAt": "2026-01-16T10:00:00Z",
        "change": "updated",
        "type": "Room",
        "servicePath": "/",
        "changedAttributes": ["owner", "temperature"],
        "entity": {"id": "Room1", "type": "Room", "temperature": 22.5, "floor": 3},
    },
    {
        "snapshotId": "snapshot_1",
        "description": "before",
        "createdAt": "2026-01-15T10:00:00Z",
        "change": "created",
        "type": "Room",
        "servicePath": "/",
        "entity": {"id": "Room1", "type": "Room", "temperature": 21.5, "floor": 3, "owner": "Ada"},
    },
]


@pytest.mark.parametrize(
    ("options", "document"),
    [
        (("--description", "Before 2.1"), {"description": "Before 2.1"}),
        (("-d", ""), {"description": ""}),
        (("--expires-in", "P30D"), {"expiresIn": "P30D"}),
        (("--expires-at", "2027-01-15T10:00:00Z"), {"expiresAt": "2027-01-15T10:00:00Z"}),
        (("--no-expiry",), {"expiresAt": None}),
    ],
)
def test_update_sends_what_was_named_and_nothing_else(options: tuple[str, ...], document: Any) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)("snapshots", "update", "snapshot_1", *options)
    assert (said.code, said.out) == (0, "")
    assert "snapshots show snapshot_1" in said.err
    [sent] = script.sent
    assert (sent.method, sent.url, sent.document) == ("PATCH", f"{URL}/v2/snapshots/snapshot_1", document)


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (("--label", "keep=yes"), {"env": "prod", "release": "2.1.0", "keep": "yes"}),
        (("--label", "env=test", "--label", "x=a=b"), {"env": "test", "release": "2.1.0", "x": "a=b"}),
        (("--remove-label", "env"), {"release": "2.1.0"}),
        (("--remove-label", "none", "--remove-label", "release", "--label", "a=1"), {"env": "prod", "a": "1"}),
        (("--remove-label", "env", "--label", "env=new"), {"env": "new", "release": "2.1.0"}),
    ],
)
def test_labels_that_are_not_named_stay(options: tuple[str, ...], labels: dict[str, str]) -> None:
    script = Scripted([HELD, DONE])
    assert CommandLine(script)("snapshots", "update", "snapshot_1", *options).code == 0
    assert [sent.method for sent in script.sent] == ["GET", "PATCH"]
    assert script.sent[1].document == {"labels": labels}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "say what to change"),
        (("--expires-in", "P1D", "--no-expiry"), "give one of"),
        (("--expires-in", "P1D", "--expires-at", "2027-01-15"), "give one of"),
        (("--label", "keep"), "KEY=VALUE"),
    ],
)
def test_update_asks_nothing_of_the_service_when_it_is_said_wrongly(options: tuple[str, ...], told: str) -> None:
    script = Scripted([HELD, DONE])
    said = CommandLine(script)("snapshots", "update", "snapshot_1", *options)
    assert (said.code, script.sent) == (2, [])
    assert told in said.err


@pytest.mark.parametrize(
    ("command", "document"),
    [
        ("pin", {"pinned": True}),
        ("unpin", {"pinned": False}),
        ("hold", {"legalHold": True}),
        ("release", {"legalHold": False}),
    ],
)
def test_what_keeps_a_snapshot_is_set_and_lifted_by_commands_of_their_own(command: str, document: Any) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)("snapshots", command, "snapshot_1")
    assert (said.code, said.out) == (0, "")
    assert "snapshot_1" in said.err
    [sent] = script.sent
    assert (sent.method, sent.url, sent.document) == ("PATCH", f"{URL}/v2/snapshots/snapshot_1", document)


def test_update_that_got_no_answer_is_sent_again_since_it_sets_the_same() -> None:
    script = Scripted([Unreachable("cut off", sent=True), DONE])
    assert CommandLine(script)("snapshots", "update", "snapshot_1", "-d", "x", "--json").out == ""
    assert len(script.sent) == 2
    silent = Scripted([Unreachable("cut off", sent=True)])
    assert CommandLine(silent)("snapshots", "update", "snapshot_1", "-d", "x").code == 6
    assert len(silent.sent) == api.TRIES


@pytest.mark.parametrize(("status", "code"), [(400, 1), (403, 5), (404, 3), (503, 6)])
def test_commands_end_with_the_code_of_the_refusal(status: int, code: int) -> None:
    for command in (
        ("snapshots", "update", "snapshot_1", "-d", "x"),
        ("entities", "history", "Room1"),
        ("restores", "show", "restore_1"),
    ):
        said = CommandLine(Scripted([error(status)]))(*command)
        assert (said.code, said.out) == (code, ""), command
        assert "the reason" in said.err


def test_history_tells_what_became_of_the_entity_in_each_snapshot() -> None:
    said = CommandLine(Scripted([answer(200, HISTORY)]))("entities", "history", "Room1")
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == ["snapshot", "change", "type", "attributes", "description"]
    assert rows[1] == ["snapshot_3", "deleted", "Room", "after"]
    assert rows[2] == ["snapshot_2", "updated", "Room", "owner=removed,", "temperature=22.5"]
    assert rows[3] == ["snapshot_1", "created", "Room", "temperature=21.5,", "floor=3,", "owner=Ada", "before"]
    assert said.err == ""


def test_history_tells_of_an_attribute_that_was_changed_though_it_is_not_shown() -> None:
    narrowed = [{**HISTORY[1], "entity": {"id": "Room1", "type": "Room", "temperature": 22.5}}]
    script = Scripted([answer(200, narrowed)])
    said = CommandLine(script)("entities", "history", "Room1", "--attrs", "temperature")
    assert "temperature=22.5" in said.out
    assert "owner" not in said.out


def test_history_asks_for_what_its_options_say() -> None:
    script = Scripted([answer(200, HISTORY[:2])])
    command = CommandLine(script)
    said = command(
        *("entities", "history", "urn:x/1 ä", "--type", "Room", "--attrs", "a,b", "--from", "2026-01-15"),
        *("--to", "2026-02-01", "--limit", "2", "--offset", "4"),
    )
    assert said.code == 0
    assert "--offset 6" in said.err
    where = urlsplit(script.sent[0].url)
    assert where.path.endswith("/v2/entities/urn:x%2F1%20%C3%A4/history")
    assert parse_qs(where.query) == {
        "type": ["Room"],
        "attrs": ["a,b"],
        "options": ["keyValues"],
        "from": ["2026-01-15"],
        "to": ["2026-02-01"],
        "limit": ["2"],
        "offset": ["4"],
    }
    assert command("entities", "history", "Room1", "--json").json() == HISTORY[:2]
    assert "options" not in script.sent[1].url


def test_restore_is_shown_with_its_phases() -> None:
    phases = [{"phase": "Plan", "startedAt": "a"}, {"phase": "Stage", "startedAt": "b"}]
    restore = {"id": "restore_1", "status": "restoring", "phases": phases, "changes": {"created": 1}}
    script = Scripted([answer(200, restore)])
    said = CommandLine(script)("restores", "show", "restore_1")
    assert script.sent[0].url == f"{URL}/v2/restores/restore_1"
    assert "phase=Plan, startedAt=a; phase=Stage, startedAt=b" in said.out
    assert "changes.created" in said.out
    assert CommandLine(script)("restores", "show", "restore_1", "--json").json() == restore


def test_restores_are_listed_when_the_record_of_one_is_damaged() -> None:
    damaged = {"id": "restore_2", "status": "failed", "createdAt": "t", "error": {"code": "CatalogCorrupt"}}
    whole = {"id": "restore_1", "status": "completed", "phase": "Retire", "percent": 100, "snapshotId": "snapshot_1"}
    said = CommandLine(Scripted([answer(200, [damaged, whole])]))("restores", "list")
    assert said.code == 0, said
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[1:] == [
        ["restore_2", "failed", "?", "%"],
        ["restore_1", "completed", "Retire", "100", "%", "snapshot_1"],
    ]
