"""Moments and durations in the NGSIv2 vocabulary: ISO 8601, as the NGSIv2 specification asks for it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tidemark.dialects.ngsi.parameters import json_type
from tidemark.dialects.wire import Request
from tidemark.domain.snapshot import MAX_LIFETIME, MIN_LIFETIME
from tidemark.errors import InvalidRequest

INSTANT_PATTERN: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?"
)
DURATION_PATTERN: Final = (
    r"P(?=.)(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?(?:T(?=.)(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)
_INSTANT: Final = re.compile(INSTANT_PATTERN)
_DURATION: Final = re.compile(DURATION_PATTERN)
_UNITS_S: Final = (604_800, 86_400, 3_600, 60, 1)
# No moment of any zone in these years is out of what a computer's calendar holds.
_YEARS: Final = range(1970, 9999)


def parse_instant(text: str, name: str) -> datetime:
    """A moment such as `2026-01-15T10:00:00Z`, or a date, which means its first moment in UTC.

    `name` is what people call it. Raises InvalidRequest.
    """
    try:
        moment = datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or moment.year not in _YEARS:
        raise InvalidRequest(
            f"{name} must be a moment such as 2026-01-15T10:00:00Z, with Z or an offset (in a URL, + is written %2B), "
            f"or a date; it is {text[:40]!r}"
        )
    return moment.replace(tzinfo=UTC) if "T" not in text else moment.astimezone(UTC)


def moment(request: Request, name: str) -> datetime | None:
    """A query parameter that is a moment; None where it is left out. Raises InvalidRequest."""
    return parse_instant(request.query[name], f"the parameter {name}") if name in request.query else None


def parse_lifetime(value: Any, name: str) -> timedelta:  # noqa: ANN401 - whatever the JSON holds
    """A duration such as `P30D` or `PT12H`, in weeks, days, hours, minutes and seconds; a minute to 3650 days.

    Raises InvalidRequest, also for years and months, which have no fixed length.
    """
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string such as 'P30D'; it is {json_type(value)}")
    match = _DURATION.fullmatch(value)
    if match is None:
        raise InvalidRequest(
            f"{name} must be an ISO 8601 duration in whole weeks, days, hours, minutes and seconds, such as P30D or "
            f"PT12H (a month or a year has no fixed length); it is {value[:40]!r}"
        )
    lasts_s = sum(int(count) * unit_s for count, unit_s in zip(match.groups(default="0"), _UNITS_S, strict=True))
    if not MIN_LIFETIME.total_seconds() <= lasts_s <= MAX_LIFETIME.total_seconds():
        raise InvalidRequest(f"{name} must be a minute at least and 3650 days at most; it is {value[:40]!r}")
    return timedelta(seconds=lasts_s)
