"""The ports of records: snapshots, restores, schedules, keys, and the answers to requests that may be sent again."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from tidemark.domain.api_key import ApiKey
from tidemark.domain.asked import Asked
from tidemark.domain.restore import DamagedRestore, Restore, StagedPart
from tidemark.domain.snapshot import DamagedSnapshot, Snapshot
from tidemark.domain.tenant import Tenant

if TYPE_CHECKING:
    # Few functions see one, and each pays with its start for what it loads.
    from tidemark.domain.schedule import DamagedSchedule, Schedule


class Catalog(Protocol):
    """The records of snapshots, restores, schedules and API keys.

    `add_*` is conditional on the record not existing (RecordExists); `replace_*` on the stored `version` being the
    given one (StaleRecord, or the kind's not-found error). Both return the record as stored, with its new version, and
    may be repeated: storing the same content again is success.
    """

    def add_tenant(self, tenant: Tenant) -> None:
        """Note that the tenant may have snapshots. Repeating it changes nothing."""
        ...

    def tenants(self) -> Iterator[Tenant]:
        """Every tenant that was noted, in the order of their names."""
        ...

    def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Register a snapshot."""
        ...

    def snapshot(self, tenant: Tenant, snapshot_id: str) -> Snapshot:
        """One snapshot. Raises SnapshotNotFound."""
        ...

    def snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot]:
        """The snapshots of the tenant, newest first, in every status: all, or those whose second of creation, which is
        what their ids and people see, is not earlier than `since`, and earlier than `before`.
        """
        ...

    def found_snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot | DamagedSnapshot]:
        """The same, where a damaged record is no reason to see none of the others."""
        ...

    def replace_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Store a changed snapshot."""
        ...

    def remove_snapshot(self, snapshot: Snapshot) -> None:
        """Forget a snapshot record, conditional on its version. Repeating it changes nothing."""
        ...

    def add_restore(self, restore: Restore) -> Restore:
        """Register a restore."""
        ...

    def restore(self, tenant: Tenant, restore_id: str) -> Restore:
        """One restore. Raises RestoreNotFound."""
        ...

    def restores(self, tenant: Tenant) -> Iterator[Restore]:
        """All restores of the tenant, newest first."""
        ...

    def found_restores(self, tenant: Tenant) -> Iterator[Restore | DamagedRestore]:
        """The same, where a damaged record is no reason to see none of the others."""
        ...

    def replace_restore(self, restore: Restore) -> Restore:
        """Store a changed restore."""
        ...

    def add_schedule(self, schedule: "Schedule") -> "Schedule":
        """Register a schedule."""
        ...

    def schedule(self, tenant: Tenant, schedule_id: str) -> "Schedule":
        """One schedule. Raises ScheduleNotFound."""
        ...

    def found_schedules(self, tenant: Tenant) -> "Iterator[Schedule | DamagedSchedule]":
        """All schedules of the tenant, by id, where a damaged record is no reason to see none of the others."""
        ...

    def replace_schedule(self, schedule: "Schedule") -> "Schedule":
        """Store a changed schedule."""
        ...

    def remove_schedule(self, schedule: "Schedule") -> None:
        """Forget a schedule record, conditional on its version. Repeating it changes nothing."""
        ...

    def remove_damaged_schedule(self, tenant: Tenant, schedule_id: str) -> None:
        """Forget a schedule record that can't be read. Repeating it changes nothing. Raises StaleRecord for one that
        can be.
        """
        ...

    def record_part(
        self, tenant: Tenant, restore_id: str, part: StagedPart, *, after: StagedPart | None = None
    ) -> None:
        """Note how far the staging of a part is, if what is noted of it is `after`, which is not all of the part; None:
        nothing. Raises StaleRecord, also when it is repeated.
        """
        ...

    def part(self, tenant: Tenant, restore_id: str, number: int) -> StagedPart | None:
        """What is noted of a part."""
        ...

    def parts(self, tenant: Tenant, restore_id: str) -> list[StagedPart]:
        """What is noted so far, by part number."""
        ...

    def remove_parts(self, tenant: Tenant, restore_id: str) -> None:
        """Forget the results noted of a restore. Repeating it changes nothing."""
        ...

    def note_done(self, tenant: Tenant, transfer_id: str, part: int, entities: int, *, until: datetime) -> None:
        """Note how many entities a worker of a copy, export or import went through; forgotten some time after `until`.
        Repeating it replaces the note.
        """
        ...

    def done(self, tenant: Tenant, transfer_id: str) -> int:
        """The entities noted so far, in all."""
        ...

    def add_key(self, key: ApiKey) -> ApiKey:
        """Register an API key."""
        ...

    def key(self, key_id: str) -> ApiKey:
        """One API key. Raises KeyNotFound."""
        ...

    def keys(self) -> Iterator[ApiKey]:
        """Every API key, in any order."""
        ...

    def replace_key(self, key: ApiKey) -> ApiKey:
        """Store a changed API key."""
        ...


class Repeats(Protocol):
    """The answers to requests that may be sent again."""

    def once(self, tenant: Tenant, asked: Asked, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `answer` returns, a JSON object; if it was asked for in the last `KEPT_FOR`, what it returned then.

        Where `answer` raises, nothing is kept. Raises RequestInProgress while it runs elsewhere, for as long as a
        request may live, and KeyReused if something else was asked under the key.
        """
        ...
