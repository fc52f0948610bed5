"""Schedules of volumes from the command line, against the whole product over sockets."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tests.cli.running import CommandLine, Said
from tests.e2e.served import Served
from tests.e2e.slots import deliver_slot
from tests.local.environments import Seeded, seed_environment
from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark_cli.sending import HttpSender

ENVIRONMENT = "compute-on/test_area"
COMMAND = ("volumes", "schedules")
DAY = timedelta(days=1)


class Disk(NamedTuple):
    """A volume, commands about it, and what EventBridge Scheduler has and starts for it."""

    volume: Seeded
    tidemark: CommandLine
    served: Served

    def state(self, schedule: str) -> str:
        """What EventBridge Scheduler makes of the schedule."""
        group = self.served.physical_ids["ScheduleGroup"]
        found = self.served.client("scheduler").get_schedule(GroupName=group, Name=schedule)
        return str(found["State"])

    def slot(self, schedule: str, slot_at: datetime) -> str:
        """Deliver a slot, as EventBridge Scheduler does; how its execution ended."""
        owner = image_owner(EnvironmentId(ENVIRONMENT))
        return str(deliver_slot(self.served, owner, schedule, slot_at)["status"])

    def listed(self) -> list[dict[str, Any]]:
        """The snapshots of the volume."""
        said = ok(self.tidemark("volumes", "snapshots", "list", "--volume", self.volume.shown_as, "--json"))
        found: list[dict[str, Any]] = said.json()["data"]
        return found


def ok(said: Said) -> Said:
    assert said.code == 0, said
    return said


@pytest.fixture
def disk(served_stack: Served, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setenv("TIDEMARK_ENVIRONMENT", ENVIRONMENT)
    key = served_stack.key(tenants=(), environments=(ENVIRONMENT,))
    tidemark = CommandLine(HttpSender(), served_stack.url, key, tenant=None)
    return Disk(seed_environment(served_stack), tidemark, served_stack)


def test_schedule_is_made_changed_paused_resumed_and_deleted(disk: Disk) -> None:
    # Not due by itself while the test runs.
    now = datetime.now(UTC).replace(microsecond=0)
    daily = ("create", disk.volume.shown_as, "--interval", "daily", "--time", f"{now + timedelta(hours=12):%H:%M}")
    made = ok(disk.tidemark(*COMMAND, *daily, "--keep", "2", "--json")).json()["data"]
    schedule = made["id"]
    mine = ("list", "--volume", disk.volume.shown_as)
    assert ok(disk.tidemark(*COMMAND, *mine, "--json")).json() == {"data": [made], "metadata": {"recordCount": 1}}
    assert ok(disk.tidemark(*COMMAND, *daily, "--keep", "1", "--quiet")).out == f"{schedule}\n"
    assert (disk.state(schedule), disk.slot(schedule, now - 2 * DAY)) == ("ENABLED", "SUCCEEDED")
    [first] = disk.listed()
    assert (first["state"], first["intervalType"]) == ("BackedUp", "DAILY")

    ok(disk.tidemark(*COMMAND, "pause", schedule))
    assert disk.state(schedule) == "DISABLED"
    assert " paused" in ok(disk.tidemark(*COMMAND, *mine)).out
    assert disk.slot(schedule, now - DAY) == "SUCCEEDED"
    assert disk.listed() == [first], "a slot that was delivered while it was paused made a snapshot"

    ok(disk.tidemark(*COMMAND, "resume", schedule))
    assert disk.state(schedule) == "ENABLED"
    shown = ok(disk.tidemark(*COMMAND, "get", schedule, "--json")).json()["data"]
    assert shown["last"] == {
        "due": f"{now - 2 * DAY:%Y-%m-%dT%H:%M:%S}+0000",
        "state": "COMPLETED",
        "snapshotId": first["id"],
    }
    assert shown == made | {"keep": 1, "last": shown["last"]}
    assert disk.slot(schedule, now) == "SUCCEEDED"
    [second] = disk.listed()
    assert (second["state"], second["id"] != first["id"]) == ("BackedUp", True)

    ok(disk.tidemark(*COMMAND, "delete", schedule, "--yes"))
    assert ok(disk.tidemark(*COMMAND, *mine, "--quiet")).out == ""
    assert disk.listed() == [second]
    assert disk.tidemark(*COMMAND, "get", schedule).code == 3
    with pytest.raises(disk.served.client("scheduler").exceptions.ResourceNotFoundException):
        disk.state(schedule)


def test_key_that_only_reads_may_look_at_schedules_and_not_change_them(disk: Disk) -> None:
    hourly = ("create", disk.volume.shown_as, "--interval", "hourly", "--keep", "2", "--paused")
    schedule = ok(disk.tidemark(*COMMAND, *hourly, "--quiet")).out.strip()
    admin, disk.tidemark.key = disk.tidemark.key, disk.served.key((), ["read"], (ENVIRONMENT,))
    ok(disk.tidemark(*COMMAND, "get", schedule))
    for command in (hourly, ("pause", schedule), ("resume", schedule), ("delete", schedule, "--yes")):
        said = disk.tidemark(*COMMAND, *command)
        assert (said.code, said.out, said.err.count("\n")) == (5, "", 1), command
    disk.tidemark.key = admin
    assert ok(disk.tidemark(*COMMAND, "get", schedule, "--json")).json()["data"]["paused"] is True
    ok(disk.tidemark(*COMMAND, "delete", schedule, "--yes"))
