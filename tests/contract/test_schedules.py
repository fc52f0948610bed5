"""What `ports.Schedules` promises, and what EventBridge Scheduler is told."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.aws import MEMORY, MOTO, client_of, disturb
from tests.contract.examples import schedule
from tests.fakes import MemorySchedules
from tidemark.adapters.eventbridge_schedules import Delivery, EventBridgeSchedules
from tidemark.domain.schedule import SCHEDULED_TIME, Schedule, ScheduleId
from tidemark.errors import (
    AwsFailure,
    ScheduleQuotaReached,
    SchedulingRefused,
    Throttled,
    TidemarkError,
    WriteConflict,
)
from tidemark.ports import Schedules

if TYPE_CHECKING:
    from mypy_boto3_scheduler.client import EventBridgeSchedulerClient

GROUP = "tidemark-schedules"
DELIVERY = Delivery(
    group=GROUP,
    machine_arn="arn:aws:states:eu-west-1:123456789012:stateMachine:backup",
    role_arn="arn:aws:iam::123456789012:role/backups",
    dead_letters_arn="arn:aws:sqs:eu-west-1:123456789012:undelivered",
)
# Moto refuses starts that are over by the clock of the machine, as AWS does.
NOW = datetime(2100, 1, 15, 10, tzinfo=UTC)
STARTS_AT = NOW + timedelta(minutes=1)
PLAIN = replace(schedule(), starts_at=STARTS_AT)
RATE = replace(
    schedule(1), starts_at=STARTS_AT, expression="rate(12 hours)", timezone="Europe/Paris", window_minutes=15
)


@dataclass
class World:
    """`held` says for each schedule that EventBridge Scheduler has whether it delivers, and what expression."""

    schedules: Schedules
    held: Callable[[], dict[str, tuple[str, bool]]]


@pytest.fixture
def scheduler() -> Iterator["EventBridgeSchedulerClient"]:
    with client_of("scheduler", MOTO) as client:
        client.create_schedule_group(Name=GROUP)
        yield client


def _seen(client: "EventBridgeSchedulerClient") -> dict[str, tuple[str, bool]]:
    names = [one["Name"] for one in client.list_schedules(GroupName=GROUP)["Schedules"]]
    found = [client.get_schedule(GroupName=GROUP, Name=name) for name in names]
    return {one["Name"]: (one["ScheduleExpression"], one["State"] == "ENABLED") for one in found}


@pytest.fixture(params=[MEMORY, MOTO])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == MEMORY:
        fake = MemorySchedules()
        return World(fake, lambda: {one.id: (one.timetable().text, not one.paused) for one in fake.held.values()})
    client = request.getfixturevalue("scheduler")
    return World(EventBridgeSchedules(client, DELIVERY), lambda: _seen(client))


def test_schedule_is_delivered_once_it_was_put(world: World) -> None:
    world.schedules.put(PLAIN, now=NOW)
    assert world.held() == {PLAIN.id: ("cron(30 0 * * ? *)", True)}


def test_put_says_everything_anew(world: World) -> None:
    world.schedules.put(PLAIN, now=NOW)
    world.schedules.put(replace(PLAIN, expression="rate(2 days)", paused=True), now=NOW)
    assert world.held() == {PLAIN.id: ("rate(2 days)", False)}
    world.schedules.put(PLAIN, now=NOW)
    assert world.held() == {PLAIN.id: ("cron(30 0 * * ? *)", True)}


def test_removed_schedule_is_delivered_no_more_and_others_are(world: World) -> None:
    for one in (PLAIN, RATE):
        world.schedules.put(one, now=NOW)
    for _ in range(2):
        world.schedules.remove(PLAIN.id)
    assert list(world.held()) == [RATE.id]


# --- what EventBridge Scheduler is told


def _told(client: "EventBridgeSchedulerClient", one: Schedule, now: datetime = NOW) -> Any:
    EventBridgeSchedules(client, DELIVERY).put(one, now=now)
    return client.get_schedule(GroupName=GROUP, Name=one.id)


def test_slot_starts_the_backup_machine_with_the_moment_that_was_scheduled(
    scheduler: "EventBridgeSchedulerClient",
) -> None:
    target = _told(scheduler, PLAIN)["Target"]
    assert json.loads(target["Input"]) == {"tenant": "acme", "scheduleId": PLAIN.id, "slotAt": SCHEDULED_TIME}
    assert (target["Arn"], target["RoleArn"]) == (DELIVERY.machine_arn, DELIVERY.role_arn)
    assert target["DeadLetterConfig"] == {"Arn": DELIVERY.dead_letters_arn}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


def test_what_is_never_due_again_is_deleted_by_aws(scheduler: "EventBridgeSchedulerClient") -> None:
    assert _told(scheduler, PLAIN)["ActionAfterCompletion"] == "DELETE"


def test_zone_and_window_are_those_of_the_record(scheduler: "EventBridgeSchedulerClient") -> None:
    told = _told(scheduler, RATE)
    assert told["ScheduleExpressionTimezone"] == "Europe/Paris"
    assert told["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    assert _told(scheduler, PLAIN)["FlexibleTimeWindow"] == {"Mode": "OFF"}


def test_start_is_the_records_while_that_is_to_come(scheduler: "EventBridgeSchedulerClient") -> None:
    told = disturb(scheduler, "CreateSchedule")
    adapter = EventBridgeSchedules(scheduler, DELIVERY)
    for one in (PLAIN, RATE):
        adapter.put(one, now=NOW)
    starts = [request["StartDate"] for request in told.requests]
    assert starts == [one.starts_at.timestamp() for one in (PLAIN, RATE)]


def test_rate_that_has_begun_keeps_its_step_when_it_is_told_anew() -> None:
    later = RATE.starts_at + timedelta(hours=30)
    assert RATE.start_from(later) == RATE.starts_at + timedelta(hours=36)


def test_start_that_is_over_is_not_said_of_a_cron_and_never_of_what_happens_once() -> None:
    assert PLAIN.start_from(PLAIN.starts_at + timedelta(minutes=6)) is None
    assert replace(PLAIN, expression="at(2100-02-01T10:00:00)").start_from(NOW) is None


# --- what EventBridge Scheduler refuses


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("ServiceQuotaExceededException", ScheduleQuotaReached, "one more than EventBridge Scheduler grants"),
        ("AccessDeniedException", SchedulingRefused, "operator has to deploy"),
        ("ValidationException", SchedulingRefused, "can't use the stack's role"),
        ("ResourceNotFoundException", SchedulingRefused, "group of schedules is missing"),
        ("ThrottlingException", Throttled, "try again later"),
        ("InternalServerException", AwsFailure, "InternalServerException"),
    ],
)
def test_put_says_why_it_is_refused(
    scheduler: "EventBridgeSchedulerClient",
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    kind: type[TidemarkError],
    said: str,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    disturb(scheduler, "CreateSchedule", *[code] * 9)
    with pytest.raises(kind, match=said) as raised:
        EventBridgeSchedules(scheduler, DELIVERY).put(PLAIN, now=NOW)
    assert type(raised.value) is kind
    assert PLAIN.id in raised.value.message


@pytest.mark.parametrize("code", ["ConflictException", "ResourceNotFoundException"])
def test_put_can_be_tried_again_when_somebody_changed_the_schedule_meanwhile(
    scheduler: "EventBridgeSchedulerClient", code: str
) -> None:
    adapter = EventBridgeSchedules(scheduler, DELIVERY)
    adapter.put(PLAIN, now=NOW)
    disturb(scheduler, "UpdateSchedule", code)
    with pytest.raises(WriteConflict, match=PLAIN.id):
        adapter.put(PLAIN, now=NOW)


def test_remove_says_why_it_is_refused(scheduler: "EventBridgeSchedulerClient") -> None:
    disturb(scheduler, "DeleteSchedule", "AccessDeniedException")
    with pytest.raises(SchedulingRefused):
        EventBridgeSchedules(scheduler, DELIVERY).remove(ScheduleId("schedule_00"))
