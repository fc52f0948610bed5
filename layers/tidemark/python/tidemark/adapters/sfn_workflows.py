"""Executions of the state machines that requests start. Each is named after its subject, so it starts at most once.

Names are of letters, digits, hyphens and underscores alone, as the API Reference of Step Functions, "StartExecution",
asks for where executions are logged.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import code_of, named
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.tenant import Tenant
from tidemark.errors import NotSupported

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

_NAME_CHARS: Final = 80
_HASH_CHARS: Final = 8


class StepFunctionsWorkflows:
    """See `tidemark.ports.Workflows`. The state machines are of type STANDARD: only those remember names."""

    def __init__(
        self,
        client: "SFNClient",
        *,
        capture_arn: str,
        restore_arn: str,
        verify_arn: str,
        transfer_arn: str,
        volume_backup_arn: str = "",
        volume_restore_arn: str = "",
    ) -> None:
        self._client = client
        self._capture_arn = capture_arn
        self._restore_arn = restore_arn
        self._verify_arn = verify_arn
        self._transfer_arn = transfer_arn
        self._volume_backup_arn = volume_backup_arn
        self._volume_restore_arn = volume_restore_arn

    def start_capture(self, tenant: Tenant, snapshot_id: str, capture_id: str, *, attempt: int, delay_s: int) -> None:
        content = {
            "tenant": tenant,
            "snapshotId": snapshot_id,
            "captureId": capture_id,
            "attempt": attempt,
            "delaySeconds": delay_s,
        }
        self._start(self._capture_arn, execution_name(tenant, snapshot_id, attempt), content)

    def start_restore(self, tenant: Tenant, restore_id: str, owner: str, *, attempt: int) -> bool:
        # No phase needs the owner: it tells executions apart that have one name.
        content = {"tenant": tenant, "restoreId": restore_id, "owner": owner, "attempt": attempt}
        return self._start(self._restore_arn, execution_name(tenant, restore_id, attempt), content)

    def start_verification(self, tenant: Tenant, snapshot_id: str, verification_id: str, *, attempt: int) -> None:
        content = {
            "tenant": tenant,
            "snapshotId": snapshot_id,
            "verificationId": verification_id,
            "attempt": attempt,
        }
        self._start(self._verify_arn, execution_name(tenant, verification_id, attempt), content)

    def start_transfer(self, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int) -> None:
        content = {"tenant": tenant, "snapshotId": snapshot_id, "transferId": transfer_id, "attempt": attempt}
        self._start(self._transfer_arn, execution_name(tenant, transfer_id, attempt), content)

    def running(self, tenant: Tenant, subject: str, *, attempt: int) -> bool | None:
        machines = {
            "restore": self._restore_arn,
            "verification": self._verify_arn,
            **dict.fromkeys(("copy", "export", "import"), self._transfer_arn),
        }
        machine = machines.get(subject.partition("_")[0], self._capture_arn)
        return self._is_running(machine, execution_name(tenant, subject, attempt))

    def start_volume_backup(self, environment: EnvironmentId, snapshot_id: str, *, attempt: int) -> None:
        content = {"environment": environment, "snapshotId": snapshot_id, "attempt": attempt}
        self._start(self._volume_backups(), f"{snapshot_id}_{attempt}", content)

    def volume_backup_running(self, snapshot_id: str, *, attempt: int) -> bool | None:
        return self._is_running(self._volume_backups(), f"{snapshot_id}_{attempt}")

    def start_volume_restore(self, environment: EnvironmentId, task_id: str, *, attempt: int) -> bool:
        content = {"environment": environment, "taskId": task_id, "attempt": attempt}
        return self._start(self._volume_restores(), f"{task_id}_{attempt}", content)

    def volume_restore_running(self, task_id: str, *, attempt: int) -> bool | None:
        return self._is_running(self._volume_restores(), f"{task_id}_{attempt}")

    def _volume_restores(self) -> str:
        if not self._volume_restore_arn:
            raise NotSupported("no state machine that makes volumes of snapshots is wired here")
        return self._volume_restore_arn

    def _volume_backups(self) -> str:
        if not self._volume_backup_arn:
            raise NotSupported("no state machine that makes snapshots of volumes is wired here")
        return self._volume_backup_arn

    def _is_running(self, machine: str, name: str) -> bool | None:
        arn = f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"
        with named(f"looking at execution {name}"):
            try:
                return self._client.describe_execution(executionArn=arn)["status"] == "RUNNING"
            except ClientError as error:
                if code_of(error) != "ExecutionDoesNotExist":
                    raise
                return None

    def _start(self, machine: str, name: str, content: dict[str, Any]) -> bool:
        """Whether the execution runs: one that does is met again by the same content, and by that alone."""
        with named(f"starting execution {name}"):
            try:
                self._client.start_execution(stateMachineArn=machine, name=name, input=json.dumps(content))
            except ClientError as error:
                if code_of(error) != "ExecutionAlreadyExists":
                    raise
                return False
        return True


def execution_name(tenant: Tenant, subject: str, attempt: int) -> str:
    """`{tenant}-{subject}_{attempt}`; too long for AWS, the tenant is cut short and told apart by a hash."""
    rest = f"-{subject}_{attempt}"
    if len(tenant) + len(rest) <= _NAME_CHARS:
        return tenant + rest
    mark = "-" + hashlib.sha256(tenant.encode()).hexdigest()[:_HASH_CHARS]
    return tenant[: _NAME_CHARS - len(rest) - len(mark)] + mark + rest
