"""Cron expressions as EventBridge Scheduler reads them, and the local times that they mean.

Six fields: minutes, hours, day-of-month, month, day-of-week, year. Source: the user guide of EventBridge Scheduler,
"Schedule types". Where it is silent, what Quartz does is taken if the service is known to take it, too (`LW`, names in
any case, steps through a range), and refused otherwise (ranges that run backwards, `L-3`, lists with `L`, `W` or `#`):
an expression that is read in another way than the service reads it would make snapshots look missed.

Times are naive here: they are local times of a zone that this module does not know.
"""

import calendar
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Final, Protocol

from tidemark.errors import InvalidRequest

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SATURDAY, _SUNDAY = 5, 6
_MOST_OF_A_WEEKDAY: Final = 5
# Patterns of days come again after the leap years of this long.
_YEARS_OF_A_PATTERN: Final = 9


@dataclass(frozen=True, slots=True)
class _Field:
    """What one field may say. `most_step` is 0 where steps are not taken."""

    name: str
    low: int
    high: int
    most_step: int
    names: Mapping[str, int] = field(default_factory=dict)


_MINUTE: Final = _Field("minutes", 0, 59, 59)
_HOUR: Final = _Field("hours", 0, 23, 23)
_DAY: Final = _Field("day-of-month", 1, 31, 31)
_MONTH: Final = _Field("month", 1, 12, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
_WEEKDAY: Final = _Field("day-of-week", 1, 7, 0, {name: number for number, name in enumerate(_WEEKDAYS, 1)})
_YEAR: Final = _Field("year", FIRST_YEAR, LAST_YEAR, LAST_YEAR - FIRST_YEAR)
_FIELDS: Final = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _YEAR)
_ITEM: Final = re.compile(
    r"(?P<first>\*|[0-9]{1,4}|[A-Z]{3})(?:-(?P<last>[0-9]{1,4}|[A-Z]{3}))?(?:/(?P<step>[0-9]{1,4}))?"
)


class _Days(Protocol):
    """The days of a month that an expression means, in order."""

    def of(self, year: int, month: int) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class _Listed:
    days: frozenset[int]

    def of(self, year: int, month: int) -> list[int]:
        return sorted(day for day in self.days if day <= _length(year, month))


@dataclass(frozen=True, slots=True)
class _Last:
    """The last day, or the last that is a weekday."""

    weekday: bool

    def of(self, year: int, month: int) -> list[int]:
        last = _length(year, month)
        return [last - max(0, calendar.weekday(year, month, last) - _SATURDAY + 1) if self.weekday else last]


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The weekday nearest to a day, in the same month. A month that does not have the day has none."""

    day: int

    def of(self, year: int, month: int) -> list[int]:
        last = _length(year, month)
        if self.day > last:
            return []
        match calendar.weekday(year, month, self.day):
            case 5:
                return [self.day - 1 if self.day > 1 else self.day + 2]
            case 6:
                return [self.day + 1 if self.day < last else self.day - 2]
            case _:
                return [self.day]


@dataclass(frozen=True, slots=True)
class _OnWeekdays:
    """Weekdays as `calendar` counts them: Monday is 0. `nth` is which of them in a month, 0: all, -1: the last."""

    weekdays: frozenset[int]
    nth: int = 0

    def of(self, year: int, month: int) -> list[int]:
        first = calendar.weekday(year, month, 1)
        days = [day for day in range(1, _length(year, month) + 1) if (first + day - 1) % 7 in self.weekdays]
        if not self.nth:
            return days
        return days[-1:] if self.nth < 0 else days[self.nth - 1 : self.nth]


@dataclass(frozen=True, slots=True)
class Cron:
    """What a cron expression means. `text` is the expression as it is to be given to EventBridge Scheduler."""

    text: str
    times: tuple[time, ...]
    days: _Days
    months: tuple[int, ...]
    years: tuple[int, ...]

    def local_times(self, since: datetime) -> Iterator[datetime]:
        """The times from `since` on, in order. There may be none, and there are none after the last year."""
        for day in self._dates(since.date()):
            for moment in self.times:
                at = datetime.combine(day, moment)
                if at >= since:
                    yield at

    def local_times_back(self, until: date) -> Iterator[datetime]:
        """The times of that day and those before it, latest first."""
        for day in self._dates_back(until):
            for moment in reversed(self.times):
                yield datetime.combine(day, moment)

    def shortest_gap(self, since: datetime) -> timedelta | None:
        """How close two times can be, by the clock on the wall; None where there is one time only.

        What counts is the times of a day, if there are several, and else the days.
        """
        if len(self.times) > 1:
            return min(_after_midnight(later) - _after_midnight(earlier) for earlier, later in pairwise(self.times))
        gaps: list[timedelta] = []
        first: date | None = None
        for one, another in pairwise(self._dates(since.date())):
            first = first or one
            gaps.append(another - one)
            if another - one == timedelta(days=1) or another.year > first.year + _YEARS_OF_A_PATTERN:
                break
        return min(gaps, default=None)

    def _dates(self, since: date) -> Iterator[date]:
        for year in self.years[bisect_left(self.years, since.year) :]:
            for month in self.months:
                if (year, month) >= (since.year, since.month):
                    for day in self.days.of(year, month):
                        if (found := date(year, month, day)) >= since:
                            yield found

    def _dates_back(self, until: date) -> Iterator[date]:
        for year in reversed(self.years[: bisect_right(self.years, until.year)]):
            for month in reversed(self.months):
                if (year, month) <= (until.year, until.month):
                    for day in reversed(self.days.of(year, month)):
                        if (found := date(year, month, day)) <= until:
                            yield found


def parse_cron(body: str) -> Cron:
    """What the text between the parentheses of `cron(...)` means.

    Raises InvalidRequest, naming the field, where it is not one of EventBridge Scheduler's.
    """
    texts = body.upper().split()
    if len(texts) != len(_FIELDS):
        raise InvalidRequest(
            f"cron({body[:100]}) has {len(texts)} fields, and needs six: minutes, hours, day-of-month, month, "
            "day-of-week and year, as in cron(0 2 * * ? *)"
        )
    minutes, hours, days, months, weekdays, years = texts
    if (days == "?") == (weekdays == "?"):
        raise InvalidRequest(
            f"cron({body[:100]}) says {days} as its day-of-month and {weekdays} as its day-of-week: write the days in "
            "one of the two fields, and ? in the other"
        )
    of_an_hour, of_a_day = _values(_MINUTE, minutes), _values(_HOUR, hours)
    return Cron(
        text=f"cron({' '.join(texts)})",
        times=tuple(time(hour, minute) for hour in of_a_day for minute in of_an_hour),
        days=_days_of_week(weekdays) if days == "?" else _days_of_month(days),
        months=_values(_MONTH, months),
        years=_values(_YEAR, years),
    )


def _days_of_month(text: str) -> _Days:
    if text in {"L", "LW"}:
        return _Last(weekday=text == "LW")
    if re.fullmatch(r"[0-9]{1,2}W", text):
        return _Nearest(_number(_DAY, text[:-1], text))
    if "L" in text or "W" in text:
        raise _refused(_DAY, text, "L, LW and a day with W, such as 15W, stand alone: not in a list, a range or a step")
    return _Listed(frozenset(_values(_DAY, text)))


def _days_of_week(text: str) -> _Days:
    if text == "L":
        return _OnWeekdays(frozenset({_SATURDAY}))
    if match := re.fullmatch(r"([0-9]|[A-Z]{3})(?:L|#([0-9]))", text):
        nth = int(match[2]) if match[2] else -1
        if not nth or nth > _MOST_OF_A_WEEKDAY:
            raise _refused(_WEEKDAY, text, "a month has a weekday one to five times, so # is followed by 1 to 5")
        return _OnWeekdays(frozenset({_python_weekday(_number(_WEEKDAY, match[1], text))}), nth)
    if "#" in text or re.search(r"[0-9]L|[A-Z]{3}L|\bL\b", text):
        raise _refused(_WEEKDAY, text, "6L and 6#3 stand alone: not in a list or range")
    return _OnWeekdays(frozenset(map(_python_weekday, _values(_WEEKDAY, text))))


def _values(spec: _Field, text: str) -> tuple[int, ...]:
    return tuple(sorted({value for item in text.split(",") for value in _item(spec, item, text)}))


def _item(spec: _Field, item: str, text: str) -> range:
    match = _ITEM.fullmatch(item)
    if match is None or (match["first"] == "*" and match["last"]):
        raise _refused(spec, text, f"{item!r} is no value, range or step of it; {_allowed(spec)}")
    step = _step(spec, match["step"], text)
    if match["first"] == "*":
        return range(spec.low, spec.high + 1, step)
    first = _number(spec, match["first"], text)
    if match["last"] is None:
        return range(first, spec.high + 1 if match["step"] else first + 1, step)
    last = _number(spec, match["last"], text)
    if last < first:
        raise _refused(
            spec, text, f"{item} runs backwards: write it as a list, {_span(first, spec.high)},{_span(spec.low, last)}"
        )
    return range(first, last + 1, step)


def _number(spec: _Field, value: str, text: str) -> int:
    number = spec.names.get(value, int(value) if value.isdecimal() else -1)
    if not spec.low <= number <= spec.high:
        raise _refused(spec, text, _allowed(spec))
    return number


def _step(spec: _Field, value: str | None, text: str) -> int:
    if value is None:
        return 1
    if not spec.most_step:
        raise _refused(spec, text, "it takes no steps: list the days, as in MON,WED,FRI")
    if not 1 <= int(value) <= spec.most_step:
        raise _refused(spec, text, f"a step is 1 to {spec.most_step}")
    return int(value)


def _refused(spec: _Field, text: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{spec.name} {text[:60]!r} of the cron expression is not valid: {why}")


def _allowed(spec: _Field) -> str:
    names = [*spec.names]
    return f"its values are {spec.low} to {spec.high}" + (f" or {names[0]} to {names[-1]}" if names else "")


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _python_weekday(number: int) -> int:
    return (number + 5) % 7


def _length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _after_midnight(moment: time) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute)
