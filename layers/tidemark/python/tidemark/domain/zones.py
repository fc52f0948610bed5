"""Time zones by their IANA names, in which schedules say their local times.

The database is the system's or, where that has none, the one of the package `tzdata`: `zoneinfo` looks in this order.
"""

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidemark.errors import InvalidRequest

UTC_NAME: Final = "UTC"
# What lies beside the zones and is none: what the machine is set to, and copies, some of which count leap seconds.
_NO_ZONES: Final = frozenset({"localtime", "posix", "posixrules", "right", "Factory"})


def parse_zone(name: str) -> ZoneInfo:
    """The zone of that name.

    Raises InvalidRequest where the database has none: names are case-sensitive.
    """
    refusal = InvalidRequest(f"timezone {name[:60]!r} is not known: write an IANA name such as Europe/Paris or UTC")
    if name.partition("/")[0] in _NO_ZONES:
        raise refusal
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # ValueError: no name of a zone, or a file that holds none. OSError: `tzdata` has a folder of that name.
        raise refusal from None
