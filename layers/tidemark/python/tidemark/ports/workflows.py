"""The port of the state machines."""

from typing import Protocol

from tidemark.domain.environment import EnvironmentId
from tidemark.domain.tenant import Tenant


class Workflows(Protocol):
    """The state machines."""

    def start_capture(self, tenant: Tenant, snapshot_id: str, capture_id: str, *, attempt: int, delay_s: int) -> None:
        """Start the execution of a capture after a delay.

        Repeating it changes nothing while that attempt runs or after it ended.
        """
        ...

    def start_restore(self, tenant: Tenant, restore_id: str, owner: str, *, attempt: int) -> bool:
        """Start the execution of a restore; whether it runs now. Repeating it changes nothing while that attempt runs
        or after it ended.

        False where the attempt has ended, or is that of another `owner`: a request that died before it had registered
        its restore may have left the id to a later one, but its execution keeps the name.
        """
        ...

    def start_verification(self, tenant: Tenant, snapshot_id: str, verification_id: str, *, attempt: int) -> None:
        """Start the execution of a verification. Repeating it changes nothing while that attempt runs or after it
        ended.
        """
        ...

    def start_transfer(self, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int) -> None:
        """Start the execution of a copy, export or import. Repeating it changes nothing while that attempt runs or
        after it ended.
        """
        ...

    def start_volume_backup(self, environment: EnvironmentId, snapshot_id: str, *, attempt: int) -> None:
        """Start the execution that makes a snapshot of a volume. Repeating it changes nothing while that attempt runs
        or after it ended.
        """
        ...

    def volume_backup_running(self, snapshot_id: str, *, attempt: int) -> bool | None:
        """Whether that attempt at a snapshot of a volume is running; None when it was never started."""
        ...

    def start_volume_restore(self, environment: EnvironmentId, task_id: str, *, attempt: int) -> bool:
        """Start the execution that makes a volume or image of a snapshot; whether it runs now. Repeating it changes
        nothing while that attempt runs or after it ended.
        """
        ...

    def volume_restore_running(self, task_id: str, *, attempt: int) -> bool | None:
        """Whether that attempt at the task of a restore or template is running; None when it was never started."""
        ...

    def running(self, tenant: Tenant, subject: str, *, attempt: int) -> bool | None:
        """Whether that attempt of the snapshot's, restore's, verification's or transfer's execution is running; None
        when it was never started.
        """
        ...
