"""The port of the event bus, on which others are told what happened."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tidemark.domain.announcements import Announcement
from tidemark.errors import NotSupported


class NotTaken(NamedTuple):
    """An announcement that the bus did not take, and the code that it gave."""

    announcement: Announcement
    reason: str


class Announcements(Protocol):
    """The event bus. Whoever listens hears everything at least once, in no promised order."""

    def put(self, announcements: Sequence[Announcement]) -> list[NotTaken]:
        """Tell them all; those that the bus did not take, after some repeats, in the order given.

        Repeating it tells the same again, under the same ids.
        """
        ...


class Untold:
    """Stands for the event bus where there is none."""

    def put(self, announcements: Sequence[Announcement]) -> list[NotTaken]:
        """Raises NotSupported where there is anything to tell."""
        if announcements:
            raise NotSupported(f"{announcements[0].kind!r} can't be announced: no event bus is wired here")
        return []
