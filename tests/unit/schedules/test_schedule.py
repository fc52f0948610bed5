"""Schedules: the identity of slots, interval types, flexible windows, and descriptions."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemark.domain.interval import IntervalType
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import (
    LastRun,
    RunStatus,
    Schedule,
    ScheduleId,
    check_description,
    check_interval,
    check_retention,
    check_window,
    parse_scheduled_time,
    render_description,
    slot_id,
)
from tidemark.domain.schedule_expression import parse
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest

START = datetime(2026, 1, 1, tzinfo=UTC)
PARIS = "Europe/Paris"
NIGHTLY = Schedule(
    tenant=Tenant("smartcity"),
    id=ScheduleId("nightly"),
    expression="cron(30 0 * * ? *)",
    created_at=START - timedelta(seconds=20),
    starts_at=START,
    timezone=PARIS,
)

# --- slots


def test_every_delivery_of_a_slot_names_the_same_slot() -> None:
    said = ["2026-03-22T18:59:43Z", "2026-03-22T18:59:43.000Z", "2026-03-22T18:59:43.917Z", "2026-03-22T19:59:43+01:00"]
    assert {parse_scheduled_time(text) for text in said} == {datetime(2026, 3, 22, 18, 59, 43, tzinfo=UTC)}
    ids = {slot_id(NIGHTLY.id, parse_scheduled_time(text)) for text in said}
    assert ids == {"nightly_2026-03-22T18-59-43Z"}


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30)), st.integers(-14, 14))  # noqa: DTZ001
def test_the_id_of_a_slot_is_the_same_in_every_timezone_and_other_than_its_neighbours(at: datetime, hours: int) -> None:
    slot_at = at.replace(tzinfo=UTC, microsecond=0)
    elsewhere = slot_at.astimezone(timezone(timedelta(hours=hours)))
    assert slot_id(NIGHTLY.id, elsewhere) == slot_id(NIGHTLY.id, slot_at)
    assert parse_scheduled_time(elsewhere.isoformat()) == slot_at
    assert slot_id(NIGHTLY.id, slot_at + timedelta(seconds=1)) != slot_id(NIGHTLY.id, slot_at)
    assert slot_id(ScheduleId("other"), slot_at) != slot_id(NIGHTLY.id, slot_at)
    assert re.fullmatch(r"[0-9A-Za-z_-]{1,80}", slot_id(NIGHTLY.id, slot_at))


@pytest.mark.parametrize(
    "text", ["", "<aws.scheduler.scheduled-time>", "2026-03-22T18:59:43", "2026-03-22", "1774205983", "soon"]
)
def test_a_delivery_without_a_moment_is_refused_with_what_the_target_needs(text: str) -> None:
    with pytest.raises(InvalidRequest, match="the target's input has to hold <aws"):
        parse_scheduled_time(text)


def test_a_delivery_is_newer_unless_its_slot_or_a_later_one_ran() -> None:
    ran = replace(NIGHTLY, last_run=LastRun(START, START + timedelta(seconds=3), RunStatus.COMPLETED))
    assert NIGHTLY.newer(START)
    assert ran.newer(START + timedelta(days=1))
    assert not ran.newer(START)
    assert not ran.newer(START - timedelta(days=1))


def test_a_slot_is_delivered_within_its_minute_and_its_window() -> None:
    assert NIGHTLY.due_by(START) == START + timedelta(minutes=1)
    assert replace(NIGHTLY, window_minutes=15).due_by(START) == START + timedelta(minutes=16)


def test_a_schedule_is_due_by_its_expression_in_its_timezone() -> None:
    assert NIGHTLY.timetable().next_slot(START) == datetime(2026, 1, 1, 23, 30, tzinfo=UTC)


def test_a_stored_schedule_whose_timezone_is_gone_says_so() -> None:
    with pytest.raises(InvalidRequest, match="timezone 'Europe/Atlantis' is not known"):
        replace(NIGHTLY, timezone="Europe/Atlantis").timetable()


@pytest.mark.parametrize("minutes", [None, 1, 15, 1440])
def test_a_window_of_up_to_a_day_is_taken(minutes: int | None) -> None:
    check_window(minutes)


@pytest.mark.parametrize("minutes", [0, -1, 1441])
def test_another_window_is_refused(minutes: int) -> None:
    with pytest.raises(
        InvalidRequest, match=f"a flexible window of {minutes} minutes is not possible: it is 1 to 1440"
    ):
        check_window(minutes)


# --- interval types


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 minute)", IntervalType.HOURLY),
        ("rate(1 hour)", IntervalType.HOURLY),
        ("rate(23 hours)", IntervalType.HOURLY),
        ("rate(24 hours)", IntervalType.DAILY),
        ("rate(6 days)", IntervalType.DAILY),
        ("rate(7 days)", IntervalType.WEEKLY),
        ("rate(27 days)", IntervalType.WEEKLY),
        ("rate(28 days)", IntervalType.MONTHLY),
        ("cron(0/15 * * * ? *)", IntervalType.HOURLY),
        ("cron(0 8-18 ? * MON-FRI *)", IntervalType.HOURLY),
        ("cron(0 0,12 * * ? *)", IntervalType.HOURLY),
        # a day of 23 hours is a day
        ("cron(0 4 * * ? *)", IntervalType.DAILY),
        ("cron(0 4 ? * MON-FRI *)", IntervalType.DAILY),
        ("cron(0 4 ? * MON,THU *)", IntervalType.DAILY),
        # a day apart in leap years alone
        ("cron(0 4 1,29 2,3 ? *)", IntervalType.DAILY),
        ("cron(0 4 ? * SUN *)", IntervalType.WEEKLY),
        ("cron(0 4 1,15 * ? *)", IntervalType.WEEKLY),
        ("cron(0 4 1 * ? *)", IntervalType.MONTHLY),
        ("cron(0 4 L * ? *)", IntervalType.MONTHLY),
        ("cron(0 4 ? * 6#5 *)", IntervalType.MONTHLY),
        ("cron(0 4 1 1 ? *)", IntervalType.MONTHLY),
        ("cron(0 4 29 2 ? *)", IntervalType.MONTHLY),
        # what comes once was asked for once
        ("at(2026-03-01T00:00:00)", IntervalType.MANUAL),
        ("cron(0 4 1 1 ? 2027)", IntervalType.MANUAL),
    ],
)
def test_the_interval_type_is_the_longest_that_the_slots_of_an_expression_keep(
    expression: str, interval: IntervalType
) -> None:
    assert replace(NIGHTLY, expression=expression).interval() == interval


def test_an_interval_type_that_was_given_is_the_one() -> None:
    assert replace(NIGHTLY, interval_given=IntervalType.WEEKLY).interval() == IntervalType.WEEKLY


def test_no_schedule_may_call_its_snapshots_manual() -> None:
    for interval in (None, IntervalType.HOURLY, IntervalType.DAILY, IntervalType.WEEKLY, IntervalType.MONTHLY):
        check_interval(interval)
    with pytest.raises(InvalidRequest, match=r"can't be 'manual', .* use one of hourly, daily, weekly, monthly$"):
        check_interval(IntervalType.MANUAL)


def test_a_policy_may_not_keep_shorter_periods_than_its_schedule_has() -> None:
    check_retention(RetentionPolicy(last=1, daily=7, yearly=1), IntervalType.DAILY)
    check_retention(RetentionPolicy(hourly=24), IntervalType.MANUAL)
    with pytest.raises(InvalidRequest) as refused:
        check_retention(RetentionPolicy(daily=7, hourly=24), IntervalType.DAILY)
    assert refused.value.message == (
        "the rule 'hourly' of the retention policy contradicts a schedule that makes daily snapshots: there are no "
        "hourly ones to keep; use 'keepLast' or 'daily'"
    )


# --- descriptions


def test_a_description_says_tenant_date_and_interval() -> None:
    template = "{interval} backup of {tenant}, {date} ({date})"
    check_description(template)
    slot_at = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    text = render_description(template, NIGHTLY.tenant, slot_at, NIGHTLY.timetable(), IntervalType.DAILY)
    # 00:30 in Paris, the day after.
    assert text == "daily backup of smartcity, 2026-07-01 (2026-07-01)"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("of {tennant}", "has no placeholder {tennant}: use {tenant}, {date}, {interval}"),
        ("{}", "has no placeholder {}"),
        ("{tenant.id}", "has no placeholder {tenant.id}"),
        ("{tenant!r}", "has no placeholder {tenant!r}"),
        ("{ tenant }", "has no placeholder { tenant }"),
        ("{tenant", "a single brace"),
        ("tenant}", "a single brace"),
        ("{{tenant}}", "a single brace"),
        ("x" * 1025, "more than 1024 characters"),
        ("x" * 975 + "{tenant}", "more than 1024 characters once its placeholders are filled in"),
    ],
)
def test_a_description_that_cannot_be_filled_in_is_refused(template: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(sentence)):
        check_description(template)


@given(st.text(st.sampled_from("{}tenadit vrl!"), max_size=30) | st.text(max_size=1100))
def test_a_description_that_is_taken_can_be_filled_in_for_every_tenant(template: str) -> None:
    try:
        check_description(template)
    except InvalidRequest:
        return
    tenant = Tenant("t" * 50)
    text = render_description(template, tenant, START, parse("rate(1 day)", "UTC", START), IntervalType.MONTHLY)
    assert len(text) <= 1024
    assert not re.search(r"[{}]", text)
