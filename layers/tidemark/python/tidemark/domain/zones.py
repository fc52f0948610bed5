"""Time zones by their IANA names, in which schedules say their local times.

The database is the system's or, where that has none, the one of the package `tzdata`: `zoneinfo` looks in this order.
"""

import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidemark.errors import InvalidRequest

UTC_NAME: Final = "UTC"
# What EventBridge Scheduler takes.
MAX_NAME_CHARS: Final = 50
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
# Files that lie beside the zones and are none: what this machine is set to, and copies that count leap seconds.
_NO_ZONES: Final = frozenset({"localtime", "posix", "posixrules", "right", "Factory"})


def parse_zone(name: str) -> ZoneInfo:
    """The zone of that name.

    Raises InvalidRequest where the database has none: names are case-sensitive.
    """
    refusal = InvalidRequest(f"timezone {name[:60]!r} is not known: write an IANA name such as Europe/Paris or UTC")
    if len(name) > MAX_NAME_CHARS or _NAME.fullmatch(name) is None or name.partition("/")[0] in _NO_ZONES:
        raise refusal
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # ValueError: a file that is no zone; OSError: a folder of zones, such as Europe.
        raise refusal from None
