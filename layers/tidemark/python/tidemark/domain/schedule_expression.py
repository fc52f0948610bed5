"""Schedule expressions, and the slots that they mean: `rate(...)`, `cron(...)` and `at(...)` of EventBridge Scheduler.

A slot is a moment at which a schedule is to run; it has no clock of its own and reads none. Source: the user guide of
EventBridge Scheduler, "Schedule types". What it says, and what follows:

- A cron expression is read in the zone's local time. A local time that does not exist, since the clock is set forward,
  is skipped. One that comes twice, since the clock is set back, runs once: the first time.
- A rate is a fixed duration, days being 24 hours, and counts from its start: the first slot is the start itself.
- A one-time expression names a local time that exists. The guide is silent on times that do not, so they are refused.

Slots are what this says is due: the next run, and what was missed. Whatever moment EventBridge Scheduler delivers is
taken for a slot, though the two should never differ.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tidemark.domain.cron import FIRST_YEAR, LAST_YEAR, Cron, parse_cron
from tidemark.domain.zones import parse_zone
from tidemark.errors import InvalidRequest

# What EventBridge Scheduler takes.
MAX_EXPRESSION_CHARS: Final = 256
_KIND: Final = re.compile(r"(rate|cron|at)\((.*)\)", re.DOTALL)
_RATE: Final = re.compile(r"\s*([0-9]{1,6})\s+(minute|hour|day)s?\s*")
_AT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(.*)", re.DOTALL)
_EPOCH: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
# Nothing is due from here on. A day more than the years have, for zones that are behind UTC.
_END: Final = datetime(LAST_YEAR + 1, 1, 2, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """A slot every so often."""

    text: str
    every: timedelta


@dataclass(frozen=True, slots=True)
class Once:
    """One slot, in local time."""

    text: str
    local_at: datetime


@dataclass(frozen=True, slots=True)
class Expression:
    """When a schedule is due: a rule, read in a zone, from a start on.

    No slot is before `starts_at`, and a rate counts from it. All moments taken and given are aware; slots are in UTC.
    """

    rule: Rate | Cron | Once
    zone: ZoneInfo
    starts_at: datetime

    @property
    def text(self) -> str:
        """The expression as EventBridge Scheduler takes it, with what it leaves open (case, spaces) settled."""
        return self.rule.text

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots after one moment (exclusive) until another (inclusive), in order."""
        for slot in self._after(after):
            if slot > until:
                return
            yield slot

    def between(self, earlier: datetime, later: datetime) -> Iterator[datetime]:
        """The slots between two, neither of which is among them: what was missed if those two were delivered."""
        return self.slots(earlier, later - datetime.resolution)

    def next_slot(self, after: datetime) -> datetime | None:
        """The first slot after that moment; None where none will ever come."""
        return next(self._after(after), None)

    def previous_slot(self, at_or_before: datetime) -> datetime | None:
        """The last slot at or before that moment; None where there was none."""
        return next((slot for slot in self._before(at_or_before) if slot <= at_or_before), None)

    def shortest_gap(self) -> timedelta | None:
        """How close two slots can be, by the clock on the wall: DST makes no day shorter. None: there is only one."""
        match self.rule:
            case Rate(every=every):
                return every
            case Cron() as cron:
                return cron.shortest_gap(self._local(self.starts_at))
            case Once():
                return None

    def _after(self, after: datetime) -> Iterator[datetime]:
        since = max(after, self.starts_at - datetime.resolution)
        match self.rule:
            case Rate(every=every):
                count = (since - self.starts_at) // every + 1
                while (gone := count * every) < _END - self.starts_at:
                    yield self.starts_at + gone
                    count += 1
            case Cron() as cron:
                # Times that come twice are skipped by the comparison: the first is over when the second comes.
                for local_at in cron.local_times(_minute_of(self._local(since))):
                    slot = _instant(local_at, self.zone)
                    if slot is not None and slot > since:
                        yield slot
            case Once(local_at=local_at):
                slot = _instant(local_at, self.zone)
                if slot is not None and slot > since:
                    yield slot

    def _before(self, until: datetime) -> Iterator[datetime]:
        """The slots until then and some after it, latest first."""
        match self.rule:
            case Rate(every=every):
                for count in range(min(until - self.starts_at, _END - self.starts_at) // every, -1, -1):
                    yield self.starts_at + count * every
            case Cron() as cron:
                # The clock may just have been set back past midnight: then slots of the next day are over.
                for local_at in cron.local_times_back(self._local(until).date() + _DAY):
                    slot = _instant(local_at, self.zone)
                    if slot is not None:
                        if slot < self.starts_at:
                            return
                        yield slot
            case Once():
                yield from self._after(self.starts_at - datetime.resolution)

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)


def parse(expression: str, timezone: str, starts_at: datetime) -> Expression:
    """What an expression means in a zone, for a schedule that begins then.

    Raises InvalidRequest, saying what is wrong and what to write, where EventBridge Scheduler would not take the
    expression, and where it has no slot from `starts_at` on: it names a day that never comes, or is over.
    """
    zone = parse_zone(timezone)
    parsed = Expression(_rule(expression.strip(), zone), zone, starts_at)
    if parsed.next_slot(starts_at - datetime.resolution) is None:
        ever = Expression(parsed.rule, zone, _EPOCH).next_slot(_EPOCH - datetime.resolution)
        if ever is None:
            raise InvalidRequest(
                f"{parsed.text} names a time that never comes in {timezone}: look at its days and months"
            )
        raise InvalidRequest(f"{parsed.text} is over in {timezone}: write a time after {starts_at.isoformat()}")
    return parsed


def whole_minute(moment: datetime) -> datetime:
    """The first whole minute that is not before the moment, in UTC. Starts lie on such, and so do slots of rates."""
    floor = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return floor if floor == moment else floor + _MINUTE


def _rule(expression: str, zone: ZoneInfo) -> Rate | Cron | Once:
    match = _KIND.fullmatch(expression)
    if match is None or len(expression) > MAX_EXPRESSION_CHARS:
        raise InvalidRequest(
            f"schedule expression {expression[:100]!r} is not valid: write rate(1 hour), cron(0 2 * * ? *) or "
            f"at(2026-01-15T10:00:00), in {MAX_EXPRESSION_CHARS} characters at most"
        )
    if match[1] == "cron":
        return parse_cron(match[2])
    return _rate(match[2]) if match[1] == "rate" else _once(match[2], zone)


def _rate(body: str) -> Rate:
    match = _RATE.fullmatch(body)
    if match is not None and int(match[1]):
        count, unit = int(match[1]), match[2]
        return Rate(f"rate({count} {unit}{'' if count == 1 else 's'})", count * timedelta(**{f"{unit}s": 1}))
    why = "write a whole number from 1 to 999999 and minutes, hours or days, as in rate(12 hours)"
    if re.search(r"second", body, re.IGNORECASE):
        why = "the shortest is rate(1 minute)"
    elif re.match(r"\s*[0-9]*[.,][0-9]", body):
        why = "fractions are not taken: write it in a smaller unit, as in rate(90 minutes)"
    elif re.search(r"week|month|year", body, re.IGNORECASE):
        why = "its units are minutes, hours and days: write rate(7 days), or cron(0 2 1 * ? *) for the first of a month"
    raise InvalidRequest(f"rate({body[:60]}) is not valid: {why}")


def _once(body: str, zone: ZoneInfo) -> Once:
    match = _AT.fullmatch(body.strip())
    text = f"at({body.strip()[:60]})"
    if match is None:
        raise InvalidRequest(f"{text} is not valid: write at(yyyy-mm-ddThh:mm:ss), as in at(2026-01-15T10:00:00)")
    if match[2]:
        raise InvalidRequest(
            f"{text} is not valid: leave out {match[2][:20]!r}. It is read in the schedule's timezone, in whole seconds"
        )
    try:
        local_at = datetime.fromisoformat(match[1])
    except ValueError:
        raise InvalidRequest(f"{text} is not valid: there is no such date or time of day") from None
    if not FIRST_YEAR <= local_at.year <= LAST_YEAR:
        raise InvalidRequest(f"{text} is not valid: years are {FIRST_YEAR} to {LAST_YEAR}")
    if _instant(local_at, zone) is None:
        raise InvalidRequest(f"{text} does not exist in {zone.key}, where the clock is set forward: write another time")
    return Once(text, local_at)


def _instant(local_at: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment of a local time, the first of two; None for one that the zone's clock leaves out."""
    moment = local_at.replace(tzinfo=zone).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None) == local_at else None


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
