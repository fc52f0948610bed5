"""The port of EventBridge Scheduler, which delivers the slots of schedules."""

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from tidemark.errors import NotSupported

if TYPE_CHECKING:
    # `Unwired` is in every function, schedules in few.
    from tidemark.domain.schedule import Schedule, ScheduleId


class Schedules(Protocol):
    """What EventBridge Scheduler has of the schedules. It may deliver a slot late, twice and out of order."""

    def put(self, schedule: "Schedule", *, now: datetime) -> None:
        """Let the slots from `now` on be delivered as the record says, whatever was said before. Repeating it changes
        nothing.

        Raises ScheduleQuotaReached, and SchedulingRefused where the stack itself lacks something.
        """
        ...

    def remove(self, schedule_id: "ScheduleId") -> None:
        """Let no slot be delivered any more. Repeating it changes nothing. Raises SchedulingRefused."""
        ...


class Unwired:
    """Stands for EventBridge Scheduler where there is none."""

    def put(self, schedule: "Schedule", *, now: datetime) -> None:
        """Raises NotSupported."""
        raise NotSupported(
            f"schedule {schedule.id} can't be delivered from {now.isoformat()} on: nothing is wired here"
        )

    def remove(self, schedule_id: "ScheduleId") -> None:
        """Raises NotSupported."""
        raise NotSupported(f"schedule {schedule_id} can't be removed: nothing is wired here")
