"""Requests that their callers can tell apart: the same one may be sent again, and must not be obeyed twice."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

# For so long the answer to a request is kept, and a repeat of it looked for.
KEPT_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under a key that its caller chose.

    `key` is the SHA-256 of the tenant it was asked for, the route and the caller's key, `content` that of what was
    asked. What was made may be another tenant's, where several may have asked for it.
    """

    key: str
    content: str
