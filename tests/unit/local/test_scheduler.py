"""The local stack fires what EventBridge Scheduler has, in order, as it is documented."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.scheduler import Delivery
from tests.local.stack import LocalStack
from tests.unit.local.conftest import TEMPLATE

GROUP = "tidemark-Schedules"
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
START = dt.datetime(2040, 3, 1, tzinfo=dt.UTC)
SUCCEEDS = {"begin": {"do": "nothing"}, "wait": 0}


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    """A stack of the test's own, since clocks don't go back. It is the beginning of a day."""
    with LocalStack.in_process(TEMPLATE, wait_scale=0) as running:
        running.clock.move_to(START)
        yield running


def schedule(stack: LocalStack, expression: str, name: str = "own", **given: Any) -> str:
    """A schedule of the state machine, in the default group; gives its name as `only` is asked for it."""
    target = {
        "Arn": stack.physical_id("Flow"),
        "RoleArn": "arn:aws:iam::123456789012:role/any",
        "Input": json.dumps({**SUCCEEDS, "slot": "<aws.scheduler.scheduled-time>", "schedule": name}),
        **given.pop("target", {}),
    }
    stack.client("scheduler").create_schedule(
        Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **given
    )
    return f"default/{name}"


def own(name: str) -> bool:
    return name.startswith("default/")


def slots(done: list[Delivery]) -> list[str]:
    return [f"{delivery.slot.due_at:%m-%d %H:%M}" for delivery in done]


def inputs(stack: LocalStack) -> list[Any]:
    """What executions were started with, in order."""
    return [execution.input for execution in reversed(stack.executions("Flow"))]


def dead_letters(stack: LocalStack) -> list[Any]:
    received = stack.client("sqs").receive_message(
        QueueUrl=stack.physical_id("DeadLetters"), MessageAttributeNames=["All"], MaxNumberOfMessages=10
    )
    return list(received.get("Messages", []))


def test_fires_the_schedules_of_the_template_at_their_slots(stack: LocalStack) -> None:
    done = stack.fire_due_schedules(START + 3 * DAY, only=lambda name: name == f"{GROUP}/tidemark-Nightly")

    assert slots(done)[-3:] == ["03-01 02:00", "03-02 02:00", "03-03 02:00"]
    assert inputs(stack)[-1] == {**SUCCEEDS, "slot": "2040-03-03T02:00:00Z"}
    assert {execution.status for execution in stack.executions("Flow")} == {"SUCCEEDED"}
    assert abs(stack.clock.now() - (START + 3 * DAY)) < dt.timedelta(minutes=1)


def test_fires_several_schedules_in_the_order_of_their_slots_with_the_clock_at_each(stack: LocalStack) -> None:
    schedule(stack, "cron(0,20 * * * ? *)", "b")
    schedule(stack, "rate(30 minutes)", "a", StartDate=START + HOUR)

    done = stack.fire_due_schedules(START + 2 * HOUR, only=own)

    fired = [(delivery.slot.name[-1], f"{delivery.slot.due_at:%H:%M}") for delivery in done]
    assert fired == [
        ("b", "00:20"),
        ("a", "01:00"),
        ("b", "01:00"),
        ("b", "01:20"),
        ("a", "01:30"),
        ("a", "02:00"),
        ("b", "02:00"),
    ]
    described = stack.client("stepfunctions").describe_execution(executionArn=done[-1].execution_arn)
    assert abs(described["startDate"] - (START + 2 * HOUR)) < dt.timedelta(minutes=1)


def test_fires_a_slot_once_however_often_it_is_asked(stack: LocalStack) -> None:
    schedule(stack, "cron(0 * * * ? *)")

    first = stack.fire_due_schedules(START + 3 * HOUR, only=own)
    again = stack.fire_due_schedules(START + 3 * HOUR, only=own)
    later = stack.fire_due_schedules(START + 4 * HOUR, only=own)

    assert (slots(first)[-1], slots(again), slots(later)) == ("03-01 03:00", [], ["03-01 04:00"])


def test_delivers_late_what_the_clock_has_passed(stack: LocalStack) -> None:
    schedule(stack, "cron(30 * * * ? *)")
    stack.clock.move_by(2 * HOUR)
    assert inputs(stack) == []

    stack.fire_due_schedules(stack.clock.now(), only=own)

    assert [given["slot"] for given in inputs(stack)] == ["2040-03-01T00:30:00Z", "2040-03-01T01:30:00Z"]
    assert abs(stack.clock.now() - (START + 2 * HOUR)) < dt.timedelta(minutes=1)


def test_gives_up_slots_that_are_older_than_the_target_takes(stack: LocalStack) -> None:
    schedule(stack, "cron(30 * * * ? *)", target={"RetryPolicy": {"MaximumEventAgeInSeconds": 7200}})
    stack.clock.move_by(10 * HOUR)

    assert slots(stack.fire_due_schedules(stack.clock.now(), only=own)) == ["03-01 08:30", "03-01 09:30"]


def test_loses_slots_and_repeats_deliveries_when_a_test_wants_that(stack: LocalStack) -> None:
    schedule(stack, "cron(30 * * * ? *)")

    lost = stack.scheduler.lose_due(START + HOUR, only=own)
    [delivery] = stack.fire_due_schedules(START + 2 * HOUR, only=own)
    stack.scheduler.deliver(delivery.slot)
    stack.scheduler.deliver(lost[0])

    assert [given["slot"][11:16] for given in inputs(stack)] == ["01:30", "01:30", "00:30"]


def test_reads_crons_in_the_schedules_timezone_when_the_clock_is_set_forward(stack: LocalStack) -> None:
    schedule(stack, "cron(0 9 * * ? *)", ScheduleExpressionTimezone="Europe/Paris")

    done = stack.fire_due_schedules(dt.datetime(2040, 3, 26, tzinfo=dt.UTC), only=own)

    assert slots(done)[-3:] == ["03-23 08:00", "03-24 08:00", "03-25 07:00"]


def test_starts_a_rate_with_its_start_date_and_ends_with_its_end_date(stack: LocalStack) -> None:
    schedule(stack, "rate(1 day)", StartDate=START + 5 * DAY, EndDate=START + 7 * DAY)

    assert slots(stack.fire_due_schedules(START + 20 * DAY, only=own)) == ["03-06 00:00", "03-07 00:00", "03-08 00:00"]


def test_starts_a_rate_without_start_date_at_once(stack: LocalStack) -> None:
    schedule(stack, "rate(2 hours)")

    done = stack.fire_due_schedules(stack.clock.now() + 3 * HOUR, only=own)

    assert slots(done) == ["03-01 00:00", "03-01 02:00"]


def test_leaves_disabled_schedules_alone_and_their_slots_are_over_when_they_are_enabled(stack: LocalStack) -> None:
    name = schedule(stack, "cron(30 * * * ? *)", State="DISABLED")
    assert stack.fire_due_schedules(START + 5 * HOUR, only=own) == []

    client = stack.client("scheduler")
    found = client.get_schedule(Name="own")
    client.update_schedule(
        Name="own",
        ScheduleExpression=found["ScheduleExpression"],
        FlexibleTimeWindow=found["FlexibleTimeWindow"],
        Target=found["Target"],
        State="ENABLED",
    )

    assert slots(stack.fire_due_schedules(START + 6 * HOUR, only=lambda asked: asked == name)) == ["03-01 05:30"]


def test_deletes_a_one_time_schedule_after_its_run_when_it_says_so(stack: LocalStack) -> None:
    at = "at(2040-03-01T10:00:00)"
    schedule(stack, at, "kept", ScheduleExpressionTimezone="Asia/Tokyo")
    schedule(stack, at, "deleted", ScheduleExpressionTimezone="Asia/Tokyo", ActionAfterCompletion="DELETE")

    done = stack.fire_due_schedules(START + 2 * DAY, only=own)

    assert slots(done) == ["03-01 01:00", "03-01 01:00"]
    names = {found["Name"] for found in stack.client("scheduler").list_schedules()["Schedules"]}
    assert "kept" in names
    assert "deleted" not in names


def test_fills_in_the_context_of_each_delivery(stack: LocalStack) -> None:
    told = {**SUCCEEDS, "arn": "<aws.scheduler.schedule-arn>", "id": "<aws.scheduler.execution-id>"}
    schedule(stack, "cron(30 * * * ? *)", target={"Input": json.dumps({**told, "n": "<aws.scheduler.attempt-number>"})})

    stack.fire_due_schedules(START + 2 * HOUR, only=own)

    first, second = inputs(stack)
    assert first["arn"] == "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/own"
    assert first["n"] == "1"
    assert first["id"] != second["id"]


def test_invokes_functions_and_waits_for_them(stack: LocalStack) -> None:
    arn = stack.deployment.functions["Echo"].arn
    told = {"queryStringParameters": {"do": "sleep", "seconds": "0.2"}}
    schedule(stack, "rate(1 hour)", target={"Arn": arn, "Input": json.dumps(told)}, StartDate=START + HOUR)
    began = time.monotonic()

    [delivery] = stack.fire_due_schedules(START + HOUR, only=own)

    assert (delivery.error, delivery.execution_arn) == ("", "")
    assert time.monotonic() - began >= 0.2
    events = stack.client("logs").filter_log_events(logGroupName="/tidemark/functions", filterPattern="START")
    assert len(events["events"]) == 1


def test_tells_a_target_without_input_what_it_is_for(stack: LocalStack) -> None:
    schedule(stack, "cron(30 * * * ? *)")
    client = stack.client("scheduler")
    target = {"Arn": stack.physical_id("Flow"), "RoleArn": "arn:aws:iam::123456789012:role/any"}
    client.create_schedule(
        Name="bare", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
    )

    stack.fire_due_schedules(stack.clock.now(), only=lambda name: name == "default/bare")

    [told] = inputs(stack)
    assert (told["source"], told["time"]) == ("aws.scheduler", "2040-03-01T00:00:00Z")
    assert told["resources"] == ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/bare"]


def test_tries_again_when_a_start_fails(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    states = stack.client("stepfunctions")
    begin, failures = states.start_execution, [1, 2]

    def start_execution(**given: Any) -> Any:
        if failures:
            failures.pop()
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "StartExecution")
        return begin(**given)

    monkeypatch.setattr(states, "start_execution", start_execution)
    schedule(stack, "cron(30 * * * ? *)", target={"DeadLetterConfig": {"Arn": queue_arn(stack)}})

    [delivery] = stack.fire_due_schedules(START + HOUR, only=own)

    assert (delivery.error, failures) == ("", [])
    assert len(inputs(stack)) == 1
    assert dead_letters(stack) == []


def queue_arn(stack: LocalStack) -> str:
    return str(stack.deployment.attributes["DeadLetters"]["Arn"])


def test_puts_what_cannot_be_started_into_the_dead_letter_queue_and_goes_on(stack: LocalStack) -> None:
    missing = "arn:aws:states:eu-west-1:123456789012:stateMachine:removed"
    schedule(
        stack, "cron(30 0 1 3 ? 2040)", "a", target={"Arn": missing, "DeadLetterConfig": {"Arn": queue_arn(stack)}}
    )
    schedule(stack, "cron(30 0 1 3 ? 2040)", "b")

    failed, started = stack.fire_due_schedules(START + HOUR, only=own)

    assert "StateMachineDoesNotExist" in failed.error
    assert (started.error, len(inputs(stack))) == ("", 1)
    [message] = dead_letters(stack)
    attributes = {name: told["StringValue"] for name, told in message["MessageAttributes"].items()}
    assert attributes.pop("EXECUTION_ID")
    assert "does not exist" in attributes.pop("ERROR_MESSAGE").lower()
    assert attributes == {
        "ERROR_CODE": "StateMachineDoesNotExist",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": "3",
        "SCHEDULED_TIME": "2040-03-01T00:30:00Z",
        "SCHEDULE_ARN": "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/a",
        "TARGET_ARN": missing,
    }
    body = json.loads(message["Body"])
    assert (body["StateMachineArn"], json.loads(body["Input"])["slot"]) == (missing, "2040-03-01T00:30:00Z")


def test_refuses_targets_that_it_cannot_start(stack: LocalStack) -> None:
    schedule(stack, "cron(30 * * * ? *)", target={"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"})

    with pytest.raises(ValueError, match=r"teach it in tests/local/scheduler\.py"):
        stack.fire_due_schedules(START + HOUR, only=own)


def test_starts_at_once_what_is_due_at_once_when_nobody_waits_for_the_runs(stack: LocalStack) -> None:
    told = json.dumps({"begin": {"do": "nap"}, "wait": 0})
    for name in ("a", "b"):
        schedule(stack, "cron(30 0 * * ? *)", name, target={"Input": told})

    done = stack.fire_due_schedules(START + HOUR, only=own, settle=False)

    assert [stack.execution(delivery.execution_arn).status for delivery in done] == ["RUNNING", "RUNNING"]
    assert {stack.wait_execution(delivery.execution_arn).status for delivery in done} == {"SUCCEEDED"}


def test_fires_by_itself_what_becomes_due_when_it_ticks(stack: LocalStack) -> None:
    schedule(stack, "rate(1 minute)", StartDate=stack.clock.now() + dt.timedelta(minutes=10))
    stack.clock.move_by(dt.timedelta(minutes=10))
    stack.scheduler.start_ticking()

    deadline = time.monotonic() + 10
    while not any(given.get("schedule") == "own" for given in inputs(stack)) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert sum(given.get("schedule") == "own" for given in inputs(stack)) == 1
