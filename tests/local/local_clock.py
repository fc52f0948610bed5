"""The clock of a local stack: the machine's until it is moved, then the same one for all that runs in the stack.

It moves what `datetime.now`, `time.time` and the like say in this process, by time-machine, which changes these
functions themselves: boto3, moto, Powertools and the product see the moved clock and need not know. Worker processes
are told how far it is moved with each invocation (`worker_main.py`). Monotonic clocks are left alone, so timeouts,
pauses and kept connections notice nothing.

Source: time-machine's documentation, "Usage" (what is changed) and its changelog (3.0: no monotonic clocks).
"""

import datetime as dt
import threading
import time

import time_machine


class LocalClock:
    """Starts as the machine's clock, and moves forward only. One at a time in a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = dt.timedelta(0)
        self._travel = time_machine.travel(dt.timedelta(0))
        self._traveller = self._travel.start()
        time.time_ns()  # it begins to tick when it is first looked at, which should not be in two threads at once

    def now(self) -> dt.datetime:
        """What everything in the stack takes for the time."""
        return dt.datetime.now(dt.UTC)

    @property
    def offset(self) -> dt.timedelta:
        """How far it is ahead of the machine's clock."""
        return self._offset

    def machine_time_s(self) -> float:
        """The machine's own clock, which does not move, in seconds since 1970."""
        return time_machine.escape_hatch.time.time()

    def move_to(self, moment: dt.datetime) -> None:
        """Let it be that time.

        Raises:
            ValueError: that is past, or a time without a zone.
        """
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone: the clock is moved to a moment such as 2026-01-15T10:00:00Z")
        with self._lock:
            ahead = moment - self.now()
            if ahead < dt.timedelta(0):
                raise ValueError(f"the clock is at {self.now()} and does not go back to {moment}")
            self._shift(ahead)

    def move_by(self, ahead: dt.timedelta) -> None:
        """Let it be so much later.

        Raises:
            ValueError: that is earlier.
        """
        if ahead < dt.timedelta(0):
            raise ValueError(f"the clock does not go back, as it would by {ahead}")
        with self._lock:
            self._shift(ahead)

    def follow(self, offset: dt.timedelta) -> None:
        """Be as far ahead of the machine's clock as another process's clock is."""
        with self._lock:
            self._shift(offset - self._offset)

    def stop(self) -> None:
        """Give the machine's clock back to the process."""
        self._travel.stop()

    def _shift(self, ahead: dt.timedelta) -> None:
        # In one step, since other threads look at the clock meanwhile: its `move_to` takes several.
        self._traveller.shift(ahead)
        self._offset += ahead
