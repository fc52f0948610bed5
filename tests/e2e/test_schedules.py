"""Schedules as their callers see them, and as EventBridge Scheduler has them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e import walk
from tests.e2e.conftest import PARAMETERS
from tests.e2e.served import Caller, Served
from tests.local.http_messages import Answer
from tests.local.keys import headers_of, seed_key
from tests.local.stack import LocalStack

NIGHTLY = {
    "expression": "cron(0 2 * * ? *)",
    "timezone": "Europe/Paris",
    "windowMinutes": 15,
    "description": "{interval} backup of {date}",
    "labels": {"by": "schedule"},
    "retention": {"keepLast": 2, "daily": 7},
}
QUOTA = 10
PLACEHOLDER = "<aws.scheduler.scheduled-time>"


class Scheduler:
    """What EventBridge Scheduler has of a stack's group."""

    def __init__(self, client: Any, group: str) -> None:
        self.client, self.group = client, group

    def __getitem__(self, name: str) -> dict[str, Any]:
        return dict(self.client.get_schedule(GroupName=self.group, Name=name))

    def of(self, tenant: str) -> set[str]:
        """The schedules of a tenant."""
        found = self.client.list_schedules(GroupName=self.group, NamePrefix="schedule_")["Schedules"]
        names = {one["Name"] for one in found}
        return {name for name in names if json.loads(self[name]["Target"]["Input"])["tenant"] == tenant}


@pytest.fixture
def scheduler(served_stack: Served) -> Scheduler:
    return Scheduler(served_stack.client("scheduler"), served_stack.physical_ids["ScheduleGroup"])


def made(call: Caller, body: Mapping[str, Any] = NIGHTLY) -> dict[str, Any]:
    answer = call("POST", "/v2/schedules", body)
    assert answer.status == 201, answer.text
    return dict(answer.json())


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- a life


def test_schedule_lives_from_creation_to_deletion_as_eventbridge_scheduler_has_it(
    caller: Caller, tenant: str, scheduler: Scheduler, served_stack: Served
) -> None:
    answer = caller("POST", "/v2/schedules", NIGHTLY)
    shown = answer.json()
    name = shown["id"]
    path = f"/v2/schedules/{name}"
    assert (answer.status, answer.headers["Location"]) == (201, path)
    assert {member: shown[member] for member in NIGHTLY} == NIGHTLY
    assert (shown["status"], shown["interval"], shown["overlap"], shown["paused"]) == ("active", "daily", "skip", False)
    assert timedelta(0) < moment(shown["nextRun"]) - datetime.now(UTC) <= timedelta(days=1, hours=1)
    assert caller("GET", path).json() == shown
    assert [one["id"] for one in caller("GET", "/v2/schedules?options=count").json()] == [name]

    there = scheduler[name]
    assert (there["ScheduleExpression"], there["ScheduleExpressionTimezone"]) == ("cron(0 2 * * ? *)", "Europe/Paris")
    assert there["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    target = there["Target"]
    assert target["Arn"] == served_stack.outputs["BackupStateMachineArn"]
    assert target["RoleArn"].endswith(f"role/{served_stack.physical_ids['BackupScheduleRole']}")
    assert target["DeadLetterConfig"]["Arn"].endswith("backup-dead-letters")
    assert json.loads(target["Input"]) == {"tenant": tenant, "scheduleId": name, "slotAt": PLACEHOLDER}

    assert caller("PATCH", path, {"paused": True, "windowMinutes": None}).status == 204
    assert (scheduler[name]["State"], scheduler[name]["FlexibleTimeWindow"]) == ("DISABLED", {"Mode": "OFF"})
    assert "nextRun" not in caller("GET", path).json()
    assert caller("PATCH", path, {"paused": False, "expression": "rate(90 minutes)"}).status == 204
    changed = caller("GET", path).json()
    assert (scheduler[name]["State"], scheduler[name]["ScheduleExpression"]) == ("ENABLED", "rate(90 minutes)")
    assert (changed["expression"], changed["interval"]) == ("rate(90 minutes)", "hourly")
    assert scheduler[name]["StartDate"] <= moment(changed["nextRun"])

    assert caller("DELETE", path).status == 204
    assert scheduler.of(tenant) == set()
    walk.assert_error(caller("GET", path), 404, "NotFound", name)
    walk.assert_error(caller("DELETE", path), 404, "NotFound", name)
    assert caller("GET", "/v2/schedules").json() == []


def test_schedules_are_listed_in_pages_and_counted(caller: Caller) -> None:
    names = {made(caller, {"expression": f"rate({hours} hours)"})["id"] for hours in (2, 3, 4)}
    answer = caller("GET", "/v2/schedules?limit=2&options=count")
    assert (len(answer.json()), answer.headers["Fiware-Total-Count"]) == (2, "3")
    rest = caller("GET", "/v2/schedules?limit=2&offset=2").json()
    assert {one["id"] for one in [*answer.json(), *rest]} == names


def test_schedule_is_made_once_when_its_request_is_sent_again_under_its_key(
    caller: Caller, tenant: str, scheduler: Scheduler
) -> None:
    first, again = (caller("POST", "/v2/schedules", NIGHTLY, idempotency_key="nightly") for _ in range(2))
    assert (first.status, first.json()) == (again.status, again.json())
    assert scheduler.of(tenant) == {first.json()["id"]}
    other = caller("POST", "/v2/schedules", {"expression": "rate(1 day)"}, idempotency_key="nightly")
    walk.assert_error(other, 409, "Conflict", "another request was made with this key")
    assert len(caller("GET", "/v2/schedules").json()) == 1


def test_delivered_slot_makes_a_snapshot_that_says_so_and_that_a_preview_judges(
    caller: Caller, served_stack: Served, scheduler: Scheduler
) -> None:
    walk.put_rooms(caller, 2)
    by_hand = walk.create(caller, "by hand")["id"]
    name = made(caller)["id"]
    # As EventBridge Scheduler starts it, for two slots.
    states, target = served_stack.client("stepfunctions"), scheduler[name]["Target"]
    for slot in ("2026-01-15T01:00:00Z", "2026-01-16T01:00:00Z"):
        begun = states.start_execution(stateMachineArn=target["Arn"], input=target["Input"].replace(PLACEHOLDER, slot))
        _ended(states, begun["executionArn"])
    found = caller("GET", f"/v2/snapshots?schedule={name}&interval=daily&trigger=scheduled").json()
    assert [one["description"] for one in found] == ["daily backup of 2026-01-16", "daily backup of 2026-01-15"]
    assert [(one["scheduleId"], one["interval"], one["labels"]) for one in found] == [
        (name, "daily", {"by": "schedule"})
    ] * 2
    assert caller("GET", f"/v2/snapshots/{by_hand}").json()["interval"] == "manual"
    shown = caller("GET", f"/v2/schedules/{name}").json()
    assert shown["lastStatus"] == "completed"
    assert (shown["lastRun"]["slotAt"], shown["lastRun"]["snapshotId"]) == ("2026-01-16T01:00:00Z", found[0]["id"])

    own = caller("POST", f"/v2/schedules/{name}/retention/preview").json()
    assert own["counts"] == {"keep": 2, "forget": 0, "leave": 0}
    tried = caller("POST", f"/v2/schedules/{name}/retention/preview", {"retention": {"keepLast": 1}}).json()
    assert [(row["id"], row["decision"]) for row in tried["decisions"]] == [
        (found[0]["id"], "keep"),
        (found[1]["id"], "forget"),
    ]
    assert tried["decisions"][1]["reasons"] == [{"rule": "keepLast", "text": "older than the last 1"}]
    assert len(caller("GET", f"/v2/snapshots?schedule={name}").json()) == 2


def _ended(states: Any, arn: str) -> None:
    deadline = time.monotonic() + 60
    while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert found["status"] == "SUCCEEDED", found


# --- bad input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expression": "cron(0 0 31 2 ? *)"}, "names a time that never comes"),
        ({"expression": "cron(* * * *)"}, "cron("),
        ({"expression": "at(2020-01-15T10:00:00)"}, "is over"),
        ({"expression": "rate(30 seconds)"}, "the shortest is rate(1 minute)"),
        ({"expression": "rate(0 minutes)"}, "write a whole number from 1"),
        ({"timezone": "Europe/Atlantis"}, "write an IANA name such as Europe/Paris"),
        ({"windowMinutes": 0}, "1 to 1440"),
        ({"retention": {}}, "would keep nothing"),
        ({"retention": {"hourly": 24}}, "contradicts a schedule that makes daily snapshots"),
        ({"retention": {"daily": -1}}, "'retention.daily' must be a whole number"),
        ({"description": "{name}"}, "no placeholder {name}"),
        ({"labels": {"": "x"}}, "label"),
    ],
)
def test_what_is_not_possible_is_refused_and_nothing_is_made_or_changed(
    caller: Caller, tenant: str, scheduler: Scheduler, change: dict[str, Any], said: str
) -> None:
    walk.assert_error(caller("POST", "/v2/schedules", NIGHTLY | change), 400, "BadRequest", said)
    assert caller("GET", "/v2/schedules").json() == []
    assert scheduler.of(tenant) == set()
    name = made(caller)["id"]
    there, shown = scheduler[name], caller("GET", f"/v2/schedules/{name}").json()
    walk.assert_error(caller("PATCH", f"/v2/schedules/{name}", change), 400, "BadRequest", said)
    assert caller("GET", f"/v2/schedules/{name}").json() == shown
    assert scheduler[name]["LastModificationDate"] == there["LastModificationDate"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "has no retention policy"),
        ({"retention": {}}, "would keep nothing"),
        ({"retention": {"hourly": 24}}, "contradicts a schedule that makes daily snapshots"),
    ],
)
def test_preview_without_a_policy_that_could_be_applied_is_refused(
    caller: Caller, body: dict[str, Any], said: str
) -> None:
    name = made(caller, {"expression": "rate(1 day)"})["id"]
    walk.assert_error(caller("POST", f"/v2/schedules/{name}/retention/preview", body), 400, "BadRequest", said)


def test_schedule_beyond_the_quota_is_refused_and_nothing_is_made(
    caller: Caller, tenant: str, scheduler: Scheduler
) -> None:
    names = {made(caller, {"expression": "rate(1 day)"})["id"] for _ in range(QUOTA)}
    answer = caller("POST", "/v2/schedules", NIGHTLY)
    walk.assert_error(answer, 409, "Conflict", f"has {QUOTA} schedules, which is all it may have: delete one")
    assert {one["id"] for one in caller("GET", "/v2/schedules").json()} == scheduler.of(tenant) == names
    assert caller("DELETE", f"/v2/schedules/{min(names)}").status == 204
    made(caller)


def test_schedule_that_is_not_there_is_not_found(caller: Caller) -> None:
    for name in ("schedule_0123456789abcdef", "schedule_x", "nightly", "snapshot_2026-01-15T10-00-00Z", "%00"):
        path = f"/v2/schedules/{name}"
        for answer in (
            caller("GET", path),
            caller("PATCH", path, {"paused": True}),
            caller("DELETE", path),
            caller("POST", f"{path}/retention/preview", {"retention": {"daily": 7}}),
        ):
            walk.assert_error(answer, 404, "NotFound", "no schedule")


@pytest.mark.parametrize("action", ["read", "write", "restore", "hold"])
def test_key_without_the_action_sets_no_schedule_and_one_that_may_read_looks_at_them(
    served_stack: Served, caller: Caller, tenant: str, scheduler: Scheduler, action: str
) -> None:
    name = made(caller)["id"]
    path = f"/v2/schedules/{name}"
    other = served_stack.caller(tenant, [action])
    for answer in (
        other("POST", "/v2/schedules", NIGHTLY),
        other("PATCH", path, {"paused": True}),
        other("DELETE", path),
    ):
        walk.assert_error(answer, 403, "Forbidden")
    looked = [other("GET", "/v2/schedules"), other("GET", path), other("POST", f"{path}/retention/preview", {})]
    assert [answer.status for answer in looked] == [200 if action == "read" else 403] * 3
    assert scheduler.of(tenant) == {name}
    assert scheduler[name]["State"] == "ENABLED"


# --- EventBridge Scheduler refuses


@contextmanager
def refusing(code: str, *operations: str) -> Iterator[None]:
    """EventBridge Scheduler answers these operations with an error, until the block ends."""
    client: Any = BaseClient
    call = client._make_api_call  # noqa: SLF001 - every call of every client

    def answered(self: Any, operation_name: str, api_params: dict[str, Any]) -> Any:
        if self.meta.service_model.service_name == "scheduler" and operation_name in operations:
            error: Any = {"Error": {"Code": code, "Message": "User is not authorized to perform this"}}
            raise ClientError(error, operation_name)
        return call(self, operation_name, api_params)

    with patch.object(client, "_make_api_call", answered):
        yield


class Own:
    """A stack in this process, whose AWS can be told to refuse."""

    def __init__(self, stack: LocalStack) -> None:
        self.scheduler = Scheduler(stack.client("scheduler"), stack.physical_id("ScheduleGroup"))
        self._stack, self._headers = stack, headers_of(seed_key(stack))

    def __call__(self, method: str, path: str, document: Any = b"") -> Answer:
        return self._stack.http(method, path, self._headers, document)

    def records(self) -> list[str]:
        """The ids of all records of schedules, whatever their state is."""
        found = self._stack.client("dynamodb").scan(TableName=self._stack.outputs["CatalogTableName"])["Items"]
        return [row["sk"]["S"] for row in found if row["sk"]["S"].startswith("SCHEDULE#")]


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    with LocalStack.in_process(parameters=PARAMETERS, wait_scale=0) as stack:
        yield Own(stack)


@pytest.mark.parametrize(
    ("code", "status", "name", "said"),
    [
        ("AccessDeniedException", 503, "ServiceUnavailable", "its operator has to deploy the stack again"),
        ("ResourceNotFoundException", 503, "ServiceUnavailable", "the stack's group of schedules is missing"),
        ("ValidationException", 503, "ServiceUnavailable", "it can't use the stack's role, state machine or queue"),
        ("ServiceQuotaExceededException", 409, "Conflict", "one more than EventBridge Scheduler grants this account"),
    ],
)
def test_nothing_is_made_or_changed_when_eventbridge_scheduler_refuses_it(
    own: Own, code: str, status: int, name: str, said: str
) -> None:
    with refusing(code, "CreateSchedule"):
        walk.assert_error(own("POST", "/v2/schedules", NIGHTLY), status, name, said)
    assert (own.records(), own("GET", "/v2/schedules").json()) == ([], [])
    made = own("POST", "/v2/schedules", NIGHTLY).json()
    path = f"/v2/schedules/{made['id']}"
    with refusing(code, "CreateSchedule", "UpdateSchedule"):
        refused = own("PATCH", path, {"expression": "rate(1 hour)"})
    # To an update it says this where somebody deletes the schedule at the same moment.
    walk.assert_error(refused, status, *([name, said] if code != "ResourceNotFoundException" else [name]))
    assert own("GET", path).json() == made
    assert own.scheduler[made["id"]]["ScheduleExpression"] == NIGHTLY["expression"]
    assert own("DELETE", path).status == 204
    assert own.records() == []


def test_change_that_aws_had_no_time_for_is_taken_back_and_can_be_sent_again(own: Own) -> None:
    with refusing("ThrottlingException", "CreateSchedule"):
        answer = own("POST", "/v2/schedules", NIGHTLY)
        walk.assert_error(answer, 429, "TooManyRequests", "try again later")
        assert answer.headers["Retry-After"]
    assert own.records() == []
    made = own("POST", "/v2/schedules", NIGHTLY).json()
    path, change = f"/v2/schedules/{made['id']}", {"expression": "rate(1 hour)"}
    with refusing("ThrottlingException", "CreateSchedule", "UpdateSchedule"):
        walk.assert_error(own("PATCH", path, change), 429, "TooManyRequests", "try again later")
    # EventBridge Scheduler could not even be asked whether it has the change.
    assert own("GET", path).json() == made | {"status": "setting"}
    assert own("PATCH", path, change).status == 204
    assert own("GET", path).json()["status"] == "active"
    assert own.scheduler[made["id"]]["ScheduleExpression"] == "rate(1 hour)"
    assert own("DELETE", path).status == 204


def test_stack_that_may_not_use_eventbridge_scheduler_at_all_leaves_nothing_that_shows_or_stays(own: Own) -> None:
    kept = own("POST", "/v2/schedules", NIGHTLY).json()
    every = ("CreateSchedule", "UpdateSchedule", "DeleteSchedule")
    with refusing("AccessDeniedException", *every):
        walk.assert_error(own("POST", "/v2/schedules", NIGHTLY), 503, "ServiceUnavailable", "deploy the stack again")
        assert own("GET", "/v2/schedules").json() == [kept]
        walk.assert_error(own("DELETE", f"/v2/schedules/{kept['id']}"), 503, "ServiceUnavailable", "deploy")
        assert own("GET", "/v2/schedules").json() == []
    # What could not be removed then is removed by the next one that has a schedule made or deletes it.
    assert own("DELETE", f"/v2/schedules/{kept['id']}").status == 204
    again = own("POST", "/v2/schedules", NIGHTLY).json()["id"]
    assert own.records() == [f"SCHEDULE#{again}"]
    assert own.scheduler.of("smartcity") == {again}
    assert own("DELETE", f"/v2/schedules/{again}").status == 204
