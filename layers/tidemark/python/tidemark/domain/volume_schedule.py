"""When a volume's schedule is due: at a minute of every hour, or a time of every day, week or month.

Source: Apache CloudStack, `createSnapshotPolicy`, whose intervals and days these are: 1 to 7 from Sunday on, and 1 to
28 of a month, which every month has. EventBridge Scheduler counts the days of a week alike.
"""

import re
from typing import Final, NamedTuple

from tidemark.domain.interval import IntervalType
from tidemark.errors import InvalidRequest

_CRON: Final = re.compile(r"cron\((\d{1,2}) (\*|\d{1,2}) (\*|\?|\d{1,2}) \* (\?|\d) \*\)")
_LAST_DAYS: Final = {IntervalType.WEEKLY: 7, IntervalType.MONTHLY: 28}
_LAST_MINUTE: Final = 59
_LAST_HOUR: Final = 23


class Timing(NamedTuple):
    """The moments of a schedule. `hour` is None where it is due every hour, `day` unless it is weekly or monthly."""

    interval: IntervalType
    minute: int
    hour: int | None = None
    day: int | None = None

    def expression(self) -> str:
        """The expression for EventBridge Scheduler. Raises InvalidRequest where there are no such moments."""
        self._check()
        match self.interval:
            case IntervalType.HOURLY:
                return f"cron({self.minute} * * * ? *)"
            case IntervalType.DAILY:
                return f"cron({self.minute} {self.hour} * * ? *)"
            case IntervalType.WEEKLY:
                return f"cron({self.minute} {self.hour} ? * {self.day} *)"
            case _:
                return f"cron({self.minute} {self.hour} {self.day} * ? *)"

    def _check(self) -> None:
        if self.interval is IntervalType.MANUAL:
            raise InvalidRequest("a schedule of a volume is hourly, daily, weekly or monthly")
        hourly = self.interval is IntervalType.HOURLY
        if not 0 <= self.minute <= _LAST_MINUTE or (self.hour is None) != hourly:
            raise InvalidRequest(f"a minute is 0 to {_LAST_MINUTE}, and an hourly schedule alone has no hour")
        if self.hour is not None and not 0 <= self.hour <= _LAST_HOUR:
            raise InvalidRequest(f"an hour is 0 to {_LAST_HOUR}; it is {self.hour}")
        last = _LAST_DAYS.get(self.interval)
        if last is None and self.day is not None:
            raise InvalidRequest(f"a schedule that is {self.interval} has no day; weekly and monthly ones have")
        if last is not None and (self.day is None or not 1 <= self.day <= last):
            of = "week, from Sunday on" if self.interval is IntervalType.WEEKLY else "month"
            raise InvalidRequest(f"a {self.interval} schedule has a day of the {of}: 1 to {last}; it is {self.day}")


def timing_of(expression: str, interval: IntervalType) -> Timing | None:
    """What an expression of such a schedule says; None for one that is of none."""
    match = _CRON.fullmatch(expression)
    if match is None:
        return None
    minute, hour, month_day, week_day = match.groups()
    day = week_day if interval is IntervalType.WEEKLY else month_day
    return Timing(
        interval,
        int(minute),
        int(hour) if hour.isdigit() else None,
        int(day) if day.isdigit() else None,
    )
