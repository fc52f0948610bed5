"""Legal holds: how far one has come, as a snapshot's record says it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class HoldStatus(StrEnum):
    """Where a legal hold is in its life. Only `PLACED` promises that every object is held."""

    PLACING = "placing"
    PLACED = "placed"
    LIFTING = "lifting"


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold of a snapshot. As long as the record has one, in whatever status, the snapshot stays.

    `locked`: the bucket has Object Lock, so the objects are held too; of these `done` are, in the order of their keys,
    or are no longer. Until `busy_until` a request may be at work on them.
    """

    status: HoldStatus
    locked: bool
    done: int = 0
    busy_until: datetime | None = None

    @property
    def placed(self) -> bool:
        """Whether it holds the snapshot and every object of it that can be held."""
        return self.status is HoldStatus.PLACED

    def busy(self, now: datetime) -> bool:
        """Whether a request may be at work on it."""
        return self.busy_until is not None and now < self.busy_until

    def turned(self, status: HoldStatus, until: datetime, *, locked: bool) -> "Hold":
        """The hold as a request takes it on that works until then. Work of the same kind goes on where it ended."""
        locked = locked or self.locked
        done = self.done if status is self.status and locked == self.locked else 0
        return Hold(status, locked, done, until)

    def left(self, done: int) -> "Hold":
        """The hold as a request leaves it that could do no more than so many objects."""
        return replace(self, done=done, busy_until=None)
