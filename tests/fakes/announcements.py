"""The event bus in memory: it remembers what it was told."""

import threading
from collections.abc import Callable, Sequence

from tidemark.domain.announcements import Announcement
from tidemark.ports import NotTaken


class MemoryAnnouncements:
    """`told` lists what was put on it, in order. `refuse` gives for an announcement the code for which it isn't taken,
    or nothing.
    """

    def __init__(self) -> None:
        self.told: list[Announcement] = []
        self.refuse: Callable[[Announcement], str] = lambda _: ""
        self._lock = threading.Lock()

    def put(self, announcements: Sequence[Announcement]) -> list[NotTaken]:
        refused: list[NotTaken] = []
        with self._lock:
            for one in announcements:
                reason = self.refuse(one)
                if reason:
                    refused.append(NotTaken(one, reason))
                else:
                    self.told.append(one)
        return refused
