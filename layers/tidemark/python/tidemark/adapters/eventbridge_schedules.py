"""Schedules of EventBridge Scheduler, in a group of the stack's own: each starts the backup state machine.

The state machine is started without a name of its execution: a name can't hold the scheduled time as EventBridge
Scheduler writes it. So each delivery is an execution, and the catalog decides which of them makes the snapshot.

Errors: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html and API_UpdateSchedule.html
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import code_of, named
from tidemark.domain.environment import environment_of
from tidemark.domain.schedule import SCHEDULED_TIME, Schedule, ScheduleId
from tidemark.errors import ScheduleQuotaReached, SchedulingRefused, TidemarkError, WriteConflict

if TYPE_CHECKING:
    from mypy_boto3_scheduler.client import EventBridgeSchedulerClient

# The longest that EventBridge Scheduler tries: a backup that is late is better than none, and one that a later slot has
# overtaken is not made.
_RETRY_AGE_S: Final = 86_400
_RETRY_ATTEMPTS: Final = 185
_EXISTS: Final = "ConflictException"
_ABSENT: Final = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the stack has for deliveries: the group that its schedules are in, what they start, by which role, and where
    those go that could not be made.
    """

    group: str
    machine_arn: str
    role_arn: str
    dead_letters_arn: str


class EventBridgeSchedules:
    """See `tidemark.ports.Schedules`. Safe to share between threads, as its client is."""

    def __init__(self, client: "EventBridgeSchedulerClient", delivery: Delivery) -> None:
        self._client = client
        self._delivery = delivery

    def put(self, schedule: Schedule, *, now: datetime) -> None:
        wanted = self._wanted(schedule, now)
        doing = f"setting schedule {schedule.id}"
        with named(doing, _refusals(schedule.id)):
            try:
                self._client.create_schedule(**wanted)
            except ClientError as error:
                if code_of(error) != _EXISTS:
                    raise
            else:
                return
        moved = WriteConflict(f"{doing}: it was changed at the same moment; try again")
        with named(doing, {**_refusals(schedule.id), _EXISTS: moved, _ABSENT: moved}):
            self._client.update_schedule(**wanted)

    def remove(self, schedule_id: ScheduleId) -> None:
        doing = f"removing schedule {schedule_id}"
        moved = WriteConflict(f"{doing}: it was changed at the same moment; try again")
        with named(doing, {**_refusals(schedule_id), _EXISTS: moved}):
            try:
                self._client.delete_schedule(GroupName=self._delivery.group, Name=schedule_id)
            except ClientError as error:
                if code_of(error) != _ABSENT:
                    raise

    def _wanted(self, schedule: Schedule, now: datetime) -> dict[str, Any]:
        """The schedule as EventBridge Scheduler takes it. An update says everything anew: it keeps nothing."""
        delivered = {"tenant": schedule.tenant, "scheduleId": schedule.id, "slotAt": SCHEDULED_TIME}
        window: dict[str, Any] = {"Mode": "OFF"}
        if schedule.window_minutes is not None:
            window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": schedule.window_minutes}
        start = schedule.start_from(now)
        return {
            "GroupName": self._delivery.group,
            "Name": schedule.id,
            "Description": _told(schedule),
            "ScheduleExpression": schedule.timetable().text,
            "ScheduleExpressionTimezone": schedule.timezone,
            "FlexibleTimeWindow": window,
            "State": "DISABLED" if schedule.paused else "ENABLED",
            # What will never be due again counts for the account's quota no longer.
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": self._delivery.machine_arn,
                "RoleArn": self._delivery.role_arn,
                "Input": json.dumps(delivered),
                "DeadLetterConfig": {"Arn": self._delivery.dead_letters_arn},
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": _RETRY_AGE_S,
                    "MaximumRetryAttempts": _RETRY_ATTEMPTS,
                },
            },
            **({} if start is None else {"StartDate": start}),
        }


def _told(schedule: Schedule) -> str:
    """What people read of it in the console."""
    if schedule.volume_id is None:
        return f"Backups of tenant {schedule.tenant}"
    return f"Snapshots of volume {schedule.volume_id} of {environment_of(schedule.tenant)}"


def _refusals(schedule_id: ScheduleId) -> dict[str, TidemarkError]:
    """What is wrong with the account or the stack, which its operator alone can put right."""
    return {
        "ServiceQuotaExceededException": ScheduleQuotaReached(
            f"schedule {schedule_id} is one more than EventBridge Scheduler grants this account: delete schedules that "
            "nobody needs, or let the operator of this service ask AWS for more"
        ),
        "AccessDeniedException": SchedulingRefused(
            f"schedule {schedule_id} could not be set: the service may not use EventBridge Scheduler or hand on the "
            "role that starts backups; its operator has to deploy the stack again"
        ),
        "ValidationException": SchedulingRefused(
            f"EventBridge Scheduler does not take schedule {schedule_id}: it can't use the stack's role, state machine "
            "or queue for backups; the operator of this service finds what it says in the logs"
        ),
        _ABSENT: SchedulingRefused(
            f"schedule {schedule_id} could not be set: the stack's group of schedules is missing; its operator has to "
            "deploy the stack again"
        ),
    }
