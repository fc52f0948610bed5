"""EventBridge Scheduler in memory: it remembers what it was told and delivers nothing by itself."""

import threading
from collections.abc import Callable
from datetime import datetime

from tidemark.domain.schedule import Schedule, ScheduleId


class MemorySchedules:
    """`held` is what it has. `before` is called with the id at the beginning of each call: it may raise, which then has
    changed nothing, or do what somebody else does in the meantime.
    """

    def __init__(self) -> None:
        self.held: dict[ScheduleId, Schedule] = {}
        self.before: Callable[[ScheduleId], None] = lambda _: None
        self._lock = threading.Lock()

    def put(self, schedule: Schedule, *, now: datetime) -> None:
        self.before(schedule.id)
        schedule.start_from(now)
        with self._lock:
            self.held[schedule.id] = schedule

    def remove(self, schedule_id: ScheduleId) -> None:
        self.before(schedule_id)
        with self._lock:
            self.held.pop(schedule_id, None)
