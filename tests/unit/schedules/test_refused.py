"""Schedule expressions and timezones that are refused: what the sentence names, and what it says to write."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemark.domain import zones
from tidemark.domain.schedule_expression import parse
from tidemark.errors import InvalidRequest

START = datetime(2026, 1, 1, tzinfo=UTC)
REFUSED = [
    # neither of the three
    ("", "write rate(1 hour), cron(0 2 * * ? *) or at(2026-01-15T10:00:00)"),
    ("0 2 * * *", "write rate(1 hour)"),
    ("every(1 day)", "write rate(1 hour)"),
    ("RATE(1 hour)", "write rate(1 hour)"),
    ("cron(0 2 * * ? *) cron(0 3 * * ? *)", "needs six"),
    (f"cron(0 {','.join(['2'] * 150)} * * ? *)", "256 characters at most"),
    # rates
    ("rate(30 seconds)", "the shortest is rate(1 minute)"),
    ("rate(0 minutes)", "a whole number from 1"),
    ("rate(-5 minutes)", "a whole number from 1"),
    ("rate(0.5 hours)", "fractions are not taken"),
    ("rate(1,5 hours)", "fractions are not taken"),
    ("rate(1000000 days)", "from 1 to 999999"),
    ("rate(5minutes)", "minutes, hours or days"),
    ("rate(five minutes)", "minutes, hours or days"),
    ("rate(٣ hours)", "minutes, hours or days"),
    ("rate(2 weeks)", "write rate(7 days)"),
    ("rate(1 month)", "cron(0 2 1 * ? *)"),
    ("rate()", "minutes, hours or days"),
    # the number of fields, and the days
    ("cron(0 2 * * ?)", "has 5 fields, and needs six"),
    ("cron(0 0 2 * * ? *)", "has 7 fields, and needs six"),
    ("cron(0 2 * * * *)", "* as its day-of-month and * as its day-of-week: write the days in one"),
    ("cron(0 2 1 * MON *)", "1 as its day-of-month and MON as its day-of-week: write the days in one"),
    ("cron(0 2 ? * ? *)", "? as its day-of-month and ? as its day-of-week: write the days in one"),
    # values
    ("cron(60 2 * * ? *)", "minutes '60' of the cron expression is not valid: its values are 0 to 59"),
    ("cron(0 24 * * ? *)", "hours '24' of the cron expression is not valid: its values are 0 to 23"),
    ("cron(0 2 0 * ? *)", "day-of-month '0' of the cron expression is not valid: its values are 1 to 31"),
    ("cron(0 2 * 13 ? *)", "its values are 1 to 12 or JAN to DEC"),
    ("cron(0 2 * MAI ? *)", "its values are 1 to 12 or JAN to DEC"),
    ("cron(0 2 ? * 0 *)", "its values are 1 to 7 or SUN to SAT"),
    ("cron(0 2 ? * 8 *)", "its values are 1 to 7 or SUN to SAT"),
    ("cron(0 2 ? * MONDAY *)", "'MONDAY' is no value, range or step"),
    ("cron(0 2 * * ? 1969)", "its values are 1970 to 2199"),
    ("cron(0 2 * * ? 2200)", "its values are 1970 to 2199"),
    ("cron(0 2 ? ? MON *)", "month '?' of the cron expression is not valid"),
    ("cron(? 2 * * ? *)", "minutes '?' of the cron expression is not valid"),
    ("cron(0, 2 * * ? *)", "'' is no value"),
    ("cron(-1 2 * * ? *)", "'-1' is no value"),
    ("cron(*-5 2 * * ? *)", "'*-5' is no value"),
    ("cron(٣ 2 * * ? *)", "is no value"),
    # ranges and steps
    ("cron(0 22-2 * * ? *)", "22-2 runs backwards: write it as a list, 22-23,0-2"),
    ("cron(0 2 ? * FRI-SUN *)", "FRI-SUN runs backwards: write it as a list, 6-7,1"),
    ("cron(0/0 2 * * ? *)", "a step is 1 to 59"),
    ("cron(0/60 2 * * ? *)", "a step is 1 to 59"),
    ("cron(0 0/24 * * ? *)", "a step is 1 to 23"),
    ("cron(0 2 ? * 2/2 *)", "it takes no steps: list the days"),
    # L, W and #
    ("cron(0 2 L-3 * ? *)", "L, LW and a day with W, such as 15W, stand alone"),
    ("cron(0 2 1,L * ? *)", "stand alone"),
    ("cron(0 2 1,15W * ? *)", "stand alone"),
    ("cron(0 2 32W * ? *)", "its values are 1 to 31"),
    ("cron(0 2 0W * ? *)", "its values are 1 to 31"),
    ("cron(L 2 * * ? *)", "'L' is no value"),
    ("cron(0 2 ? * 3#1,6#3 *)", "6L and 6#3 stand alone"),
    ("cron(0 2 ? * 2,6L *)", "6L and 6#3 stand alone"),
    ("cron(0 2 ? * 3#6 *)", "# is followed by 1 to 5"),
    ("cron(0 2 ? * 3#0 *)", "# is followed by 1 to 5"),
    ("cron(0 2 ? * 8#1 *)", "its values are 1 to 7"),
    ("cron(0 2 ? * 0L *)", "its values are 1 to 7"),
    # what never comes, and what is over
    ("cron(0 2 31 2 ? *)", "names a time that never comes in Europe/Paris"),
    ("cron(0 2 31 4,6,9,11 ? *)", "names a time that never comes"),
    ("cron(0 2 31W 2 ? *)", "names a time that never comes"),
    ("cron(0 2 29 2 ? 2026,2027)", "names a time that never comes"),
    ("cron(30 2 29 3 ? 2026)", "names a time that never comes in Europe/Paris"),
    ("cron(0 2 * * ? 2025)", "is over in Europe/Paris: write a time after 2026-01-01"),
    ("at(2025-12-31T23:59:59)", "is over in Europe/Paris"),
    # one-time
    ("at(2026-02-15)", "write at(yyyy-mm-ddThh:mm:ss)"),
    ("at(2026-02-15 10:00:00)", "write at(yyyy-mm-ddThh:mm:ss)"),
    ("at(2026-02-15T10:00)", "write at(yyyy-mm-ddThh:mm:ss)"),
    ("at(2026-02-15T10:00:00Z)", "leave out 'Z'"),
    ("at(2026-02-15T10:00:00+01:00)", "leave out '+01:00'"),
    ("at(2026-02-15T10:00:00.5)", "leave out '.5'"),
    ("at(2026-02-29T10:00:00)", "there is no such date"),
    ("at(2026-02-15T24:01:00)", "there is no such date or time of day"),
    ("at(2200-01-01T00:00:00)", "years are 1970 to 2199"),
    ("at(2026-03-29T02:30:00)", "does not exist in Europe/Paris, where the clock is set forward"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_an_expression_is_refused_with_what_is_wrong_and_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(text, "Europe/Paris", START)
    assert sentence in refused.value.message


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Paris",
        "Europe",
        "europe/paris",
        "Europe/Paris/",
        "+01:00",
        "localtime",
        "Factory",
        "posixrules",
        "zone.tab",
        "leapseconds",
        "UTC\0",
        "posix/Europe/Paris",
        "right/UTC",
        "/etc/localtime",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "UTC\n",
        "A" * 51,
    ],
)
def test_an_unknown_timezone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidRequest, match="write an IANA name such as Europe/Paris or UTC"):
        parse("rate(1 day)", zone, START)


def test_a_folder_of_zones_is_refused_where_the_database_is_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(name: str) -> ZoneInfo:
        raise IsADirectoryError(21, "Is a directory", f"tzdata/zoneinfo/{name}")

    monkeypatch.setattr(zones, "ZoneInfo", opened)
    with pytest.raises(InvalidRequest, match="timezone 'Europe' is not known"):
        zones.parse_zone("Europe")


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+12", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"])
def test_a_timezone_of_the_database_is_taken(zone: str) -> None:
    assert parse("rate(1 day)", zone, START).zone.key == zone


FIELD = st.text(st.sampled_from("0123456789,-*/?LW#MONSUJAFEB"), min_size=1, max_size=6)


@given(st.tuples(FIELD, FIELD, FIELD, FIELD, FIELD, FIELD | st.just("*")) | st.lists(st.text(max_size=5)))
def test_any_text_is_an_expression_or_is_refused(texts: tuple[str, ...] | list[str]) -> None:
    try:
        expression = parse(f"cron({' '.join(texts)})", "Europe/Paris", START)
    except InvalidRequest:
        return
    assert expression.next_slot(START) is not None or expression.previous_slot(START) == START
