"""Schedules of volumes are set, shown, paused and ended by commands: against written answers, and on the API's own
functions in memory.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.in_memory import InMemory
from tests.cli.running import URL, CommandLine, Said, Scripted, answer
from tests.unit.volumes.backing import REGION, World
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.slots import HOUR, OWNER, advance, deliver
from tidemark.domain.schedule import Schedule
from tidemark.domain.volume import volume_id
from tidemark.usecases.volume_schedules import delete_volume_schedule
from tidemark_cli.failures import Unreachable
from tidemark_cli.sending import Answer

COMMAND = ("volumes", "schedules")
SCHEDULE = "schedule_9f86d081884c7d65"
VOLUME = "c779ca42-6966-41af-a7dc-23db4e41d4ee"
WHERE = f"{URL}/v1/services/compute-on/test_area/schedules"
HOURLY: dict[str, Any] = {
    "id": SCHEDULE,
    "volumeId": VOLUME,
    "intervalType": "HOURLY",
    "keep": 24,
    "minute": 5,
    "timezone": "UTC",
    "paused": False,
    "state": "ACTIVE",
    "created": "2026-01-15T09:30:00+0000",
    "nextDue": "2026-01-15T11:05:00+0000",
    "last": {"due": "2026-01-15T10:05:00+0000", "state": "COMPLETED", "snapshotId": VOLUME},
}
DONE = answer(200, {"taskStatus": "SUCCESS", "data": HOURLY})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_ENVIRONMENT", "compute-on/test_area")


def listed(*schedules: dict[str, Any]) -> Answer:
    return answer(200, {"data": list(schedules), "metadata": {"recordCount": len(schedules)}})


def refused(status: int, code: int) -> Answer:
    item = {"code": code, "errorCode": str(code), "message": "the reason", "context": {}}
    return answer(status, {"errors": [item]})


# --- create


@pytest.mark.parametrize(
    ("options", "members"),
    [
        (("--interval", "hourly"), {"intervalType": "HOURLY"}),
        (("--interval", "hourly", "--minute", "0"), {"intervalType": "HOURLY", "minute": 0}),
        (
            ("--interval", "daily", "--time", "02:30", "--timezone", "America/Toronto"),
            {"intervalType": "DAILY", "time": "02:30", "timezone": "America/Toronto"},
        ),
        (
            ("--interval", "weekly", "--day", "7", "--time", "00:05"),
            {"intervalType": "WEEKLY", "day": 7, "time": "00:05"},
        ),
        (("--interval", "monthly", "--day", "28", "--paused"), {"intervalType": "MONTHLY", "day": 28, "paused": True}),
    ],
)
def test_create_sends_what_is_said_and_leaves_the_rest_to_the_service(
    options: tuple[str, ...], members: dict[str, Any]
) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)(*COMMAND, "create", VOLUME, "--keep", "24", *options)
    assert said.code == 0, said
    [sent] = script.sent
    assert (sent.method, sent.url, sent.document) == ("POST", WHERE, {"volumeId": VOLUME, "keep": 24} | members)
    shown = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert shown["nextDue"].strip() == "2026-01-15T11:05:00+0000"
    assert shown["last.state"].strip() == "COMPLETED"


def test_create_that_got_no_answer_is_sent_again() -> None:
    script = Scripted([Unreachable("cut off", sent=True), DONE])
    said = CommandLine(script)(*COMMAND, "create", VOLUME, "--interval", "hourly", "--keep", "24", "--quiet")
    assert (said.code, said.out, len(script.sent)) == (0, f"{SCHEDULE}\n", 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--interval", "hourly", "--keep", "2"), "VOLUME"),
        ((VOLUME, "--keep", "2"), "--interval"),
        ((VOLUME, "--interval", "hourly"), "--keep"),
        ((VOLUME, "--interval", "yearly", "--keep", "2"), "--interval"),
        ((VOLUME, "--interval", "hourly", "--keep", "0"), "--keep"),
        ((VOLUME, "--interval", "hourly", "--keep", "2", "--minute", "60"), "--minute"),
        ((VOLUME, "--interval", "monthly", "--keep", "2", "--day", "29"), "--day"),
        ((VOLUME, "--interval", "hourly", "--keep", "2", "--environment", "test_area"), "--environment"),
    ],
)
def test_create_asks_nothing_of_the_service_when_it_is_said_wrongly(arguments: tuple[str, ...], told: str) -> None:
    script = Scripted([DONE])
    said = CommandLine(script)(*COMMAND, "create", *arguments)
    assert (said.code, said.out, script.sent) == (2, "", [])
    assert told in said.err


# --- list and get


def test_list_tells_when_schedules_are_due_and_what_became_of_their_last_slot() -> None:
    daily = {name: value for name, value in HOURLY.items() if name not in {"minute", "last", "nextDue"}}
    daily |= {"id": "schedule_2", "intervalType": "DAILY", "time": "02:30", "timezone": "Asia/Tokyo", "paused": True}
    weekly = HOURLY | {"id": "schedule_3", "intervalType": "WEEKLY", "time": "23:59", "day": 1}
    del weekly["minute"]
    script = Scripted([listed(HOURLY, daily, weekly)])
    command = CommandLine(script)
    said = command(*COMMAND, "list", "--volume", VOLUME)
    rows = [" ".join(line.split()) for line in said.out.splitlines()]
    last = "2026-01-15 10:05:00Z completed"
    assert rows[1:] == [
        f"{SCHEDULE} {VOLUME} hourly :05 UTC 24 {last} 2026-01-15 11:05:00Z",
        f"schedule_2 {VOLUME} daily 02:30 Asia/Tokyo 24 paused",
        f"schedule_3 {VOLUME} weekly day 1 23:59 UTC 24 {last} 2026-01-15 11:05:00Z",
    ]
    assert parse_qs(urlsplit(script.sent[0].url).query) == {"volume_id": [VOLUME]}
    assert command(*COMMAND, "list", "--quiet").out.split() == [SCHEDULE, "schedule_2", "schedule_3"]
    assert script.sent[1].url == WHERE
    assert command(*COMMAND, "list", "--json").json()["metadata"] == {"recordCount": 3}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "2026-01-15 11:05:00Z"),
        ({"paused": True, "nextDue": None}, "paused"),
        ({"paused": True, "state": "SETTING", "nextDue": None}, "paused"),
        ({"state": "SETTING"}, "setting"),
        ({"nextDue": None}, "never"),
    ],
)
def test_list_tells_why_a_schedule_is_not_due(members: dict[str, Any], told: str) -> None:
    one = {name: value for name, value in (HOURLY | members).items() if value is not None}
    [row] = CommandLine(Scripted([listed(one)]))(*COMMAND, "list").out.splitlines()[1:]
    assert row.partition("completed")[2].strip() == told


def test_get_tells_why_a_slot_was_missed() -> None:
    missed = HOURLY | {"last": {"due": "2026-01-15T10:05:00+0000", "state": "MISSED", "reason": "nobody came"}}
    script = Scripted([answer(200, {"data": missed})])
    said = CommandLine(script)(*COMMAND, "get", SCHEDULE)
    shown = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert (shown["last.state"].strip(), shown["last.reason"].strip()) == ("MISSED", "nobody came")
    assert script.sent[0].url == f"{WHERE}/{SCHEDULE}"


# --- delete


def test_delete_asks_and_says_what_becomes_of_the_snapshots() -> None:
    script = Scripted([answer(200, {"taskStatus": "SUCCESS"})])
    command = CommandLine(script, interactive=True)
    kept = command(*COMMAND, "delete", SCHEDULE, typed="n\n")
    assert (kept.code, script.sent) == (1, [])
    assert "Its snapshots stay" in kept.err
    gone = command(*COMMAND, "delete", SCHEDULE, typed="y\n")
    assert gone.code == 0
    assert [(sent.method, sent.url) for sent in script.sent] == [("DELETE", f"{WHERE}/{SCHEDULE}")]
    assert f"Deleted {SCHEDULE}" in gone.err


def test_delete_without_a_terminal_deletes_only_when_told_not_to_ask() -> None:
    script = Scripted([answer(200, {"taskStatus": "SUCCESS"})])
    told = CommandLine(script)(*COMMAND, "delete", SCHEDULE, typed="y\n")
    assert (told.code, script.sent) == (2, [])
    assert "--yes" in told.err
    said = CommandLine(script)(*COMMAND, "delete", SCHEDULE, "--yes", "--json")
    assert (said.code, said.json(), len(script.sent)) == (0, {"taskStatus": "SUCCESS"}, 1)


# --- what goes wrong


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(400, 400, 1), (400, 409, 4), (403, 403, 5), (404, 404, 3), (500, 503, 6)],
)
def test_commands_end_with_the_code_of_the_refusal(status: int, code: int, exit_code: int) -> None:
    for command in (
        ("list",),
        ("create", VOLUME, "--interval", "hourly", "--keep", "2"),
        ("get", SCHEDULE),
        ("pause", SCHEDULE),
        ("resume", SCHEDULE),
        ("delete", SCHEDULE, "--yes"),
    ):
        said = CommandLine(Scripted([refused(status, code)]))(*COMMAND, *command)
        assert (said.code, said.out, said.err.count("\n")) == (exit_code, "", 1), command
        assert "the reason" in said.err


def test_empty_id_is_no_other_path() -> None:
    script = Scripted([listed()])
    for command in ("get", "pause", "resume", "delete"):
        said = CommandLine(script, interactive=True)(*COMMAND, command, "", typed="y\n")
        assert (said.code, script.sent) == (2, [])
        assert "the id of what you mean" in said.err


# --- on the API's own functions


class Meanwhile:
    """The API, where something else happens before the first request of a method."""

    def __init__(self, world: World, method: str, happens: Callable[[], object]) -> None:
        self._api = InMemory(world.ports)
        self._waiting = {method: happens}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        self._waiting.pop(method, lambda: None)()
        return self._api.send(method, url, headers, body)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tidemark(world: World) -> CommandLine:
    return CommandLine(InMemory(world.ports), url="https://tidemark.test", tenant=None)


def ok(said: Said) -> Said:
    assert said.code == 0, said
    return said


def made(world: World, tidemark: CommandLine, *options: str) -> str:
    """The id of a schedule of the world's volume, hourly unless it is said otherwise."""
    volume = volume_id(REGION, world.source_id)
    wanted = options if "--interval" in options else ("--interval", "hourly", *options)
    return ok(tidemark(*COMMAND, "create", volume, "--keep", "3", "--quiet", *wanted)).out.strip()


def stored(world: World, schedule: str) -> Schedule:
    return world.ports.catalog.schedule(OWNER, schedule)


@pytest.mark.parametrize(
    "options",
    [
        ("--interval", "hourly", "--minute", "45"),
        ("--interval", "daily", "--time", "02:30", "--timezone", "America/Toronto"),
        ("--interval", "weekly", "--day", "1", "--time", "23:59"),
        ("--interval", "monthly", "--day", "28", "--timezone", "Asia/Tokyo"),
    ],
)
def test_pause_and_resume_leave_all_else_as_it_was(
    world: World, tidemark: CommandLine, options: tuple[str, ...]
) -> None:
    schedule = made(world, tidemark, *options)
    deliver(world, stored(world, schedule), stored(world, schedule).starts_at, "one")
    before = ok(tidemark(*COMMAND, "get", schedule, "--json")).json()["data"]
    paused = ok(tidemark(*COMMAND, "pause", schedule))
    assert (paused.out, f"volumes schedules resume {schedule}" in paused.err) == ("", True)
    del before["nextDue"]
    assert ok(tidemark(*COMMAND, "get", schedule, "--json")).json()["data"] == before | {"paused": True}
    ok(tidemark(*COMMAND, "pause", schedule))
    resumed = ok(tidemark(*COMMAND, "resume", schedule, "--json")).json()["data"]
    assert "nextDue" in resumed
    del resumed["nextDue"]
    assert resumed == before


def test_paused_schedule_of_which_nobody_says_so_again_goes_on(world: World, tidemark: CommandLine) -> None:
    schedule = made(world, tidemark, "--paused")
    assert "paused" in ok(tidemark(*COMMAND, "list")).out
    assert made(world, tidemark, "--minute", "7") == schedule
    assert not stored(world, schedule).paused


def test_slots_during_a_pause_make_nothing_and_none_is_missed(world: World, tidemark: CommandLine) -> None:
    schedule = made(world, tidemark)
    first = stored(world, schedule).starts_at
    ok(tidemark(*COMMAND, "pause", schedule))
    deliver(world, stored(world, schedule), first, "one")
    advance(world, first + 3 * HOUR + timedelta(minutes=1))
    ok(tidemark(*COMMAND, "resume", schedule))
    assert ok(tidemark("volumes", "snapshots", "list", "--quiet")).out == ""
    shown = ok(tidemark(*COMMAND, "get", schedule, "--json")).json()["data"]
    assert ("last" in shown, shown["nextDue"]) == (False, f"{first + 4 * HOUR:%Y-%m-%dT%H:%M:%S}+0000")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_schedule_that_is_deleted_meanwhile_is_told_with_what_came_in_its_place(
    world: World, tidemark: CommandLine, command: str
) -> None:
    schedule = made(world, tidemark)
    tidemark.sender = Meanwhile(world, "POST", lambda: delete_volume_schedule(world.ports, TEST_AREA, schedule))
    said = tidemark(*COMMAND, command, schedule)
    [other] = [one.id for one in world.ports.catalog.found_schedules(OWNER)]
    assert (said.code, said.out, other != schedule) == (4, "", True)
    assert f"volumes schedules delete {other}" in said.err
    ok(tidemark(*COMMAND, "delete", other, "--yes"))
    assert list(world.ports.catalog.found_schedules(OWNER)) == []


def test_what_the_service_refuses_is_told_in_its_sentence(world: World, tidemark: CommandLine) -> None:
    volume = volume_id(REGION, world.source_id)
    said = tidemark(*COMMAND, "create", volume, "--interval", "hourly", "--keep", "2", "--time", "02:30")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "HOURLY has no member 'time'" in said.err
    assert tidemark(*COMMAND, "create", VOLUME, "--interval", "hourly", "--keep", "2").code == 3
    assert tidemark(*COMMAND, "pause", SCHEDULE).code == 3
