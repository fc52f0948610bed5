"""Slots of schedule expressions: what EventBridge Scheduler documents, clocks that are set forward and back, and a
search through every minute that knows nothing of the code under test.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemark.domain.schedule_expression import Expression, parse, whole_minute

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
START = datetime(2022, 1, 1, tzinfo=UTC)
LATE = datetime(2199, 1, 1, tzinfo=UTC)


def first(expression: Expression, count: int) -> list[str]:
    """The first slots of an expression, in UTC."""
    slots = expression.slots(expression.starts_at - datetime.resolution, LATE)
    return [slot.strftime("%Y-%m-%dT%H:%MZ") for slot in islice(slots, count)]


# --- what the user guide says

DOCUMENTED = [
    # the last Friday of each month during the years 2022 to 2023
    ("cron(15 10 ? * 6L 2022-2023)", "UTC", ["2022-01-28T10:15Z", "2022-02-25T10:15Z", "2022-03-25T10:15Z"]),
    # 8:30 in New York, every day
    ("cron(30 8 * * ? *)", "America/New_York", ["2022-01-01T13:30Z", "2022-01-02T13:30Z"]),
    # 8:00 PST on the first Monday of every month
    ("cron(0 8 ? * 2#1 *)", "America/Los_Angeles", ["2022-01-03T16:00Z", "2022-02-07T16:00Z", "2022-03-07T16:00Z"]),
    # January, February and March
    ("cron(0 0 1 JAN,FEB,MAR ? *)", "UTC", ["2022-01-01T00:00Z", "2022-02-01T00:00Z", "2022-03-01T00:00Z"]),
    # days 1 through 15
    ("cron(0 12 14-15 * ? *)", "UTC", ["2022-01-14T12:00Z", "2022-01-15T12:00Z", "2022-02-14T12:00Z"]),
    # every tenth minute, starting from the first: the 11th, 21st and 31st
    ("cron(1/10 0 1 * ? *)", "UTC", ["2022-01-01T00:01Z", "2022-01-01T00:11Z", "2022-01-01T00:21Z"]),
    # the weekday closest to the third day of the month: a Monday, a Thursday, and so on; in April a Sunday is
    (
        "cron(0 0 3W 1,2,4,9 ? *)",
        "UTC",
        ["2022-01-03T00:00Z", "2022-02-03T00:00Z", "2022-04-04T00:00Z", "2022-09-02T00:00Z"],
    ),
    # the second Tuesday of the month
    ("cron(0 0 ? * 3#2 *)", "UTC", ["2022-01-11T00:00Z", "2022-02-08T00:00Z", "2022-03-08T00:00Z"]),
    # the last day of the month, and of the week
    ("cron(0 0 L * ? *)", "UTC", ["2022-01-31T00:00Z", "2022-02-28T00:00Z", "2022-03-31T00:00Z"]),
    ("cron(0 0 ? * L *)", "UTC", ["2022-01-01T00:00Z", "2022-01-08T00:00Z"]),
    # one-time: 13:00 UTC-8 on 20 November 2022
    ("at(2022-11-20T13:00:00)", "America/Los_Angeles", ["2022-11-20T21:00Z"]),
    ("rate(5 minutes)", "UTC", ["2022-01-01T00:00Z", "2022-01-01T00:05Z", "2022-01-01T00:10Z"]),
    ("rate(1 days)", "America/Los_Angeles", ["2022-01-01T00:00Z", "2022-01-02T00:00Z"]),
]
TAKEN = [
    # Sunday is the first day of the week, Saturday the seventh
    ("cron(0 0 ? * 1 *)", "UTC", ["2022-01-02T00:00Z"]),
    ("cron(0 0 ? * SAT *)", "UTC", ["2022-01-01T00:00Z"]),
    ("cron(0 18 ? * MON-FRI *)", "UTC", ["2022-01-03T18:00Z", "2022-01-04T18:00Z"]),
    ("cron(0 18 ? * mon,Wed *)", "UTC", ["2022-01-03T18:00Z", "2022-01-05T18:00Z", "2022-01-10T18:00Z"]),
    (
        "cron(0 0-12/6 1 * ? *)",
        "UTC",
        ["2022-01-01T00:00Z", "2022-01-01T06:00Z", "2022-01-01T12:00Z", "2022-02-01T00:00Z"],
    ),
    ("cron(0 0 1 */6 ? *)", "UTC", ["2022-01-01T00:00Z", "2022-07-01T00:00Z", "2023-01-01T00:00Z"]),
    ("cron(0 0 1 1 ? 2023/2)", "UTC", ["2023-01-01T00:00Z", "2025-01-01T00:00Z"]),
    ("cron(0 0 LW * ? *)", "UTC", ["2022-01-31T00:00Z", "2022-02-28T00:00Z", "2022-03-31T00:00Z", "2022-04-29T00:00Z"]),
    # the nearest weekday stays in its month: Saturday 1 January, Sunday 31 July
    ("cron(0 0 1W 1 ? 2022)", "UTC", ["2022-01-03T00:00Z"]),
    ("cron(0 0 31W 7 ? 2022)", "UTC", ["2022-07-29T00:00Z"]),
    ("cron(0 0 31W 4,5 ? 2022)", "UTC", ["2022-05-31T00:00Z"]),
    ("cron(0 0 29 2 ? *)", "UTC", ["2024-02-29T00:00Z", "2028-02-29T00:00Z"]),
    # 2100 is no leap year
    ("cron(0 0 29 2 ? 2096-2110)", "UTC", ["2096-02-29T00:00Z", "2104-02-29T00:00Z", "2108-02-29T00:00Z"]),
    ("cron(0 0 ? 2 SUN#5 *)", "UTC", ["2032-02-29T00:00Z", "2060-02-29T00:00Z"]),
    ("  cron( 0  0 1 1 ? *)  ", "UTC", ["2022-01-01T00:00Z"]),
]


@pytest.mark.parametrize(("text", "zone", "expected"), DOCUMENTED + TAKEN)
def test_an_expression_has_the_slots_that_are_documented(text: str, zone: str, expected: list[str]) -> None:
    assert first(parse(text, zone, START), len(expected)) == expected


@pytest.mark.parametrize(
    ("given_text", "settled"),
    [
        (" cron(0  0 ? * mon-fri *)", "cron(0 0 ? * MON-FRI *)"),
        ("rate( 1   days )", "rate(1 day)"),
        ("rate(007 hour)", "rate(7 hours)"),
        ("at(2022-11-20T13:00:00)", "at(2022-11-20T13:00:00)"),
    ],
)
def test_the_text_of_an_expression_is_settled_and_means_the_same(given_text: str, settled: str) -> None:
    expression = parse(given_text, "UTC", START)
    assert expression.text == settled
    assert parse(settled, "UTC", START) == expression


# --- clocks that are set forward and back


def test_a_cron_in_an_hour_that_is_skipped_does_not_run_that_day() -> None:
    expression = parse("cron(30 2 * * ? *)", "America/Los_Angeles", datetime(2022, 3, 12, tzinfo=UTC))
    assert first(expression, 3) == ["2022-03-12T10:30Z", "2022-03-14T09:30Z", "2022-03-15T09:30Z"]


def test_a_cron_in_an_hour_that_comes_twice_runs_the_first_time_only() -> None:
    # The user guide's example says 2:30 for Los Angeles, where the hour that comes twice is that of 1:30.
    expression = parse("cron(30 1 * * ? *)", "America/Los_Angeles", datetime(2022, 11, 5, tzinfo=UTC))
    assert first(expression, 3) == ["2022-11-05T08:30Z", "2022-11-06T08:30Z", "2022-11-07T09:30Z"]


def test_an_hourly_cron_leaves_out_the_hour_that_comes_again() -> None:
    expression = parse("cron(0 * * * ? *)", "Europe/Paris", datetime(2026, 10, 24, 23, tzinfo=UTC))
    assert first(expression, 4) == ["2026-10-24T23:00Z", "2026-10-25T00:00Z", "2026-10-25T02:00Z", "2026-10-25T03:00Z"]


def test_asking_within_the_hour_that_comes_again_gives_no_slot_twice() -> None:
    expression = parse("cron(0/15 * * * ? *)", "Europe/Paris", START)
    again = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert expression.next_slot(again) == datetime(2026, 10, 25, 2, tzinfo=UTC)
    assert expression.previous_slot(again) == datetime(2026, 10, 25, 0, 45, tzinfo=UTC)


def test_a_slot_after_midnight_is_found_when_the_clock_went_back_to_the_day_before() -> None:
    # At 00:01 the clock of Newfoundland went back to 23:01 of the day before.
    expression = parse("cron(0 0 * * ? *)", "America/St_Johns", datetime(2006, 1, 1, tzinfo=UTC))
    midnight = datetime(2006, 10, 29, 2, 30, tzinfo=UTC)
    assert (midnight + 20 * MINUTE).astimezone(ZoneInfo("America/St_Johns")).day == 28
    assert expression.previous_slot(midnight + 20 * MINUTE) == midnight


def test_a_day_that_a_zone_left_out_has_no_slots() -> None:
    # Samoa went over the date line: it had no 30 December 2011.
    expression = parse("cron(0 12 * * ? *)", "Pacific/Apia", datetime(2011, 12, 29, 12, tzinfo=UTC))
    assert first(expression, 2) == ["2011-12-29T22:00Z", "2011-12-30T22:00Z"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Australia/Lord_Howe"])
def test_a_rate_of_days_counts_24_hours_whatever_the_clock_does(zone: str) -> None:
    expression = parse("rate(1 day)", zone, datetime(2026, 3, 28, 6, 7, tzinfo=UTC))
    assert first(expression, 3) == ["2026-03-28T06:07Z", "2026-03-29T06:07Z", "2026-03-30T06:07Z"]


@pytest.mark.parametrize(("day", "hours"), [("03-29", 23), ("06-01", 24), ("10-25", 25)])
def test_a_day_has_slots_for_its_local_hours(day: str, hours: int) -> None:
    expression = parse("cron(0 * * * ? *)", "Europe/Paris", START)
    midnight = datetime.fromisoformat(f"2026-{day}").replace(tzinfo=ZoneInfo("Europe/Paris"))
    end = (midnight + timedelta(days=1)).astimezone(UTC)
    assert end - midnight.astimezone(UTC) == hours * HOUR
    slots = list(expression.slots(midnight - datetime.resolution, end - datetime.resolution))
    assert len(slots) == min(hours, 24)


def test_a_one_time_expression_in_an_hour_that_comes_twice_means_the_first() -> None:
    expression = parse("at(2026-10-25T02:30:00)", "Europe/Paris", START)
    assert first(expression, 2) == ["2026-10-25T00:30Z"]


# --- starts and ends


def test_no_slot_is_before_the_start() -> None:
    start = datetime(2026, 1, 15, 10, tzinfo=UTC)
    for text in ("rate(6 hours)", "cron(0 0/2 * * ? *)"):
        expression = parse(text, "UTC", start)
        assert next(expression.slots(START, LATE)) == start
        assert expression.previous_slot(start) == start
        assert expression.previous_slot(start - datetime.resolution) is None


def test_a_rate_counts_from_its_start_for_ever() -> None:
    expression = parse("rate(7 hours)", "UTC", START)
    assert expression.next_slot(START + 7001 * HOUR) == START + 7007 * HOUR
    assert expression.next_slot(START + 7007 * HOUR) == START + 7014 * HOUR
    assert expression.previous_slot(START + 7013 * HOUR) == START + 7007 * HOUR


def test_the_slots_of_a_span_are_those_after_its_begin_and_until_its_end() -> None:
    expression = parse("cron(0 * * * ? *)", "UTC", START)
    assert list(expression.slots(START, START + 3 * HOUR)) == [START + HOUR, START + 2 * HOUR, START + 3 * HOUR]
    assert list(expression.slots(START + HOUR, START + HOUR)) == []


def test_what_was_missed_lies_between_two_slots() -> None:
    expression = parse("rate(1 hour)", "UTC", START)
    assert list(expression.between(START, START + 3 * HOUR)) == [START + HOUR, START + 2 * HOUR]
    assert list(expression.between(START, START + HOUR)) == []
    # Deliveries out of order miss nothing.
    assert list(expression.between(START + HOUR, START)) == []


def test_an_expression_that_is_over_has_no_next_slot_and_keeps_its_last() -> None:
    once = parse("at(2022-11-20T13:00:00)", "UTC", START)
    cron = parse("cron(0 13 20 11 ? 2022)", "UTC", START)
    over = datetime(2022, 11, 20, 13, tzinfo=UTC)
    for expression in (once, cron):
        assert expression.next_slot(over - datetime.resolution) == over
        assert expression.next_slot(over) is None
        assert expression.previous_slot(LATE) == over
        assert expression.previous_slot(over - datetime.resolution) is None


def test_nothing_is_due_after_the_last_year() -> None:
    assert parse("rate(999999 days)", "UTC", START).next_slot(START) is None
    last = parse("cron(59 23 31 12 ? 2199)", "Pacific/Niue", START).next_slot(START)
    assert last == datetime(2200, 1, 1, 10, 59, tzinfo=UTC)


def test_a_start_is_put_on_the_next_whole_minute() -> None:
    assert whole_minute(datetime(2026, 1, 1, 10, 0, 0, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 10, 1, tzinfo=UTC)
    assert whole_minute(datetime(2026, 1, 1, 10, 59, 59, tzinfo=UTC)) == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert whole_minute(datetime(2026, 1, 1, 10, tzinfo=UTC)) == datetime(2026, 1, 1, 10, tzinfo=UTC)


# --- against a search through every minute


@dataclass(frozen=True)
class Drawn:
    """A cron expression, and the same said as a question about a local time."""

    text: str
    means: Callable[[datetime], bool]


def weekday_of(number: int) -> int:
    return (number - 2) % 7


def days_in(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def nearest_weekday(day: date, wanted: int) -> bool:
    in_month = [day.replace(day=number) for number in range(1, days_in(day) + 1)]
    weekdays = [one.day for one in in_month if one.weekday() < 5]
    return wanted <= len(in_month) and day.day == min(weekdays, key=lambda one: abs(one - wanted))


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, set[int]]:
    """A field of values, ranges and steps, and the values it means."""
    texts, meant = [], set[int]()
    for _ in range(draw(st.integers(1, 3))):
        one, another = draw(st.integers(low, high)), draw(st.integers(low, high))
        one, another, step = min(one, another), max(one, another), draw(st.integers(1, high))
        text, values = draw(
            st.sampled_from(
                [
                    (f"{one}", {one}),
                    (f"{one}-{another}", set(range(one, another + 1))),
                    (f"{one}/{step}", set(range(one, high + 1, step))),
                    (f"*/{step}", set(range(low, high + 1, step))),
                    (f"{one}-{another}/{step}", set(range(one, another + 1, step))),
                    ("*", set(range(low, high + 1))),
                ]
            )
        )
        texts.append(text)
        meant |= values
    return ",".join(texts), meant


@st.composite
def crons(draw: st.DrawFn) -> Drawn:
    minute_text, minutes = draw(fields(0, 59))
    hour_text, hours = draw(fields(0, 23))
    days_text, days = draw(fields(1, 31))
    number, nth = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    wanted = draw(st.integers(1, 31))
    listed = draw(st.sets(st.integers(1, 7), min_size=1))
    by_day: list[tuple[str, Callable[[date], bool]]] = [
        (f"{days_text} * ?", lambda day: day.day in days),
        ("L * ?", lambda day: day.day == days_in(day)),
        (f"{wanted}W * ?", lambda day: nearest_weekday(day, wanted)),
        (f"? * {','.join(map(str, listed))}", lambda day: day.weekday() in set(map(weekday_of, listed))),
        (
            f"? * {number}L",
            lambda day: day.weekday() == weekday_of(number) and (day + timedelta(days=7)).month != day.month,
        ),
        (f"? * {number}#{nth}", lambda day: day.weekday() == weekday_of(number) and (day.day + 6) // 7 == nth),
    ]
    day_fields, on = draw(st.sampled_from(by_day))
    return Drawn(
        f"cron({minute_text} {hour_text} {day_fields} *)",
        lambda at: at.minute in minutes and at.hour in hours and on(at.date()),
    )


ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "America/Havana",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Pacific/Chatham",
        "Africa/Cairo",
        "Asia/Beirut",
    ]
)
DAY = timedelta(days=1)
MOMENTS = st.datetimes(datetime(2005, 1, 2), datetime(2038, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


def change_near(zone: str, moment: datetime) -> datetime:
    """The end of the day after the zone's clock is set anew next, if that is within a year; otherwise the moment."""
    local = ZoneInfo(zone)
    for days in range(366):
        now, then = moment + days * DAY, moment + (days + 1) * DAY
        if now.astimezone(local).utcoffset() != then.astimezone(local).utcoffset():
            return then.replace(second=0, microsecond=0) - 12 * HOUR
    return moment


def searched(drawn: Drawn, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The minutes of a span whose local time, the first of that name, is one that the expression means."""
    minutes, found = whole_minute(after + datetime.resolution), []
    while minutes <= until:
        local = minutes.astimezone(ZoneInfo(zone))
        if not local.fold and drawn.means(local):
            found.append(minutes)
        minutes += MINUTE
    return found


@given(crons(), ZONES, MOMENTS, st.booleans())
def test_slots_are_the_minutes_that_a_search_finds(drawn: Drawn, zone: str, moment: datetime, at_change: bool) -> None:
    middle = change_near(zone, moment) if at_change else moment
    expression = parse(drawn.text, zone, LONG_AGO)
    after, until = middle - DAY, middle + DAY
    expected = searched(drawn, zone, after, until)
    assert list(expression.slots(after, until)) == expected
    assert expression.next_slot(after) == (expected[0] if expected else expression.next_slot(until))
    assert expression.previous_slot(until) == (expected[-1] if expected else expression.previous_slot(after))


RATES = st.builds("rate({} {})".format, st.integers(1, 999), st.sampled_from(["minutes", "hours", "days"]))


@given(crons().map(lambda drawn: drawn.text) | RATES, ZONES, MOMENTS)
@example("cron(0/15 * * * ? *)", "Europe/Paris", datetime(2026, 10, 25, 1, 10, tzinfo=UTC))
@example("cron(0 0 * * ? *)", "America/St_Johns", datetime(2006, 10, 29, 2, 40, tzinfo=UTC))
def test_next_and_previous_are_each_others_inverse(text: str, zone: str, moment: datetime) -> None:
    expression = parse(text, zone, LONG_AGO)
    following = list(islice(expression.slots(moment, LATE), 5))
    assert following[0] == expression.next_slot(moment)
    assert all(earlier < later for earlier, later in pairwise(following))
    for earlier, later in pairwise(following):
        assert expression.next_slot(earlier) == later
        assert expression.previous_slot(later - datetime.resolution) == earlier
        assert expression.previous_slot(earlier) == earlier
        assert list(expression.between(earlier, later)) == []
    before = expression.previous_slot(moment)
    assert before is not None
    assert expression.next_slot(before) == following[0]
