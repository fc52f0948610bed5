"""Interval types: how often the snapshots are taken that a snapshot is one of."""

from datetime import timedelta
from enum import StrEnum


class IntervalType(StrEnum):
    """What a snapshot says of the schedule that made it. One that was asked for once is `MANUAL`."""

    MANUAL = "manual"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def interval_of(gap: timedelta | None) -> IntervalType:
    """The type whose snapshots lie `gap` apart at the least; None: there is only one.

    It is the longest that is not longer than the gap, so that no more snapshots are made than the type promises to an
    hour, day, week or month: every twelve hours is hourly, every three days daily, every year monthly. More often than
    hourly is hourly, too. A month is 28 days, which is the least that one can have.
    """
    if gap is None:
        return IntervalType.MANUAL
    if gap >= timedelta(days=28):
        return IntervalType.MONTHLY
    if gap >= timedelta(days=7):
        return IntervalType.WEEKLY
    return IntervalType.DAILY if gap >= timedelta(days=1) else IntervalType.HOURLY
