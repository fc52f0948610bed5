"""State machines that remember what was started and run nothing."""

import threading
from dataclasses import dataclass

from tidemark.domain.environment import EnvironmentId, image_owner
from tidemark.domain.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Started:
    """One execution: `subject` is a snapshot, restore, verification or transfer id; what it isn't given is None."""

    tenant: Tenant
    subject: str
    attempt: int
    capture_id: str | None = None
    delay_s: int = 0
    snapshot_id: str | None = None
    owner: str | None = None


class MemoryWorkflows:
    """`started` lists the executions in the order of their starts. One runs until `end` is called for it."""

    def __init__(self) -> None:
        self.started: list[Started] = []
        self._running: dict[tuple[str, str, int], Started | None] = {}
        self._lock = threading.Lock()

    def start_capture(self, tenant: Tenant, snapshot_id: str, capture_id: str, *, attempt: int, delay_s: int) -> None:
        self._start(Started(tenant, snapshot_id, attempt, capture_id, delay_s))

    def start_restore(self, tenant: Tenant, restore_id: str, owner: str, *, attempt: int) -> bool:
        return self._start(Started(tenant, restore_id, attempt, owner=owner))

    def start_verification(self, tenant: Tenant, snapshot_id: str, verification_id: str, *, attempt: int) -> None:
        self._start(Started(tenant, verification_id, attempt, snapshot_id=snapshot_id))

    def start_transfer(self, tenant: Tenant, snapshot_id: str, transfer_id: str, *, attempt: int) -> None:
        self._start(Started(tenant, transfer_id, attempt, snapshot_id=snapshot_id))

    def start_volume_backup(self, environment: EnvironmentId, snapshot_id: str, *, attempt: int) -> None:
        self._start(Started(image_owner(environment), snapshot_id, attempt))

    def volume_backup_running(self, snapshot_id: str, *, attempt: int) -> bool | None:
        with self._lock:
            found = [name for name in self._running if name[1:] == (snapshot_id, attempt)]
            return self._running[found[0]] is not None if found else None

    def start_volume_restore(self, environment: EnvironmentId, task_id: str, *, attempt: int) -> bool:
        return self._start(Started(image_owner(environment), task_id, attempt))

    def volume_restore_running(self, task_id: str, *, attempt: int) -> bool | None:
        return self.volume_backup_running(task_id, attempt=attempt)

    def running(self, tenant: Tenant, subject: str, *, attempt: int) -> bool | None:
        with self._lock:
            name = (tenant, subject, attempt)
            return self._running[name] is not None if name in self._running else None

    def end(self, tenant: Tenant, subject: str, *, attempt: int = 1) -> None:
        """Let an execution be over, in whatever way."""
        with self._lock:
            self._running[tenant, subject, attempt] = None

    def _start(self, execution: Started) -> bool:
        """Whether it runs. What runs is met again by what it was given, and by that alone."""
        with self._lock:
            name = (execution.tenant, execution.subject, execution.attempt)
            if name not in self._running:
                self._running[name] = execution
                self.started.append(execution)
            return self._running[name] == execution
