"""Commands about schedules and retention, against the whole product over sockets."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.cli.running import CommandLine, Said
from tests.e2e import walk
from tests.e2e.served import Caller, Served
from tests.e2e.slots import deliver_slot
from tidemark_cli.sending import HttpSender

EVERY_HOUR = ("schedules", "create", "--expression", "rate(1 hour)")


class City(NamedTuple):
    """A tenant with rooms, commands about it, and what EventBridge Scheduler starts for it."""

    call: Caller
    tidemark: CommandLine
    served: Served

    def schedule(self, *arguments: str) -> str:
        """The id of a new schedule."""
        return ok(self.tidemark(*EVERY_HOUR, "--quiet", *arguments)).out.strip()

    def slot(self, schedule: str, slot_at: datetime) -> Any:
        """Deliver a slot, as EventBridge Scheduler does; what came of it."""
        found = deliver_slot(self.served, self.call.tenant, schedule, slot_at)
        assert found["status"] == "SUCCEEDED", found
        return json.loads(found["output"])


@pytest.fixture
def city(served_stack: Served, tenant: str) -> City:
    key = served_stack.key([tenant])
    call = Caller(served_stack.url, key, tenant)
    walk.put_rooms(call, 3, 21.5)
    return City(call, CommandLine(HttpSender(), url=served_stack.url, key=key, tenant=tenant), served_stack)


def ok(said: Said) -> Said:
    assert said.code == 0, said
    return said


def test_schedule_is_created_listed_changed_and_deleted(city: City) -> None:
    made = ok(
        city.tidemark(
            *("schedules", "create", "-e", "cron(0 2 * * ? *)", "--timezone", "Europe/Paris", "--window", "15"),
            *("-d", "{interval} of {tenant}", "--label", "env=prod", "--label", "by=night", "--overlap", "queue"),
            *("--keep-last", "3", "--keep-within", "P2D", "--daily", "7", "--weekly", "4", "--json"),
        )
    ).json()
    schedule = made["id"]
    assert made["retention"] == {"keepLast": 3, "keepWithin": "P2D", "daily": 7, "weekly": 4}
    assert (made["windowMinutes"], made["overlap"], made["interval"], made["paused"]) == (15, "queue", "daily", False)
    assert ok(city.tidemark("schedules", "list", "--json")).json() == [made]
    assert ok(city.tidemark("schedules", "list", "--quiet")).out == f"{schedule}\n"
    assert "cron(0 2 * * ? *) Europe/Paris" in ok(city.tidemark("schedules", "list")).out
    ok(
        city.tidemark(
            *("schedules", "update", schedule, "--no-window", "--label", "env=test", "--remove-label", "by"),
            *("--interval", "weekly", "--keep-last", "9"),
        )
    )
    changed = ok(city.tidemark("schedules", "show", schedule, "--json")).json()
    assert (changed["labels"], changed["interval"], changed["retention"]) == (
        {"env": "test"},
        "weekly",
        {"keepLast": 9},
    )
    assert "windowMinutes" not in changed
    ok(city.tidemark("schedules", "update", schedule, "--no-retention", "--no-interval"))
    changed = ok(city.tidemark("schedules", "show", schedule, "--json")).json()
    assert (changed["interval"], "retention" in changed) == ("daily", False)
    ok(city.tidemark("schedules", "pause", schedule))
    assert re.search(rf"^{schedule} .* paused ", ok(city.tidemark("schedules", "list")).out, re.MULTILINE)
    ok(city.tidemark("schedules", "resume", schedule))
    assert ok(city.tidemark("schedules", "show", schedule, "--json")).json()["nextRun"] == made["nextRun"]
    ok(city.tidemark("schedules", "delete", schedule, "--yes"))
    assert ok(city.tidemark("schedules", "list", "--json")).json() == []
    assert city.tidemark("schedules", "delete", schedule, "--yes").code == 3


def test_retention_is_seen_before_it_is_set(city: City) -> None:
    schedule = city.schedule("-d", "{interval} of {tenant}")
    first_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    for hours in range(3):
        walk.put_rooms(city.call, 3, hours)
        city.slot(schedule, first_at + timedelta(hours=hours))
    made = ok(city.tidemark("snapshots", "list", "--schedule", schedule, "--quiet")).out.split()
    assert len(made) == 3
    listed = ok(city.tidemark("snapshots", "list", "--interval", "hourly")).out
    assert listed.count(f"hourly of {city.call.tenant}") == 3
    assert f"{first_at + timedelta(hours=2):%Y-%m-%d %H:%M:%SZ} completed" in ok(city.tidemark("schedules", "list")).out

    ok(city.tidemark("snapshots", "pin", made[1]))
    tried = ok(city.tidemark("retention", "preview", schedule, "--keep-last", "1", "--json")).json()
    assert [(one["id"], one["decision"]) for one in tried["decisions"]] == list(
        zip(made, ("keep", "keep", "forget"), strict=True)
    )
    said = ok(city.tidemark("retention", "preview", schedule, "--keep-last", "1")).out
    assert re.search(rf"^{made[1]} +keep +pinned *$", said, re.MULTILINE)
    assert re.search(rf"^{made[2]} +forget +older than the last 1 *$", said, re.MULTILINE)
    assert "2 kept, 1 to be forgotten, 0 left alone, by keepLast=1." in said
    assert ok(city.tidemark("snapshots", "list", "--schedule", schedule, "--quiet")).out.split() == made

    ok(city.tidemark("schedules", "update", schedule, "--keep-last", "2"))
    assert ok(city.tidemark("retention", "preview", schedule, "--json")).json()["retention"] == {"keepLast": 2}
    city.slot(schedule, first_at + timedelta(hours=3))
    stay = ok(city.tidemark("snapshots", "list", "--schedule", schedule, "--quiet")).out.split()
    assert stay[1:] == made[:2]
    assert ok(city.tidemark("snapshots", "list", "--status", "deleted", "--quiet")).out.split() == made[2:]
    assert ok(city.tidemark("snapshots", "undelete", made[2], "--json")).json()["id"] == made[2]


def test_held_snapshot_stays_until_it_is_released(city: City) -> None:
    snapshot = ok(city.tidemark("snapshots", "create", "--quiet")).out.strip()
    admin, city.tidemark.key = city.tidemark.key, city.served.key([city.call.tenant], ["snapshot", "hold"])
    ok(city.tidemark("snapshots", "hold", snapshot))
    city.tidemark.key = admin
    assert re.search(rf"^{snapshot} .* completed, held ", ok(city.tidemark("snapshots", "list")).out, re.MULTILINE)
    refused = city.tidemark("snapshots", "delete", snapshot)
    assert (refused.code, refused.err.count("\n")) == (4, 1)
    assert "legal hold" in refused.err
    ok(city.tidemark("snapshots", "release", snapshot))
    ok(city.tidemark("snapshots", "delete", snapshot))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("-e", "cron(0 2 31 2 ? *)"), 1, "cron(0 2 31 2 ? *)", id="a day that never comes"),
        pytest.param(("-e", "rate(1 hour)", "--timezone", "Mars/Base"), 1, "Mars/Base", id="unknown timezone"),
        pytest.param(("-e", "rate(30 seconds)"), 1, "rate(", id="below a minute"),
        pytest.param(("-e", "rate(1 day)", "--hourly", "3"), 1, "hourly", id="contradictory policy"),
        pytest.param(("-e", "rate(1 hour)", "-d", "{day}"), 1, "{day}", id="unknown placeholder"),
        pytest.param(("-e", "rate(1 hour)", "--keep-within", "P1M"), 1, "P1M", id="a month has no length"),
    ],
)
def test_refused_schedule_is_told_in_a_sentence(arguments: tuple[str, ...], code: int, told: str, city: City) -> None:
    said = city.tidemark("schedules", "create", *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert told in said.err
    assert ok(city.tidemark("schedules", "list", "--json")).json() == []


def test_what_is_not_there_is_not_found(city: City) -> None:
    for command in (
        ("schedules", "show"),
        ("schedules", "pause"),
        ("retention", "preview"),
    ):
        assert city.tidemark(*command, "schedule_9f86d081884c7d65").code == 3
    schedule = city.schedule()
    said = city.tidemark("retention", "preview", schedule)
    assert (said.code, said.out) == (1, "")
    assert "has no retention policy" in said.err


def test_key_that_only_reads_may_look_and_preview_but_not_change(city: City) -> None:
    schedule = city.schedule("--keep-last", "2")
    city.tidemark.key = city.served.key([city.call.tenant], ["read"])
    ok(city.tidemark("schedules", "list"))
    ok(city.tidemark("retention", "preview", schedule))
    for command in (
        EVERY_HOUR,
        ("schedules", "pause", schedule),
        ("schedules", "delete", schedule, "--yes"),
    ):
        assert city.tidemark(*command).code == 5, command
