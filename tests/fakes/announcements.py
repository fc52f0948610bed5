"""The event bus in memory: it remembers what it was told."""

import threading
from collections.abc import Callable, Sequence

from tidemark.ports import Event, NotTaken


class MemoryAnnouncements:
    """`told` lists what was put on it, in order. `refuse` gives for an event the code for which it isn't taken,
    or nothing.
    """

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.refuse: Callable[[Event], str] = lambda _: ""
        self._lock = threading.Lock()

    def put(self, events: Sequence[Event]) -> list[NotTaken]:
        refused: list[NotTaken] = []
        with self._lock:
            for one in events:
                reason = self.refuse(one)
                if reason:
                    refused.append(NotTaken(one, reason))
                else:
                    self.told.append(one)
        return refused
