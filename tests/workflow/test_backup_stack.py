"""Backups with the real functions on a local stack: one snapshot a slot, whatever is delivered, and one fate each."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from tests.fakes import MemorySchedules
from tests.local.functions import Outcome
from tests.local.inprocess import InProcess
from tests.local.keys import headers_of, ports_of, seed_key
from tests.local.spec import FunctionSpec
from tests.local.stack import Execution, LocalStack
from tests.workflow.conftest import SMALL
from tidemark.domain.retention import RetentionPolicy
from tidemark.domain.schedule import STACK_SCHEDULE_ID, RunStatus, Schedule, ScheduleId
from tidemark.domain.schedule_expression import whole_minute
from tidemark.domain.snapshot import Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.create_snapshot import create_snapshot

MACHINE = "BackupStateMachine"
TENANT = Tenant("smartcity")
MINUTE = timedelta(minutes=1)


class Backups:
    """A stack, and a tenant with a schedule of its own for each test."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.ports: Ports = replace(ports_of(stack), schedules=MemorySchedules())
        self._key = seed_key(stack)

    def tenant(self, name: str, policy: RetentionPolicy | None = None) -> Schedule:
        """A tenant with an entity, and a schedule that has been due each minute for half an hour."""
        room = {"id": "Room1", "type": "Room", "temperature": {"type": "Number", "value": 23}}
        assert self.stack.http("POST", "/v2/entities", headers_of(self._key, name), room).status == 201
        made = create_schedule(self.ports, Tenant(name), ScheduleWanted("rate(1 minute)", retention=policy))
        return self.ports.catalog.replace_schedule(replace(made, starts_at=made.starts_at - 30 * MINUTE))

    def start(self, schedule: Schedule, slot_at: datetime) -> str:
        """Deliver a slot."""
        return self.begin({"tenant": schedule.tenant, "scheduleId": schedule.id, "slotAt": _text(slot_at)})

    def begin(self, told: dict[str, Any]) -> str:
        machine = self.stack.physical_id(MACHINE)
        started = self.stack.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(told))
        return str(started["executionArn"])

    def deliver(self, schedule: Schedule, slot_at: datetime) -> Execution:
        return self.stack.wait_execution(self.start(schedule, slot_at))

    def record(self, schedule: Schedule) -> Schedule:
        return self.ports.catalog.schedule(schedule.tenant, schedule.id)

    def made(self, schedule: Schedule) -> list[Snapshot]:
        """The snapshots that the schedule made and that are still there, newest first."""
        found = self.ports.catalog.snapshots(schedule.tenant)
        return [one for one in found if one.schedule_id == schedule.id and not one.forgotten]

    def damage_record(self, tenant: str, schedule_id: ScheduleId) -> None:
        self.stack.client("dynamodb").update_item(
            TableName=self.stack.outputs["CatalogTableName"],
            Key={"pk": {"S": f"TENANT#{tenant}"}, "sk": {"S": f"SCHEDULE#{schedule_id}"}},
            UpdateExpression="SET sha256 = :other",
            ExpressionAttributeValues={":other": {"S": "0" * 64}},
        )

    @contextmanager
    def before(self, function: str, act: Callable[[dict[str, Any]], None], **environment: str) -> Iterator[None]:
        """Do something, with the event at hand, before each run of a function, and give it another environment."""
        run = InProcess.run

        def disturbed(self: InProcess, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
            if spec.logical_id == function:
                act(json.loads(event))
                if environment:
                    name = f"{spec.name}-otherwise"
                    spec = replace(spec, name=name, environment={**spec.environment, **environment})
            return run(self, spec, event, request_id)

        with patch.object(InProcess, "run", disturbed):
            yield


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nothing(_event: dict[str, Any]) -> None:
    pass


@pytest.fixture(scope="module")
def backups() -> Iterator[Backups]:
    with LocalStack.in_process(parameters=SMALL, wait_scale=0) as stack:
        yield Backups(stack)


def _last_state(backups: Backups, execution: Execution) -> str:
    return backups.stack.history(execution.arn)[-1]


# --- one slot


def test_deliveries_at_one_moment_make_one_snapshot(backups: Backups) -> None:
    schedule = backups.tenant("at_once")
    started = [backups.start(schedule, schedule.starts_at) for _ in range(4)]
    ended = [backups.stack.wait_execution(arn) for arn in started]
    assert {one.status for one in ended} == {"SUCCEEDED"}
    assert Counter(_last_state(backups, one) for one in ended) == {"BackedUp": 1, "SlotOver": 3}
    [snapshot] = backups.made(schedule)
    assert (snapshot.status, snapshot.slot_at) == (SnapshotStatus.COMPLETED, schedule.starts_at)


def test_late_and_doubled_and_overtaken_deliveries_make_one_snapshot_a_slot(backups: Backups) -> None:
    schedule = backups.tenant("disordered")
    first = schedule.starts_at
    ends = [_last_state(backups, backups.deliver(schedule, first + slot * MINUTE)) for slot in (0, 0, 2, 1, 2, 0)]
    assert ends == ["BackedUp", "SlotOver", "BackedUp", "SlotOver", "SlotOver", "SlotOver"]
    assert [one.slot_at for one in backups.made(schedule)] == [first + 2 * MINUTE, first]


def test_slot_that_takes_longer_than_a_request_is_waited_for(backups: Backups) -> None:
    schedule = backups.tenant("large")
    with backups.before("RunSlotFunction", _nothing, TIDEMARK_INLINE_BUDGET_S="0"):
        ended = backups.deliver(schedule, schedule.starts_at)
    assert ended.status == "SUCCEEDED"
    assert "Pause" in backups.stack.history(ended.arn)
    last = backups.record(schedule).last_run
    assert last is not None
    assert (last.status, last.snapshot_id) == (RunStatus.COMPLETED, backups.made(schedule)[0].id)


def test_slot_is_skipped_and_says_so_while_the_last_one_goes_on(backups: Backups) -> None:
    schedule = backups.tenant("overlapping")

    def deliver_the_next(_event: dict[str, Any]) -> None:
        if backups.record(schedule).last_missed is None:
            skipped = backups.deliver(schedule, schedule.starts_at + MINUTE)
            assert skipped.output["slot"]["state"] == "skipped"

    with backups.before("ConcludeSlotFunction", deliver_the_next):
        assert backups.deliver(schedule, schedule.starts_at).status == "SUCCEEDED"
    latest = backups.record(schedule).latest()
    assert latest is not None
    assert (latest.slot_at, latest.status) == (schedule.starts_at + MINUTE, RunStatus.SKIPPED)
    assert len(backups.made(schedule)) == 1


def test_nothing_is_forgotten_when_the_new_manifest_is_damaged(backups: Backups) -> None:
    schedule = backups.tenant("damaged", RetentionPolicy(last=1))
    backups.deliver(schedule, schedule.starts_at)
    [before] = backups.made(schedule)

    def lose_the_manifest(_event: dict[str, Any]) -> None:
        newest = backups.made(schedule)[0]
        assert newest.manifest is not None
        assert newest.id != before.id
        bucket = backups.stack.outputs["BucketName"]
        backups.stack.client("s3").delete_object(Bucket=bucket, Key=newest.manifest.key)

    with backups.before("ConcludeSlotFunction", lose_the_manifest):
        ended = backups.deliver(schedule, schedule.starts_at + MINUTE)
    assert (ended.status, ended.error) == ("FAILED", "ManifestCorrupt")
    assert before in backups.made(schedule)
    assert backups.deliver(schedule, schedule.starts_at + 2 * MINUTE).status == "SUCCEEDED"
    assert before not in backups.made(schedule)


def test_capture_that_fails_is_told_by_execution_and_schedule(backups: Backups) -> None:
    schedule = backups.tenant("failing", RetentionPolicy(last=1))
    backups.deliver(schedule, schedule.starts_at)

    def fail_the_capture(_event: dict[str, Any]) -> None:
        newest = backups.made(schedule)[0]
        backups.ports.catalog.replace_snapshot(replace(newest, status=SnapshotStatus.FAILED, manifest=None))

    with backups.before("ConcludeSlotFunction", fail_the_capture):
        ended = backups.deliver(schedule, schedule.starts_at + MINUTE)
    assert (ended.status, ended.error) == ("FAILED", "BackupFailed")
    last = backups.record(schedule).last_run
    assert last is not None
    assert last.status is RunStatus.FAILED
    assert len(backups.made(schedule)) == 2


def test_execution_that_wakes_up_after_a_later_slot_changes_nothing(backups: Backups) -> None:
    schedule = backups.tenant("zombie", RetentionPolicy(last=1))
    woken: list[Execution] = []

    def let_a_later_one_pass(event: dict[str, Any]) -> None:
        if event["slotAt"] == _text(schedule.starts_at):
            # As if this execution had been silent until its claim ran out.
            stored = backups.record(schedule)
            assert stored.last_run is not None
            silent = replace(stored.last_run, seen_at=schedule.created_at - timedelta(hours=1))
            backups.ports.catalog.replace_schedule(replace(stored, last_run=silent))
            woken.append(backups.deliver(schedule, schedule.starts_at + MINUTE))

    with backups.before("ConcludeSlotFunction", let_a_later_one_pass):
        ended = backups.deliver(schedule, schedule.starts_at)
    assert _last_state(backups, woken[0]) == "BackedUp"
    assert (ended.status, _last_state(backups, ended)) == ("SUCCEEDED", "SlotOver")
    last = backups.record(schedule).last_run
    assert last is not None
    assert (last.slot_at, last.status) == (schedule.starts_at + MINUTE, RunStatus.COMPLETED)


def test_unknown_tenant_and_schedule_make_nothing(backups: Backups) -> None:
    unknown = {"tenant": "nobody", "scheduleId": STACK_SCHEDULE_ID, "slotAt": "2026-01-15T10:00:00Z"}
    ended = backups.stack.wait_execution(backups.begin(unknown))
    assert (ended.status, ended.output["slot"]["reason"]) == ("SUCCEEDED", "the schedule was deleted")
    assert "nobody" not in set(backups.ports.catalog.tenants())


def test_delivery_whose_moment_was_not_filled_in_fails_and_says_so(backups: Backups) -> None:
    schedule = backups.tenant("unfilled")
    told = {"tenant": "unfilled", "scheduleId": schedule.id, "slotAt": "<aws.scheduler.scheduled-time>"}
    ended = backups.stack.wait_execution(backups.begin(told))
    assert (ended.status, ended.error) == ("FAILED", "InvalidRequest")
    assert "scheduled time" in (ended.cause or "")


# --- all tenants


def test_all_tenants_are_backed_up_and_one_that_fails_stops_no_other(backups: Backups) -> None:
    names = ["all_1", "all_2", "all_3"]
    for name in names:
        create_snapshot(backups.ports, Tenant(backups.tenant(name).tenant))
    slot_at = whole_minute(backups.ports.clock.now())
    assert backups.stack.invoke("WatchFunction", {}) == {"missed": 0}
    backups.damage_record("all_2", STACK_SCHEDULE_ID)

    ended = backups.stack.wait_execution(backups.begin({"slotAt": _text(slot_at)}))
    assert (ended.status, _last_state(backups, ended)) == ("SUCCEEDED", "TenantsBackedUp")
    report = ended.output["outcome"]["report"]
    assert report["failedTenants"] == ["all_2"]
    assert report["completed"] == report["tenants"] - 1 > 2
    for name in ("all_1", "all_3"):
        record = backups.ports.catalog.schedule(Tenant(name), STACK_SCHEDULE_ID)
        [snapshot] = backups.made(record)
        assert (snapshot.slot_at, record.retention) == (slot_at, RetentionPolicy(daily=7, weekly=5, monthly=12))
    children = [one for one in backups.stack.executions(MACHINE) if one.input.get("tenant") == "all_2"]
    assert [one.status for one in children if one.input["scheduleId"] == STACK_SCHEDULE_ID] == ["FAILED"]

    again = backups.stack.wait_execution(backups.begin({"slotAt": _text(slot_at)}))
    assert again.output["outcome"]["report"]["tenants"] == 1, "who has the slot is left out"
    assert len(backups.made(backups.ports.catalog.schedule(Tenant("all_1"), STACK_SCHEDULE_ID))) == 1
