"""Hours, days, weeks, months and years of a time zone: which of them a moment is in."""

from datetime import datetime
from enum import StrEnum
from typing import assert_never
from zoneinfo import ZoneInfo


class Period(StrEnum):
    """A stretch of the calendar, from the shortest to the longest."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"

    def name_of(self, moment: datetime, zone: ZoneInfo) -> str:
        """The one that the moment is in, as clocks in the zone show it, named as ISO 8601 does: `2026-10-25T02+01:00`,
        `2026-10-25`, `2026-W43`, `2026-10`, `2026`.

        A day is what the calendar calls so: 23 or 25 hours where clocks change. An hour that clocks show twice is two,
        told apart by their offset. A week begins on Monday and belongs to the year that has its Thursday.
        """
        local = moment.astimezone(zone)
        match self:
            case Period.HOURLY:
                return local.isoformat(timespec="hours")
            case Period.DAILY:
                return local.date().isoformat()
            case Period.WEEKLY:
                year, week, _ = local.isocalendar()
                return f"{year:04}-W{week:02}"
            case Period.MONTHLY:
                return f"{local.year:04}-{local.month:02}"
            case Period.YEARLY:
                return f"{local.year:04}"
            case _:
                assert_never(self)

    def shorter_than(self, other: "Period") -> bool:
        """Whether several of it fit into one of the other."""
        order = list(Period)
        return order.index(self) < order.index(other)
