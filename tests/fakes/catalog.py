"""The catalog in memory."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from tidemark.adapters.dynamo_records import Stored
from tidemark.domain.api_key import ApiKey
from tidemark.domain.restore import DamagedRestore, Restore, StagedPart
from tidemark.domain.schedule import DamagedSchedule, Schedule
from tidemark.domain.snapshot import DamagedSnapshot, Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import (
    KeyNotFound,
    NotFound,
    RecordExists,
    RestoreNotFound,
    ScheduleNotFound,
    SnapshotNotFound,
    StaleRecord,
)


class Shelf[K, V: Stored]:
    """The records of one kind, with their rules for writing."""

    def __init__(self, kind: str, absent: Callable[[str], NotFound]) -> None:
        self._kind = kind
        self._absent = absent
        self.records: dict[K, V] = {}

    def add(self, key: K, record: V) -> V:
        stored = replace(record, version=record.version + 1)
        if self.records.setdefault(key, stored) != stored:
            raise RecordExists(f"{self._kind} {record.id} is already registered")
        return stored

    def get(self, key: K, name: str) -> V:
        if key not in self.records:
            raise self._absent(f"no {self._kind} {name}")
        return self.records[key]

    def replace(self, key: K, record: V) -> V:
        present = self.get(key, record.id)
        wanted = replace(record, version=record.version + 1)
        if present != wanted and present.version != record.version:
            raise StaleRecord(f"{self._kind} {record.id} has changed since it was read")
        self.records[key] = wanted
        return wanted

    def remove(self, key: K, record: V) -> None:
        present = self.records.get(key)
        if present is None:
            return
        if present.version != record.version:
            raise StaleRecord(f"{self._kind} {record.id} has changed since it was read")
        del self.records[key]


class MemoryCatalog:
    """All records in dictionaries, behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._snapshots = Shelf[tuple[Tenant, str], Snapshot]("snapshot", SnapshotNotFound)
        self._restores = Shelf[tuple[Tenant, str], Restore]("restore", RestoreNotFound)
        self._schedules = Shelf[tuple[Tenant, str], Schedule]("schedule", ScheduleNotFound)
        self._keys = Shelf[str, ApiKey]("API key", KeyNotFound)
        self._tenants: set[Tenant] = set()
        self._done: dict[tuple[Tenant, str], dict[int, int]] = {}
        self._parts: dict[tuple[Tenant, str], dict[int, StagedPart]] = {}

    def add_tenant(self, tenant: Tenant) -> None:
        with self._lock:
            self._tenants.add(tenant)

    def tenants(self) -> Iterator[Tenant]:
        with self._lock:
            found = sorted(self._tenants)
        yield from found

    def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
        with self._lock:
            return self._snapshots.add((snapshot.tenant, snapshot.id), snapshot)

    def snapshot(self, tenant: Tenant, snapshot_id: str) -> Snapshot:
        with self._lock:
            return self._snapshots.get((tenant, snapshot_id), snapshot_id)

    def snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot]:
        def fits(second: datetime) -> bool:
            return (since is None or second >= since) and (before is None or second < before)

        with self._lock:
            found = [
                snapshot
                for (owner, _), snapshot in self._snapshots.records.items()
                if owner == tenant and fits(snapshot.created_at.replace(microsecond=0))
            ]
        yield from sorted(found, key=_age, reverse=True)

    def found_snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot | DamagedSnapshot]:
        yield from self.snapshots(tenant, since=since, before=before)

    def replace_snapshot(self, snapshot: Snapshot) -> Snapshot:
        with self._lock:
            return self._snapshots.replace((snapshot.tenant, snapshot.id), snapshot)

    def remove_snapshot(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._snapshots.remove((snapshot.tenant, snapshot.id), snapshot)

    def add_restore(self, restore: Restore) -> Restore:
        with self._lock:
            return self._restores.add((restore.tenant, restore.id), restore)

    def restore(self, tenant: Tenant, restore_id: str) -> Restore:
        with self._lock:
            return self._restores.get((tenant, restore_id), restore_id)

    def restores(self, tenant: Tenant) -> Iterator[Restore]:
        with self._lock:
            found = [restore for (owner, _), restore in self._restores.records.items() if owner == tenant]
        yield from sorted(found, key=_age, reverse=True)

    def found_restores(self, tenant: Tenant) -> Iterator[Restore | DamagedRestore]:
        yield from self.restores(tenant)

    def replace_restore(self, restore: Restore) -> Restore:
        with self._lock:
            return self._restores.replace((restore.tenant, restore.id), restore)

    def add_schedule(self, schedule: Schedule) -> Schedule:
        with self._lock:
            return self._schedules.add((schedule.tenant, schedule.id), schedule)

    def schedule(self, tenant: Tenant, schedule_id: str) -> Schedule:
        with self._lock:
            return self._schedules.get((tenant, schedule_id), schedule_id)

    def found_schedules(self, tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
        with self._lock:
            found = [schedule for (owner, _), schedule in self._schedules.records.items() if owner == tenant]
        yield from sorted(found, key=lambda schedule: schedule.id)

    def replace_schedule(self, schedule: Schedule) -> Schedule:
        with self._lock:
            return self._schedules.replace((schedule.tenant, schedule.id), schedule)

    def remove_schedule(self, schedule: Schedule) -> None:
        with self._lock:
            self._schedules.remove((schedule.tenant, schedule.id), schedule)

    def remove_damaged_schedule(self, tenant: Tenant, schedule_id: str) -> None:
        with self._lock:
            if (tenant, schedule_id) in self._schedules.records:
                raise StaleRecord(f"schedule {schedule_id} is not damaged: records in memory never are")

    def record_part(
        self, tenant: Tenant, restore_id: str, part: StagedPart, *, after: StagedPart | None = None
    ) -> None:
        with self._lock:
            noted = self._parts.setdefault((tenant, restore_id), {})
            found = noted.get(part.part)
            goes_on = found is not None and after is not None and found.reached == after.reached is not None
            if not goes_on and (found is not None or after is not None):
                raise StaleRecord(f"part {part.part} of restore {restore_id} was staged further by somebody else")
            noted[part.part] = part

    def part(self, tenant: Tenant, restore_id: str, number: int) -> StagedPart | None:
        with self._lock:
            return self._parts.get((tenant, restore_id), {}).get(number)

    def parts(self, tenant: Tenant, restore_id: str) -> list[StagedPart]:
        with self._lock:
            return [part for _, part in sorted(self._parts.get((tenant, restore_id), {}).items())]

    def remove_parts(self, tenant: Tenant, restore_id: str) -> None:
        with self._lock:
            self._parts.pop((tenant, restore_id), None)

    def note_done(self, tenant: Tenant, transfer_id: str, part: int, entities: int, *, until: datetime) -> None:
        del until
        with self._lock:
            self._done.setdefault((tenant, transfer_id), {})[part] = entities

    def done(self, tenant: Tenant, transfer_id: str) -> int:
        with self._lock:
            return sum(self._done.get((tenant, transfer_id), {}).values())

    def add_key(self, key: ApiKey) -> ApiKey:
        with self._lock:
            return self._keys.add(key.id, key)

    def key(self, key_id: str) -> ApiKey:
        with self._lock:
            return self._keys.get(key_id, key_id)

    def keys(self) -> Iterator[ApiKey]:
        with self._lock:
            found = list(self._keys.records.values())
        yield from found

    def replace_key(self, key: ApiKey) -> ApiKey:
        with self._lock:
            return self._keys.replace(key.id, key)


def _age(record: Snapshot | Restore) -> tuple[str, int]:
    """What ids are ordered by: the second, then the sequence number, which is absent for the first of a second."""
    second, _, sequence = record.id.partition("Z")
    return second, int(sequence.lstrip("-") or 1)
