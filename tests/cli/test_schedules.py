"""Schedules are said, shown and ended by commands, and what a policy would forget is told before it does."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.running import URL, CommandLine, Scripted, answer, error
from tidemark_cli.failures import Unreachable

SCHEDULE = "schedule_9f86d081884c7d65"
WHERE = f"{URL}/v2/schedules/{SCHEDULE}"
KNOWN: dict[str, Any] = {
    "id": SCHEDULE,
    "status": "active",
    "expression": "rate(1 hour)",
    "timezone": "Europe/Paris",
    "description": "{interval} of {tenant}",
    "labels": {"env": "prod", "by": "schedule"},
    "interval": "hourly",
    "retention": {"keepLast": 3, "daily": 7},
    "overlap": "skip",
    "paused": False,
    "createdAt": "2026-01-15T09:30:00Z",
    "lastRun": {"slotAt": "2026-01-15T10:30:00Z", "startedAt": "2026-01-15T10:30:04Z", "snapshotId": "snapshot_1"},
    "lastStatus": "completed",
    "nextRun": "2026-01-15T11:30:00Z",
}
DONE = answer(204)
PREVIEW: dict[str, Any] = {
    "scheduleId": SCHEDULE,
    "timezone": "Europe/Paris",
    "retention": {"hourly": 2},
    "counts": {"keep": 1, "forget": 1200, "leave": 0},
    "decisions": [
        {
            "id": "snapshot_2",
            "createdAt": "2026-01-15T10:30:00Z",
            "description": "hourly of smartcity",
            "interval": "hourly",
            "decision": "keep",
            "reasons": [
                {"rule": "hourly", "text": "1st of 2 hourly: 2026-01-15T11 in Europe/Paris"},
                {"rule": "lastCompleted", "text": "the last completed snapshot"},
            ],
        },
        {
            "id": "snapshot_1",
            "createdAt": "2026-01-15T09:30:00Z",
            "description": "",
            "interval": "hourly",
            "decision": "forget",
            "reasons": [{"rule": "hourly", "text": "hourly keeps 2, and 2026-01-15T10 in Europe/Paris is the 3rd"}],
        },
    ],
}
POLICY_OPTIONS = (
    *("--keep-last", "3", "--keep-within", "P2D", "--hourly", "24", "--daily", "7"),
    *("--weekly", "4", "--monthly", "12", "--yearly", "2"),
)
POLICY = {"keepLast": 3, "keepWithin": "P2D", "hourly": 24, "daily": 7, "weekly": 4, "monthly": 12, "yearly": 2}


# --- create


def test_create_sends_every_member_that_is_said() -> None:
    script = Scripted([answer(201, KNOWN)])
    said = CommandLine(script)(
        *("schedules", "create", "--expression", "cron(0 2 * * ? *)", "--timezone", "Europe/Paris", "--window", "15"),
        *("--description", "{interval} of {tenant}", "--label", "env=prod", "--label", "by=x=y", "--interval", "daily"),
        *("--overlap", "queue", "--paused", *POLICY_OPTIONS),
    )
    assert said.code == 0, said
    [sent] = script.sent
    assert (sent.method, sent.url) == ("POST", f"{URL}/v2/schedules")
    assert sent.document == {
        "expression": "cron(0 2 * * ? *)",
        "timezone": "Europe/Paris",
        "windowMinutes": 15,
        "description": "{interval} of {tenant}",
        "labels": {"env": "prod", "by": "x=y"},
        "interval": "daily",
        "overlap": "queue",
        "paused": True,
        "retention": POLICY,
    }


def test_create_leaves_to_the_service_what_is_not_said() -> None:
    script = Scripted([answer(201, KNOWN)])
    said = CommandLine(script)("schedules", "create", "-e", "rate(1 hour)")
    assert said.code == 0
    assert script.sent[0].document == {"expression": "rate(1 hour)"}
    assert "retention.keepLast" in said.out


def test_create_that_got_no_answer_is_sent_again_and_makes_one_schedule() -> None:
    script = Scripted([Unreachable("cut off", sent=True), answer(201, KNOWN)])
    said = CommandLine(script)("schedules", "create", "-e", "rate(1 hour)", "--quiet")
    assert (said.code, said.out) == (0, f"{SCHEDULE}\n")
    first, second = (sent.headers["Idempotency-Key"] for sent in script.sent)
    assert first == second


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--expression"),
        (("-e", "rate(1 hour)", "--label", "env"), "KEY=VALUE"),
        (("-e", "rate(1 hour)", "--keep-last", "0"), "--keep-last"),
        (("-e", "rate(1 hour)", "--daily", "-1"), "--daily"),
        (("-e", "rate(1 hour)", "--window", "1441"), "--window"),
        (("-e", "rate(1 hour)", "--interval", "manual"), "--interval"),
        (("-e", "rate(1 hour)", "--overlap", "both"), "--overlap"),
    ],
)
def test_create_asks_nothing_of_the_service_when_it_is_said_wrongly(options: tuple[str, ...], told: str) -> None:
    script = Scripted([answer(201, KNOWN)])
    said = CommandLine(script)("schedules", "create", *options)
    assert (said.code, said.out, script.sent) == (2, "", [])
    assert told in said.err


# --- list and show


def test_list_tells_what_schedules_did_and_when_they_are_due() -> None:
    paused = {name: value for name, value in KNOWN.items() if name not in {"lastRun", "lastStatus", "nextRun"}}
    paused = {**paused, "id": "schedule_2", "paused": True, "description": ""}
    del paused["retention"]
    script = Scripted([answer(200, [KNOWN, paused], fiware_total_count="5")])
    said = CommandLine(script)("schedules", "list", "--limit", "2", "--offset", "1")
    rows = [" ".join(line.split()) for line in said.out.splitlines()]
    first = f"{SCHEDULE} rate(1 hour) Europe/Paris 2026-01-15 10:30:00Z completed 2026-01-15 11:30:00Z"
    assert rows[1:] == [
        f"{first} keepLast=3 daily=7",
        "schedule_2 rate(1 hour) Europe/Paris paused everything",
    ]
    assert "2 of 5; for more: --offset 3" in said.err
    assert parse_qs(urlsplit(script.sent[0].url).query) == {"limit": ["2"], "offset": ["1"], "options": ["count"]}


def test_list_goes_on_when_the_record_of_a_schedule_is_damaged() -> None:
    damaged = {"id": "schedule_2", "status": "failed", "error": {"code": "CatalogCorrupt"}}
    script = Scripted([answer(200, [KNOWN, damaged])])
    command = CommandLine(script)
    said = command("schedules", "list")
    assert said.code == 0, said
    assert said.out.splitlines()[2].split() == ["schedule_2", "failed"]
    assert command("schedules", "list", "--quiet").out.split() == [SCHEDULE, "schedule_2"]
    assert command("schedules", "list", "--json").json() == [KNOWN, damaged]


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "2026-01-15 11:30:00Z"),
        ({"paused": True}, "paused"),
        ({"status": "setting"}, "setting"),
        ({"nextRun": None}, "never"),
    ],
)
def test_list_tells_why_a_schedule_is_not_due(members: dict[str, Any], told: str) -> None:
    one = {name: value for name, value in (KNOWN | members).items() if value is not None}
    [row] = CommandLine(Scripted([answer(200, [one])]))("schedules", "list").out.splitlines()[1:]
    assert row.partition("completed")[2].split("keepLast")[0].strip() == told


def test_slot_that_was_missed_is_told() -> None:
    missed = {**KNOWN, "lastRun": {"slotAt": "2026-01-15T10:30:00Z", "reason": "nobody"}, "lastStatus": "missed"}
    command = CommandLine(Scripted([answer(200, [missed]), answer(200, missed)]))
    assert "2026-01-15 10:30:00Z missed" in command("schedules", "list").out
    shown = dict(line.split(maxsplit=1) for line in command("schedules", "show", SCHEDULE).out.splitlines())
    assert (shown["lastRun.reason"].strip(), shown["lastStatus"].strip()) == ("nobody", "missed")


# --- update, pause and resume


@pytest.mark.parametrize(
    ("options", "document"),
    [
        (("--expression", "rate(2 hours)"), {"expression": "rate(2 hours)"}),
        (("--timezone", "UTC"), {"timezone": "UTC"}),
        (("--window", "5"), {"windowMinutes": 5}),
        (("--no-window",), {"windowMinutes": None}),
        (("-d", ""), {"description": ""}),
        (("--interval", "weekly"), {"interval": "weekly"}),
        (("--no-interval",), {"interval": None}),
        (("--overlap", "queue"), {"overlap": "queue"}),
        (POLICY_OPTIONS, {"retention": POLICY}),
        (("--no-retention",), {"retention": None}),
        (("--no-retention", "--no-window", "-d", "x"), {"retention": None, "windowMinutes": None, "description": "x"}),
    ],
)
def test_update_sends_what_was_named_and_nothing_else(options: tuple[str, ...], document: Any) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)("schedules", "update", SCHEDULE, *options)
    assert (said.code, said.out) == (0, "")
    assert f"schedules show {SCHEDULE}" in said.err
    assert ("retention preview" in said.err) == isinstance(document.get("retention"), dict)
    [sent] = script.sent
    assert (sent.method, sent.url, sent.document) == ("PATCH", WHERE, document)


def test_update_keeps_labels_that_are_not_named() -> None:
    script = Scripted([answer(200, KNOWN), DONE])
    said = CommandLine(script)("schedules", "update", SCHEDULE, "--label", "x=1", "--remove-label", "by")
    assert said.code == 0
    assert [(sent.method, sent.url) for sent in script.sent] == [("GET", WHERE), ("PATCH", WHERE)]
    assert script.sent[1].document == {"labels": {"env": "prod", "x": "1"}}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "say what to change"),
        (("--window", "5", "--no-window"), "--no-window takes away"),
        (("--interval", "daily", "--no-interval"), "--no-interval takes away"),
        (("--yearly", "1", "--no-retention"), "--no-retention takes away"),
        (("--label", "keep"), "KEY=VALUE"),
    ],
)
def test_update_asks_nothing_of_the_service_when_it_is_said_wrongly(options: tuple[str, ...], told: str) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)("schedules", "update", SCHEDULE, *options)
    assert (said.code, said.out, script.sent) == (2, "", [])
    assert told in said.err


@pytest.mark.parametrize(("command", "paused"), [("pause", True), ("resume", False)])
def test_schedule_is_paused_and_resumed_by_commands_of_their_own(command: str, *, paused: bool) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)("schedules", command, SCHEDULE)
    assert (said.code, said.out) == (0, "")
    assert SCHEDULE in said.err
    [sent] = script.sent
    assert (sent.method, sent.url, sent.document) == ("PATCH", WHERE, {"paused": paused})


# --- delete


def test_delete_asks_and_says_what_becomes_of_the_snapshots() -> None:
    script = Scripted([DONE])
    command = CommandLine(script, interactive=True)
    kept = command("schedules", "delete", SCHEDULE, typed="n\n")
    assert (kept.code, script.sent) == (1, [])
    assert "nothing was deleted" in kept.err
    assert "Its snapshots stay" in kept.err
    gone = command("schedules", "delete", SCHEDULE, typed="y\n")
    assert (gone.code, [(sent.method, sent.url) for sent in script.sent]) == (0, [("DELETE", WHERE)])
    assert f"snapshots list --schedule {SCHEDULE}" in gone.err


def test_delete_without_a_terminal_deletes_only_when_told_not_to_ask() -> None:
    script = Scripted([DONE])
    refused = CommandLine(script)("schedules", "delete", SCHEDULE, typed="y\n")
    assert (refused.code, script.sent) == (2, [])
    assert "--yes" in refused.err
    said = CommandLine(script)("schedules", "delete", SCHEDULE, "--yes", "--json")
    assert (said.code, said.out, len(script.sent)) == (0, "", 1)


# --- retention preview


def test_preview_tells_the_decision_on_each_snapshot_and_why() -> None:
    script = Scripted([answer(200, PREVIEW)])
    said = CommandLine(script)("retention", "preview", SCHEDULE)
    assert said.code == 0, said
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines == [
        "snapshot decision why",
        "snapshot_2 keep 1st of 2 hourly: 2026-01-15T11 in Europe/Paris",
        "the last completed snapshot",
        "snapshot_1 forget hourly keeps 2, and 2026-01-15T10 in Europe/Paris is the 3rd",
        "1 kept, 1,200 to be forgotten, 0 left alone, by hourly=2.",
    ]
    assert "2 of 1201; for more: --offset 2" in said.err
    [sent] = script.sent
    assert (sent.method, sent.url, sent.document) == ("POST", f"{WHERE}/retention/preview", {})


def test_preview_tries_the_policy_that_is_given() -> None:
    script = Scripted([answer(200, PREVIEW)])
    said = CommandLine(script)(
        "retention", "preview", SCHEDULE, *POLICY_OPTIONS, "--limit", "2", "--offset", "4", "--json"
    )
    assert said.json() == PREVIEW
    assert said.err == ""
    [sent] = script.sent
    assert sent.document == {"retention": POLICY}
    assert parse_qs(urlsplit(sent.url).query) == {"limit": ["2"], "offset": ["4"]}


def test_preview_can_list_one_verdict_alone() -> None:
    command = CommandLine(Scripted([answer(200, PREVIEW)]))
    forgotten = command("retention", "preview", SCHEDULE, "--only", "forget").out
    assert "snapshot_1" in forgotten
    assert "snapshot_2" not in forgotten
    left = command("retention", "preview", SCHEDULE, "--only", "leave")
    assert left.out.splitlines() == ["1 kept, 1,200 to be forgotten, 0 left alone, by hourly=2."]
    assert command("retention", "preview", SCHEDULE, "--only", "erase").code == 2


# --- what goes wrong


@pytest.mark.parametrize(("status", "code"), [(400, 1), (403, 5), (404, 3), (409, 4), (503, 6)])
def test_commands_end_with_the_code_of_the_refusal(status: int, code: int) -> None:
    for command in (
        ("schedules", "create", "-e", "rate(1 hour)"),
        ("schedules", "list"),
        ("schedules", "show", SCHEDULE),
        ("schedules", "update", SCHEDULE, "-d", "x"),
        ("schedules", "pause", SCHEDULE),
        ("schedules", "resume", SCHEDULE),
        ("schedules", "delete", SCHEDULE, "--yes"),
        ("retention", "preview", SCHEDULE),
    ):
        said = CommandLine(Scripted([error(status)]))(*command)
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), command
        assert "the reason" in said.err


def test_empty_id_is_no_other_path() -> None:
    script = Scripted([answer(200, [])])
    for command in ("show", "pause", "delete"):
        said = CommandLine(script, interactive=True)("schedules", command, "", typed="y\n")
        assert (said.code, script.sent) == (2, [])
        assert "the id of what you mean" in said.err


# --- snapshots of schedules


def test_list_of_snapshots_tells_the_interval_and_selects_by_it() -> None:
    listed = [
        {"id": "snapshot_2", "entityCount": 3, "status": "completed", "description": "", "interval": "daily"},
        {"id": "snapshot_1", "entityCount": 3, "status": "completed", "description": "mine"},
    ]
    script = Scripted([answer(200, listed)])
    said = CommandLine(script)("snapshots", "list", "--schedule", SCHEDULE, "--interval", "daily")
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0][:4] == ["id", "entities", "status", "interval"]
    assert rows[1:] == [["snapshot_2", "3", "completed", "daily"], ["snapshot_1", "3", "completed", "mine"]]
    query = parse_qs(urlsplit(script.sent[0].url).query)
    assert (query["schedule"], query["interval"]) == ([SCHEDULE], ["daily"])


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"pinned": True}, "completed, pinned"),
        ({"legalHold": True}, "completed, held"),
        ({"pinned": True, "legalHold": True}, "completed, pinned, held"),
        ({"pinned": False}, "completed "),
    ],
)
def test_list_of_snapshots_tells_what_keeps_one(members: dict[str, Any], told: str) -> None:
    one = {"id": "snapshot_1", "entityCount": 3, "status": "completed", "description": "why", **members}
    said = CommandLine(Scripted([answer(200, [one])]))("snapshots", "list")
    assert f" {told} " in said.out
