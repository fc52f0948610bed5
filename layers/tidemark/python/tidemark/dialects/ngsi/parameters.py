"""What several NGSIv2 routes ask for in the same way: pages of a list, and the members of a body."""

import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from tidemark.dialects.wire import Request
from tidemark.errors import InvalidRequest, NotSupported

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
# Far above any list, and far below what a number of 64 bits holds.
MAX_OFFSET: Final = 1_000_000_000
COUNT_HEADER: Final = "Fiware-Total-Count"
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,10}")


class PageWanted(NamedTuple):
    """A part of a list: at most `limit` items after the first `offset`. `counted` asks for the total as a header."""

    limit: int
    offset: int
    counted: bool

    def headers(self, total: int) -> dict[str, str]:
        """The headers of a list that has `total` items in all."""
        return {COUNT_HEADER: str(total)} if self.counted else {}


def page_wanted(request: Request) -> PageWanted:
    """The query parameters `limit` (1 to 1000, 20 by default), `offset` (0 by default), `options=count`.

    As in Orion, a limit of 0 asks for the count alone, and is refused without it. Raises InvalidRequest.
    """
    counted = "count" in request.options()
    return PageWanted(
        limit=_whole_number(request, "limit", DEFAULT_LIMIT, smallest=0 if counted else 1, largest=MAX_LIMIT),
        offset=_whole_number(request, "offset", 0, smallest=0, largest=MAX_OFFSET),
        counted=counted,
    )


def members(document: object, known: Collection[str], later: Collection[str] = ()) -> dict[str, Any]:
    """The members of a JSON object that may have those of `known` and no others.

    Raises NotSupported for one of `later`, InvalidRequest for any other and for what is not an object.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(f"the body must be a JSON object, such as {{}}; it is {json_type(document)}")
    for name in document:
        if name in later:
            raise NotSupported(f"the member {name!r} is not supported by this version; leave it out")
        if name not in known:
            taken = f"known are: {', '.join(sorted(known))}" if known else "this request takes none"
            raise InvalidRequest(f"the member {name[:100]!r} is unknown; {taken}")
    return document


def json_type(value: object) -> str:
    """How people call the type of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def _whole_number(request: Request, name: str, default: int, *, smallest: int, largest: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if _WHOLE_NUMBER.fullmatch(text) is None or not smallest <= int(text) <= largest:
        raise InvalidRequest(
            f"bad pagination {name}: {text[:40]!r}; it must be a whole number, {smallest} to {largest}"
        )
    return int(text)
