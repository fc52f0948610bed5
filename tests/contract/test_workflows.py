"""What `ports.Workflows` promises, and what the executions in Step Functions are called and given."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.contract.aws import MEMORY, MOTO, client_of
from tests.contract.examples import ACME, OTHER
from tests.fakes import MemoryWorkflows, Started
from tests.unit.volumes.examples import SNAPSHOT_ID, TASK_ID, TEST_AREA
from tidemark.adapters.sfn_workflows import StepFunctionsWorkflows, execution_name
from tidemark.domain.environment import image_owner
from tidemark.domain.tenant import Tenant
from tidemark.errors import NotSupported
from tidemark.ports import Workflows

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

SNAPSHOT = "snapshot_2026-01-15T10-00-00Z"
RESTORE = "restore_2026-01-15T10-00-00Z-2"
VERIFICATION = "verification_2026-01-15T10-00-00Z_7"
LONG = Tenant("a" * 50)


@dataclass
class World:
    """`end` lets all executions be over; `started` says what the machines have been given, in order."""

    workflows: Workflows
    end: Callable[[], None]
    started: Callable[[], list[Started]]


class _Machines:
    """The state machines on moto."""

    def __init__(self, client: "SFNClient") -> None:
        self.client = client
        self.arns = [
            self._machine(name) for name in ("capture", "restore", "verify", "transfer", "volumes", "restores")
        ]
        self.workflows = StepFunctionsWorkflows(
            client,
            capture_arn=self.arns[0],
            restore_arn=self.arns[1],
            verify_arn=self.arns[2],
            transfer_arn=self.arns[3],
            volume_backup_arn=self.arns[4],
            volume_restore_arn=self.arns[5],
        )

    def _machine(self, name: str) -> str:
        return self.client.create_state_machine(
            name=name,
            definition='{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}',
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]

    def executions(self) -> list[str]:
        return [
            execution["executionArn"]
            for arn in self.arns
            for execution in reversed(self.client.list_executions(stateMachineArn=arn)["executions"])
        ]

    def end(self) -> None:
        for arn in self.executions():
            self.client.stop_execution(executionArn=arn)

    def started(self) -> list[Started]:
        return [self._started(arn) for arn in self.executions()]

    def _started(self, arn: str) -> Started:
        content = json.loads(self.client.describe_execution(executionArn=arn)["input"])
        verification_id, snapshot_id = content.get("verificationId"), content.get("snapshotId")
        verification_id = verification_id or content.get("transferId")
        return Started(
            content["tenant"] if "tenant" in content else image_owner(content["environment"]),
            verification_id or snapshot_id or content.get("taskId") or content["restoreId"],
            content["attempt"],
            content.get("captureId"),
            content.get("delaySeconds", 0),
            snapshot_id if verification_id else None,
            content.get("owner"),
        )


@pytest.fixture(params=[MEMORY, MOTO])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == MEMORY:
        memory = MemoryWorkflows()

        def end() -> None:
            for each in memory.started:
                memory.end(each.tenant, each.subject, attempt=each.attempt)

        yield World(memory, end, lambda: list(memory.started))
        return
    with client_of("stepfunctions", MOTO) as client:
        machines = _Machines(client)
        yield World(machines.workflows, machines.end, machines.started)


def test_running_is_none_when_the_attempt_was_never_started(world: World) -> None:
    world.workflows.start_capture(ACME, SNAPSHOT, "c-1", attempt=1, delay_s=0)
    assert world.workflows.running(ACME, SNAPSHOT, attempt=2) is None
    assert world.workflows.running(OTHER, SNAPSHOT, attempt=1) is None
    assert world.workflows.running(ACME, RESTORE, attempt=1) is None


def test_start_capture_gives_the_execution_what_it_needs(world: World) -> None:
    world.workflows.start_capture(ACME, SNAPSHOT, "c-1", attempt=2, delay_s=35)
    assert world.started() == [Started(ACME, SNAPSHOT, 2, "c-1", 35)]
    assert world.workflows.running(ACME, SNAPSHOT, attempt=2) is True


def test_start_restore_gives_the_execution_what_it_needs(world: World) -> None:
    assert world.workflows.start_restore(LONG, RESTORE, "o-1", attempt=1)
    assert world.started() == [Started(LONG, RESTORE, 1, owner="o-1")]
    assert world.workflows.running(LONG, RESTORE, attempt=1) is True


def test_start_says_whether_this_very_restore_runs_when_its_name_is_used_up(world: World) -> None:
    assert world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=1)
    assert world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=1)
    assert not world.workflows.start_restore(ACME, RESTORE, "o-2", attempt=1)
    assert world.workflows.start_restore(ACME, RESTORE, "o-2", attempt=2)
    world.end()
    assert not world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=1)
    assert world.started() == [Started(ACME, RESTORE, 1, owner="o-1"), Started(ACME, RESTORE, 2, owner="o-2")]


def test_start_verification_gives_the_execution_what_it_needs(world: World) -> None:
    world.workflows.start_verification(ACME, SNAPSHOT, VERIFICATION, attempt=2)
    assert world.started() == [Started(ACME, VERIFICATION, 2, snapshot_id=SNAPSHOT)]
    assert world.workflows.running(ACME, VERIFICATION, attempt=2) is True
    assert world.workflows.running(ACME, VERIFICATION, attempt=1) is None
    world.end()
    assert world.workflows.running(ACME, VERIFICATION, attempt=2) is False


@pytest.mark.parametrize("kind", ["copy", "export", "import"])
def test_start_transfer_gives_the_execution_what_it_needs(world: World, kind: str) -> None:
    transfer = f"{kind}_2026-01-15T10-00-00Z-3"
    world.workflows.start_transfer(ACME, SNAPSHOT, transfer, attempt=2)
    assert world.started() == [Started(ACME, transfer, 2, snapshot_id=SNAPSHOT)]
    assert world.workflows.running(ACME, transfer, attempt=2) is True
    assert world.workflows.running(ACME, transfer, attempt=1) is None
    world.end()
    assert world.workflows.running(ACME, transfer, attempt=2) is False


def test_start_volume_backup_gives_the_execution_what_it_needs(world: World) -> None:
    for _ in range(2):
        world.workflows.start_volume_backup(TEST_AREA, SNAPSHOT_ID, attempt=2)
    assert world.started() == [Started(image_owner(TEST_AREA), SNAPSHOT_ID, 2)]
    assert world.workflows.volume_backup_running(SNAPSHOT_ID, attempt=2) is True
    assert world.workflows.volume_backup_running(SNAPSHOT_ID, attempt=1) is None
    world.end()
    assert world.workflows.volume_backup_running(SNAPSHOT_ID, attempt=2) is False


def test_start_volume_restore_gives_the_execution_what_it_needs(world: World) -> None:
    for _ in range(2):
        assert world.workflows.start_volume_restore(TEST_AREA, TASK_ID, attempt=2)
    assert world.started() == [Started(image_owner(TEST_AREA), TASK_ID, 2)]
    assert world.workflows.volume_restore_running(TASK_ID, attempt=2) is True
    assert world.workflows.volume_restore_running(TASK_ID, attempt=1) is None
    world.end()
    assert world.workflows.volume_restore_running(TASK_ID, attempt=2) is False
    assert not world.workflows.start_volume_restore(TEST_AREA, TASK_ID, attempt=2)


def test_backup_of_a_volume_is_refused_where_no_machine_makes_it() -> None:
    with client_of("stepfunctions", MOTO) as client:
        workflows = StepFunctionsWorkflows(client, capture_arn="", restore_arn="", verify_arn="", transfer_arn="")
        with pytest.raises(NotSupported):
            workflows.start_volume_backup(TEST_AREA, SNAPSHOT_ID, attempt=1)
        with pytest.raises(NotSupported):
            workflows.start_volume_restore(TEST_AREA, TASK_ID, attempt=1)


def test_running_is_false_when_the_attempt_is_over(world: World) -> None:
    world.workflows.start_capture(ACME, SNAPSHOT, "c-1", attempt=1, delay_s=0)
    world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=1)
    world.end()
    assert world.workflows.running(ACME, SNAPSHOT, attempt=1) is False
    assert world.workflows.running(ACME, RESTORE, attempt=1) is False


def test_start_changes_nothing_when_the_attempt_runs_already(world: World) -> None:
    for delay_s in (0, 0, 30):
        world.workflows.start_capture(ACME, SNAPSHOT, "c-1", attempt=1, delay_s=delay_s)
        world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=1)
    assert world.started() == [Started(ACME, SNAPSHOT, 1, "c-1", 0), Started(ACME, RESTORE, 1, owner="o-1")]


def test_start_changes_nothing_when_the_attempt_is_over(world: World) -> None:
    for _ in range(2):
        world.workflows.start_capture(ACME, SNAPSHOT, "c-1", attempt=1, delay_s=0)
        world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=1)
        world.end()
    assert len(world.started()) == 2
    assert world.workflows.running(ACME, RESTORE, attempt=1) is False


def test_start_starts_anew_when_it_is_another_attempt(world: World) -> None:
    for attempt in (1, 2):
        world.workflows.start_restore(ACME, RESTORE, "o-1", attempt=attempt)
        world.end()
    assert [each.attempt for each in world.started()] == [1, 2]


def test_execution_name_says_what_it_is_for() -> None:
    assert execution_name(ACME, SNAPSHOT, 3) == "acme-snapshot_2026-01-15T10-00-00Z_3"


def test_execution_name_stays_within_the_limit_and_unique_when_tenants_are_long() -> None:
    subject = f"{SNAPSHOT}-999999"
    tenants = [Tenant("a" * length) for length in range(1, 51)] + [Tenant("a" * 49 + "b")]
    names = {execution_name(tenant, subject, 12) for tenant in tenants}
    assert len(names) == len(tenants)
    assert max(map(len, names)) == 80
    assert all(name.endswith(f"-{subject}_12") for name in names)
    # Of others, Step Functions does not promise a log.
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)
