"""Retention decides as the golden files say, and refuses policies and snapshots that it can't decide about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.driving import TENANT
from tests.unit import retention_cases
from tidemark.domain.hold import Hold, HoldStatus
from tidemark.domain.live import FencingToken
from tidemark.domain.periods import Period
from tidemark.domain.retention import (
    MAX_COUNT,
    Candidate,
    RetentionPolicy,
    Rule,
    Verdict,
    candidate_of,
    decide,
    duration_text,
    made_by,
)
from tidemark.domain.snapshot import CaptureId, Failure, Snapshot, SnapshotStatus, Verification, snapshot_id
from tidemark.errors import InvalidRequest

NOW = datetime(2026, 3, 10, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
COMPLETED = Snapshot(
    TENANT, snapshot_id(NOW), NOW, CaptureId("capture"), FencingToken(1), status=SnapshotStatus.COMPLETED
)


@pytest.mark.parametrize("path", retention_cases.cases(), ids=lambda path: path.stem)
def test_decisions_and_their_reasons_are_those_of_the_golden_file(path: Path) -> None:
    assert retention_cases.read(path).text() == path.read_text(encoding="utf-8")


def test_golden_files_are_there_and_forget_something_or_say_why_not() -> None:
    decided = {path.stem: retention_cases.read(path).decided() for path in retention_cases.cases()}
    assert len(decided) > 10
    for name, decisions in decided.items():
        assert {Verdict.KEEP, Verdict.FORGET} <= {decision.verdict for decision in decisions}, name
        assert all(decision.reasons for decision in decisions), name


def test_every_rule_is_the_reason_of_something_in_the_golden_files() -> None:
    said = {
        reason.rule
        for path in retention_cases.cases()
        for decision in retention_cases.read(path).decided()
        for reason in decision.reasons
    }
    assert said == set(Rule)


def test_policy_without_a_rule_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="would keep nothing"):
        RetentionPolicy()


@pytest.mark.parametrize("count", [0, -1, MAX_COUNT + 1])
@pytest.mark.parametrize("field", ["last", *Period])
def test_policy_is_refused_when_a_rule_keeps_no_number_that_it_can(field: str, count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"1 to {MAX_COUNT}"):
        RetentionPolicy(**{field: count}, within=timedelta(days=1))


@pytest.mark.parametrize("within", [timedelta(0), timedelta(seconds=-1)])
def test_policy_is_refused_when_its_duration_is_not_positive(within: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="must be positive"):
        RetentionPolicy(last=1, within=within)


def test_snapshot_that_is_given_twice_is_refused_since_it_would_fill_two_places() -> None:
    one = Candidate(snapshot_id(NOW), NOW, "nightly")
    with pytest.raises(ValueError, match="given twice"):
        decide([one, one], RetentionPolicy(last=2), concerns=made_by("nightly"), zone=PARIS, now=NOW)


def test_nothing_is_decided_where_there_is_no_snapshot() -> None:
    policy = RetentionPolicy(last=1, within=timedelta(days=1), hourly=1)
    assert decide([], policy, concerns=made_by("nightly"), zone=PARIS, now=NOW) == ()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", "2026-03-28", 24),
        ("Europe/Paris", "2026-03-29", 23),
        ("Europe/Paris", "2026-10-25", 25),
        ("America/New_York", "2026-11-01", 25),
        # Clocks go back by half an hour, in the middle of an hour: both its parts are hours.
        ("Australia/Lord_Howe", "2026-04-05", 25),
        # The day was left out when the date line moved.
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_day_has_as_many_hours_as_clocks_show(zone: str, day: str, hours: int) -> None:
    there = ZoneInfo(zone)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    moments = [start + timedelta(minutes=10 * step) for step in range(6 * 72)]
    inside = [moment for moment in moments if Period.DAILY.name_of(moment, there) == day]
    assert len({Period.HOURLY.name_of(moment, there) for moment in inside}) == hours


@pytest.mark.parametrize(
    ("day", "week"),
    [
        ("2026-12-31", "2026-W53"),
        ("2027-01-03", "2026-W53"),
        ("2027-01-04", "2027-W01"),
        ("2024-12-30", "2025-W01"),
        ("2028-02-29", "2028-W09"),
    ],
)
def test_week_is_that_of_iso_8601(day: str, week: str) -> None:
    assert Period.WEEKLY.name_of(datetime.fromisoformat(day).replace(tzinfo=UTC), ZoneInfo("UTC")) == week


def test_periods_are_ordered_from_the_shortest() -> None:
    assert Period.HOURLY.shorter_than(Period.DAILY)
    assert Period.DAILY.shorter_than(Period.YEARLY)
    assert not Period.WEEKLY.shorter_than(Period.WEEKLY)
    assert not Period.MONTHLY.shorter_than(Period.WEEKLY)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=7), "P7D"),
        (timedelta(hours=12), "PT12H"),
        (timedelta(days=1, minutes=30, seconds=5), "P1DT30M5S"),
        (timedelta(hours=36), "P1DT12H"),
        (timedelta(0), "PT0S"),
    ],
)
def test_duration_is_written_as_iso_8601_does(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text


def test_retention_sees_of_a_snapshot_what_its_record_says() -> None:
    expires_at = NOW + timedelta(days=1)
    record = Snapshot(
        TENANT,
        snapshot_id(NOW, 2),
        NOW,
        CaptureId("capture"),
        FencingToken(1),
        status=SnapshotStatus.FAILED,
        expires_at=expires_at,
        pinned=True,
        hold=Hold(HoldStatus.LIFTING, locked=True),
    )
    assert candidate_of(record, schedule_id="nightly") == Candidate(
        id=snapshot_id(NOW, 2),
        created_at=NOW,
        schedule_id="nightly",
        status=SnapshotStatus.FAILED,
        expires_at=expires_at,
        pinned=True,
        held=True,
    )


def test_snapshot_is_in_use_when_its_record_names_a_user_or_something_needs_it() -> None:
    assert not candidate_of(COMPLETED, schedule_id=None).in_use
    assert candidate_of(COMPLETED.using("restore_1"), schedule_id=None).in_use
    assert candidate_of(COMPLETED, schedule_id=None, needed=True).in_use


def test_snapshot_is_damaged_when_its_last_verification_failed() -> None:
    good = Verification(NOW, ok=True)
    bad = Verification(NOW, ok=False, failure=Failure("PackCorrupt", "a pack is not what was written"))
    seen = [candidate_of(_verified(verification), schedule_id=None).damaged for verification in (None, good, bad)]
    assert seen == [False, False, True]


def _verified(verification: Verification | None) -> Snapshot:
    return Snapshot(TENANT, snapshot_id(NOW), NOW, CaptureId("capture"), FencingToken(1), verification=verification)
