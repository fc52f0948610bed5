"""Answers that give out addresses: for how long these are good, and which page of them an answer has."""

import re
from typing import Final

from tidemark.dialects.wire import Request
from tidemark.errors import InvalidRequest

DEFAULT_EXPIRY_S: Final = 3600
# An address ends with the credentials that signed it, which Lambda renews in good time for this, not for much more.
MAX_EXPIRY_S: Final = 6 * 3600
MIN_EXPIRY_S: Final = 60
# With an address each, this many stay well below what one answer can hold.
MAX_PARTS: Final = 1000
MAX_OFFSET: Final = 999_999_999
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


def number(request: Request, name: str, default: int, *, smallest: int, largest: int) -> int:
    """A query parameter that is a whole number. Raises InvalidRequest."""
    text = request.query.get(name, str(default))
    if _NUMBER.fullmatch(text) is None or not smallest <= int(text) <= largest:
        raise InvalidRequest(
            f"the parameter {name} must be a whole number, {smallest} to {largest}; it is {text[:40]!r}"
        )
    return int(text)


def expiry_s(request: Request) -> int:
    """For how long addresses shall be good: the query parameter `expiresIn`, in seconds. Raises InvalidRequest."""
    return number(request, "expiresIn", DEFAULT_EXPIRY_S, smallest=MIN_EXPIRY_S, largest=MAX_EXPIRY_S)


def page(request: Request) -> range:
    """Which parts to answer: `limit` of them after the first `offset`. Raises InvalidRequest."""
    limit = number(request, "limit", MAX_PARTS, smallest=1, largest=MAX_PARTS)
    offset = number(request, "offset", 0, smallest=0, largest=MAX_OFFSET)
    return range(offset, offset + limit)
