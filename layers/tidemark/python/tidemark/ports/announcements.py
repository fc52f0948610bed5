"""The port of the event bus, on which others are told what happened."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from tidemark.errors import NotSupported

# Whose events they are: what rules of listeners look at.
SOURCE: Final = "tidemark"


class Event(NamedTuple):
    """An announcement as the bus carries it. `detail` is a JSON object of less than 200 KB."""

    id: str
    kind: str
    at: datetime
    detail: str


class NotTaken(NamedTuple):
    """An event that the bus did not take, and the code that it gave."""

    event: Event
    reason: str


class Announcements(Protocol):
    """The event bus. Whoever listens hears everything at least once, in no promised order."""

    def put(self, events: Sequence[Event]) -> list[NotTaken]:
        """Tell them all; those that the bus did not take, after some repeats, in the order given.

        Repeating it tells the same again, under the same ids.
        """
        ...


class Untold:
    """Stands for the event bus where there is none."""

    def put(self, events: Sequence[Event]) -> list[NotTaken]:
        """Raises NotSupported where there is anything to tell."""
        if events:
            raise NotSupported(f"{events[0].kind!r} can't be announced: no event bus is wired here")
        return []
