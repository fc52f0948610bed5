"""Schedules in bodies: what is taken, what is refused and why, and what is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.contract.examples import TEN_O_CLOCK, schedule
from tidemark.dialects.ngsi.previews import parse_preview
from tidemark.dialects.ngsi.schedules import listed, parse_create, parse_update, render
from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import DamagedSchedule, LastRun, Missed, Overlap, RunStatus, ScheduleId, ScheduleStatus
from tidemark.domain.snapshot import Failure, SnapshotId
from tidemark.errors import InvalidRequest
from tidemark.usecases.create_schedule import ScheduleWanted
from tidemark.usecases.update_schedule import ScheduleChange

FULL = {
    "expression": "cron(0 2 * * ? *)",
    "timezone": "Europe/Paris",
    "windowMinutes": 15,
    "description": "nightly {date}",
    "labels": {"by": "schedule"},
    "interval": "daily",
    "retention": {"keepLast": 3, "keepWithin": "P2D"},
    "overlap": "queue",
    "paused": True,
}
NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)


def test_every_member_of_a_create_request_is_taken() -> None:
    assert parse_create(FULL) == ScheduleWanted(
        expression="cron(0 2 * * ? *)",
        timezone="Europe/Paris",
        window_minutes=15,
        description="nightly {date}",
        labels={"by": "schedule"},
        interval=IntervalType.DAILY,
        retention=RetentionPolicy(last=3, within=timedelta(days=2)),
        overlap=Overlap.QUEUE,
        paused=True,
    )


def test_expression_alone_is_enough() -> None:
    assert parse_create({"expression": "rate(1 hour)"}) == ScheduleWanted("rate(1 hour)")


def test_update_changes_what_it_names_and_null_takes_away() -> None:
    assert parse_update({"paused": False}) == ScheduleChange(paused=False)
    taken = parse_update({"retention": None, "windowMinutes": None, "interval": None})
    assert taken == ScheduleChange(retention=None, window_minutes=None, interval=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expression": 5}, "'expression' must be a string; it is a number"),
        ({"expression": None}, "'expression' must be a string; it is null"),
        ({"timezone": None}, "'timezone' must be a string"),
        ({"windowMinutes": 1.5}, "it is a fraction"),
        ({"windowMinutes": True}, "it is a boolean"),
        ({"paused": "yes"}, "'paused' must be true or false; it is a string"),
        ({"overlap": "kill"}, "'overlap' must be one of skip, queue; it is 'kill'"),
        ({"interval": "manual"}, "'interval' must be one of hourly, daily, weekly, monthly"),
        ({"retention": {}}, "which would keep nothing"),
        ({"retention": {"daily": 0}}, "which keeps nothing"),
        ({"labels": []}, "'labels' must be an object"),
        ({"cron": "x"}, "'cron' is unknown"),
    ],
)
def test_member_that_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    for refused in (lambda: parse_create(FULL | change), lambda: parse_update(change)):
        with pytest.raises(InvalidRequest, match=said):
            refused()


def test_create_without_an_expression_and_update_of_nothing_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="'expression' is missing"):
        parse_create({"timezone": "UTC"})
    with pytest.raises(InvalidRequest, match="changes nothing"):
        parse_update({})


def test_preview_tries_the_policy_of_its_body_if_it_has_one() -> None:
    assert parse_preview({}) is None
    assert parse_preview({"retention": {"daily": 7}}) == RetentionPolicy(daily=7)


def test_schedule_shows_its_last_and_next_run() -> None:
    failure = Failure("PackCorrupt", "pack 3 is damaged")
    snapshot = SnapshotId("snapshot_2026-01-15T10-00-00Z")
    last = LastRun(TEN_O_CLOCK, TEN_O_CLOCK, RunStatus.FAILED, snapshot_id=snapshot, failure=failure)
    shown = msgspec.to_builtins(render(schedule(status=ScheduleStatus.ACTIVE, last_run=last), NOW))
    assert shown["nextRun"] == "2026-01-16T00:30:00Z"
    assert shown["lastStatus"] == "failed"
    assert shown["lastRun"] == {
        "slotAt": "2026-01-15T10:00:00Z",
        "startedAt": "2026-01-15T10:00:00Z",
        "snapshotId": snapshot,
        "error": {"code": "PackCorrupt", "description": "pack 3 is damaged"},
    }
    assert (shown["status"], shown["interval"]) == ("active", "daily")


@pytest.mark.parametrize("status", [RunStatus.SKIPPED, RunStatus.MISSED])
def test_schedule_shows_a_slot_that_was_not_run_with_its_reason_unless_a_later_one_was(status: RunStatus) -> None:
    missed = Missed(TEN_O_CLOCK, status, "the last run went on", TEN_O_CLOCK)
    for before in (None, TEN_O_CLOCK - timedelta(hours=1)):
        run = None if before is None else LastRun(before, before, RunStatus.COMPLETED)
        shown = msgspec.to_builtins(render(schedule(last_run=run, last_missed=missed), NOW))
        assert shown["lastStatus"] == status.value
        assert shown["lastRun"] == {"slotAt": "2026-01-15T10:00:00Z", "reason": "the last run went on"}
    late = LastRun(TEN_O_CLOCK, TEN_O_CLOCK, RunStatus.COMPLETED)
    shown = msgspec.to_builtins(render(schedule(last_run=late, last_missed=missed), NOW))
    assert (shown["lastStatus"], "reason" in shown["lastRun"]) == ("completed", False)


def test_schedule_that_is_paused_or_being_set_shows_that_and_no_next_run() -> None:
    shown = msgspec.to_builtins(render(schedule(paused=True), NOW))
    assert (shown["paused"], shown["status"]) == (True, "setting")
    assert not {"nextRun", "lastRun", "lastStatus", "retention", "windowMinutes"} & shown.keys()


def test_what_is_shown_can_be_sent_again() -> None:
    policy = RetentionPolicy(last=3, within=timedelta(days=2))
    shown = msgspec.to_builtins(render(schedule(retention=policy, window_minutes=5, labels={"a": "b"}), NOW))
    wanted = parse_create({name: shown[name] for name in FULL if name in shown})
    assert (wanted.retention, wanted.window_minutes, wanted.labels) == (policy, 5, {"a": "b"})


def test_schedule_whose_zone_is_gone_or_whose_record_is_damaged_says_so() -> None:
    gone = msgspec.to_builtins(render(schedule(timezone="Mars/Olympus"), NOW))
    assert "Mars/Olympus" in gone["error"]["description"]
    damaged = DamagedSchedule(ScheduleId("schedule_" + "0" * 16), Failure("CatalogCorrupt", "it is damaged"))
    assert msgspec.to_builtins(listed(damaged, NOW))["status"] == "failed"
