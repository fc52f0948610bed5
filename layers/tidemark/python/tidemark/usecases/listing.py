"""One page of a list."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from tidemark.domain.snapshot import Failure


class Listing[T](NamedTuple):
    """A page, how many there are in all, and which records could not be read."""

    items: list[T]
    total: int
    damage: tuple[Failure, ...] = ()


def page_of[T](found: Iterable[T], *, limit: int, offset: int) -> Listing[T]:
    """Items `offset` to `offset + limit` of what was found; the rest is only counted."""
    walk = iter(found)
    skipped = sum(1 for _ in islice(walk, offset))
    items = list(islice(walk, limit))
    return Listing(items, skipped + len(items) + sum(1 for _ in walk))
