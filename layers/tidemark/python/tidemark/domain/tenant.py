"""Tenants: whose data it is.

The name is a path segment of stored objects and a part of table keys, so its alphabet is narrow.
"""

import re
from typing import Final, NewType

from tidemark.errors import InvalidRequest

Tenant = NewType("Tenant", str)

DEFAULT_TENANT: Final = Tenant("default")
MAX_TENANT_CHARS: Final = 50
_NAME: Final = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_TENANT_CHARS}}}")


def parse_tenant(name: str | None) -> Tenant:
    """The tenant of a request: lower-cased; absent or empty means `default`.

    Raises InvalidRequest unless it is 1 to 50 of `a-z`, `0-9` and `_` (Orion's rule for service names).
    """
    if not name:
        return DEFAULT_TENANT
    # Before it is lowered: the Kelvin sign's small letter is an ASCII k.
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(f"tenant {name[:60]!r} is not valid: use 1 to 50 characters of a-z, 0-9 and underscore")
    return Tenant(name.lower())
