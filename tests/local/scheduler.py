"""Fires what EventBridge Scheduler has: moto keeps schedules, and starts nothing.

A slot is delivered at its moment, in a flexible window too, where AWS may take all of the window. What can't be started
is tried again a few times at once, where AWS takes up to a day, and then goes to the target's dead-letter queue. A slot
that the clock has passed is delivered late, unless it is older than the target's events may get: a day at most.

Sources: Amazon EventBridge Scheduler User Guide, "Schedule types", "Context attributes", "Configuring a dead-letter
queue"; API Reference, CreateSchedule. When a schedule is due says the product's own reading of its expression, which
`tests/unit/schedules` hold against the guide's examples; no library reads these expressions.
"""

import datetime as dt
import functools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.scheduler.models import Schedule, scheduler_backends

from tests.local import moto_stepfunctions
from tests.local.aws import ACCOUNT_ID, REGION, Aws
from tests.local.functions import Functions
from tests.local.local_clock import LocalClock
from tests.local.logs import LogStore
from tests.local.product import find_product

_SPOKEN_AS = "EventBridgeScheduler"
_RETRIES = 3
_PAUSE_S = 0.05
_RUN_TIMEOUT_S = 300
_TICK_S = 1.0
_BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Slot:
    """A moment at which a schedule is due, and what it starts then."""

    schedule_arn: str
    due_at: dt.datetime
    target: dict[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        """The schedule's group and name."""
        return self.schedule_arn.split(":schedule/", 1)[1]


@dataclass(frozen=True)
class Delivery:
    """What came of delivering a slot. Without an error something was started: `execution_arn`, or a function."""

    slot: Slot
    execution_arn: str = ""
    error: str = ""


class LocalScheduler:
    """Fires the schedules of all groups."""

    def __init__(self, aws: Aws, clock: LocalClock, functions: Functions, logs: LogStore) -> None:
        self._aws = aws
        self._clock = clock
        self._functions = functions
        self._logs = logs
        self._lock = threading.RLock()
        self._over: dict[str, dt.datetime] = {}
        """Until which of its slots, inclusive, each schedule needs no more firing."""
        self._stopped = threading.Event()
        self._ticker: threading.Thread | None = None

    def due(self, until: dt.datetime, only: Callable[[str], bool] | None = None) -> Iterator[Slot]:
        """The slots that were not fired yet, in order. What they start may change those that follow.

        Args:
            until: the last moment that counts.
            only: whether a schedule, by its group and name, is asked for; without it all are.
        """
        while (slot := self._first(until, only)) is not None:
            self._over[slot.schedule_arn] = slot.due_at
            yield slot

    def fire_due(
        self, until: dt.datetime, *, only: Callable[[str], bool] | None = None, settle: bool = True
    ) -> list[Delivery]:
        """Deliver each slot that was not fired yet, in order, and move the clock along to the slots and to `until`.

        Args:
            until: the last moment that counts.
            only: whether a schedule, by its group and name, is fired; the others' slots stay to be fired later.
            settle: whether to wait until what one slot started is over before the next is delivered.

        Raises:
            TimeoutError: something that was started does not end.
        """
        done: list[Delivery] = []
        with self._lock:
            for slot in self.due(until, only):
                if self._stopped.is_set():
                    return done
                self._move_to(slot.due_at)
                done.append(self.deliver(slot, settle=settle))
                self._delete_completed(slot.schedule_arn)
            self._move_to(until)
        return done

    def lose_due(self, until: dt.datetime, only: Callable[[str], bool] | None = None) -> list[Slot]:
        """Move the clock as `fire_due` does, but deliver nothing, ever: these slots are missed."""
        with self._lock:
            lost = list(self.due(until, only))
            self._move_to(until)
        return lost

    def deliver(self, slot: Slot, *, settle: bool = True) -> Delivery:
        """Deliver a slot now, whenever it was due and however often it was delivered before."""
        execution_id = str(uuid.uuid4())
        retries = min(_RETRIES, int(slot.target.get("RetryPolicy", {}).get("MaximumRetryAttempts", _RETRIES)))
        for attempt in range(retries + 1):
            service, operation, request = _request(slot, execution_id, attempt)
            try:
                answer = getattr(self._aws.client(service), operation)(**request)
            except (ClientError, BotoCoreError) as failed:
                error = failed
                if attempt < retries:
                    time.sleep(_PAUSE_S)
            else:
                execution_arn = answer.get("executionArn", "")
                self._logs.say(_SPOKEN_AS, f"{slot.name} of {_text(slot.due_at)} started {slot.target['Arn']}")
                if settle:
                    self._settle(execution_arn)
                return Delivery(slot, execution_arn)
        self._bury(slot, execution_id, request, error, retries)
        return Delivery(slot, error=str(error))

    def start_ticking(self) -> None:
        """Fire what is due as time passes, until `close`."""
        self._ticker = threading.Thread(target=self._tick, name="scheduler", daemon=True)
        self._ticker.start()

    def close(self) -> None:
        """Fire nothing any more."""
        self._stopped.set()
        if self._ticker is not None:
            self._ticker.join()

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK_S):
            try:
                self.fire_due(self._clock.now(), settle=False)
            except Exception as error:  # noqa: BLE001 - one schedule's trouble must not end the others'
                self._logs.say(_SPOKEN_AS, f"{type(error).__name__}: {error}")

    def _first(self, until: dt.datetime, only: Callable[[str], bool] | None) -> Slot | None:
        found = []
        for group in list(scheduler_backends[ACCOUNT_ID][REGION].schedule_groups.values()):
            for schedule in list(group.schedules.values()):
                if only is None or only(f"{schedule.group_name}/{schedule.name}"):
                    due_at = self._next(schedule)
                    if due_at is not None and due_at <= until:
                        found.append(Slot(schedule.arn, due_at, dict(schedule.target)))
        return min(found, key=lambda slot: (slot.due_at, slot.schedule_arn), default=None)

    def _next(self, schedule: Schedule) -> dt.datetime | None:
        if schedule.state != "ENABLED":
            return None
        made_at, changed_at = _moment(schedule.creation_date), _moment(schedule.last_modified_date)
        begins_at = None if schedule.start_date is None else _moment(schedule.start_date)
        since = changed_at if begins_at is None else max(changed_at, begins_at)
        if schedule.schedule_expression.startswith("rate"):
            # Without a start it begins as it is made.
            starts_at = begins_at or made_at.replace(microsecond=0)
            since = max(since.replace(microsecond=0), starts_at)
        else:
            starts_at = _BEGINNING
        timetable = _timetable(schedule.schedule_expression, schedule.schedule_expression_timezone, starts_at)
        oldest = self._clock.now() - dt.timedelta(seconds=_max_age_s(schedule.target))
        after = max(self._over.get(schedule.arn, _BEGINNING), since - dt.datetime.resolution, oldest)
        due_at: dt.datetime | None = timetable.next_slot(after)
        ends_at = None if schedule.end_date is None else _moment(schedule.end_date)
        return None if due_at is None or (ends_at is not None and due_at > ends_at) else due_at

    def _delete_completed(self, schedule_arn: str) -> None:
        group_name, name = schedule_arn.split(":schedule/", 1)[1].split("/", 1)
        group = scheduler_backends[ACCOUNT_ID][REGION].schedule_groups.get(group_name)
        schedule = None if group is None else group.schedules.get(name)
        if group is None or schedule is None or schedule.action_after_completion != "DELETE":
            return
        if schedule.state == "ENABLED" and self._next(schedule) is None:
            group.delete_schedule(name)

    def _move_to(self, moment: dt.datetime) -> None:
        if moment > self._clock.now():
            self._clock.move_to(moment)

    def _settle(self, execution_arn: str) -> None:
        if execution_arn:
            moto_stepfunctions.wait_until_ended(execution_arn, _RUN_TIMEOUT_S)
        else:
            self._functions.wait_for_later(_RUN_TIMEOUT_S)

    def _bury(self, slot: Slot, execution_id: str, request: dict[str, Any], error: Exception, retries: int) -> None:
        """Put what could not be started where the target says."""
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        queue_arn = slot.target.get("DeadLetterConfig", {}).get("Arn")
        self._logs.say(
            _SPOKEN_AS,
            f"{slot.name} of {_text(slot.due_at)} failed: {error}; "
            + (f"it is in {queue_arn}" if queue_arn else "it has no dead-letter queue"),
        )
        if queue_arn is None:
            return
        attributes = {
            "ERROR_CODE": code,
            "ERROR_MESSAGE": str(error),
            "EXECUTION_ID": execution_id,
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
            "IS_PAYLOAD_TRUNCATED": "false",
            "RETRY_ATTEMPTS": str(retries),
            "SCHEDULED_TIME": _text(slot.due_at),
            "SCHEDULE_ARN": slot.schedule_arn,
            "TARGET_ARN": slot.target["Arn"],
        }
        sqs = self._aws.client("sqs")
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName=queue_arn.rsplit(":", 1)[1])["QueueUrl"],
            MessageBody=json.dumps({name[0].upper() + name[1:]: value for name, value in request.items()}),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": text} for name, text in attributes.items() if text
            },
        )


def _request(slot: Slot, execution_id: str, attempt: int) -> tuple[str, str, dict[str, Any]]:
    """The service, its operation, and what that is called with."""
    arn = slot.target["Arn"]
    said = slot.target.get("Input") or _notification(slot)
    for name, value in {
        "schedule-arn": slot.schedule_arn,
        "scheduled-time": _text(slot.due_at),
        "execution-id": execution_id,
        "attempt-number": str(attempt + 1),
    }.items():
        said = said.replace(f"<aws.scheduler.{name}>", value)
    match arn.split(":")[2]:
        case "states":
            return "stepfunctions", "start_execution", {"stateMachineArn": arn, "input": said}
        case "lambda":
            return "lambda", "invoke", {"FunctionName": arn, "InvocationType": "Event", "Payload": said}
        case service:
            raise ValueError(
                f"{slot.name}: the local stack does not know how to start something of {service}: "
                "teach it in tests/local/scheduler.py"
            )


def _notification(slot: Slot) -> str:
    """What a target without an input is told."""
    return json.dumps(
        {
            "version": "0",
            "id": "<aws.scheduler.execution-id>",
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": ACCOUNT_ID,
            "time": "<aws.scheduler.scheduled-time>",
            "region": REGION,
            "resources": [slot.schedule_arn],
            "detail": "{}",
        }
    )


@functools.lru_cache(maxsize=256)
def _timetable(expression: str, timezone: str, starts_at: dt.datetime) -> Any:
    find_product()
    from tidemark.domain.schedule_expression import parse  # noqa: PLC0415 - found just now

    return parse(expression, timezone, starts_at)


def _max_age_s(target: dict[str, Any]) -> int:
    return int(target.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", 86_400))


def _moment(since_1970_s: Any) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(since_1970_s), dt.UTC)


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
