"""The in-memory ports, with a meter that counts what the adapters would ask of AWS for every call: requests, bytes, and
the request units that DynamoDB bills.

How a call becomes requests is the adapters' doing; `test_costs.py` compares both on one story. A query is rounded up to
units as a whole; transactional writes count twice.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched
from typing import Final

import msgspec

from tests.fakes import (
    ManualClock,
    MemoryCatalog,
    MemoryEntityTable,
    MemoryLinks,
    MemoryPayloads,
    MemoryVolumeCatalog,
    memory_ports,
)
from tests.repo.units import index_keys, index_units, item_bytes, read_units, size_of, write_units
from tidemark.adapters import dynamo_rows as rows
from tidemark.domain.environment import EnvironmentId
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import ChangedKey, Cut, Gate, Generation, Item, ItemKey, ItemWrite, Layout, TenantState
from tidemark.domain.restore import Restore, StagedPart
from tidemark.domain.schedule import DamagedSchedule, Schedule
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import ScheduleNotFound
from tidemark.ports import ChangedPage, Loaded, Page, Ports, StoredObject, UploadedPart

READ_UNITS: Final = "read units"
WRITE_UNITS: Final = "write units"
STORED_BYTES: Final = "bytes stored in S3"
ENTITY_BYTES: Final = "bytes stored in DynamoDB"
# How S3 bills requests: those that store, copy or list, and those that read. Deleting is free.
S3_STORING: Final = (
    "PutObject",
    "CopyObject",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "ListParts",
    "CompleteMultipartUpload",
)
S3_READING: Final = ("GetObject", "HeadObject")

_KEYS_OF_A_READ: Final = 100
_ITEMS_OF_A_WRITE: Final = 25
_TRANSACTIONAL: Final = 2
# What DynamoDB adds to each item, and to each entry of an index, when it bills storage.
_OVERHEAD_BYTES: Final = 100
# `changed` and its number in an entry of the index.
_CUT_BYTES: Final = 12
# A note of progress: its keys, a number and its expiry.
_NOTE_BYTES: Final = 200
_KEYS_OF_A_LIST: Final = 1000
_PARTS_OF_A_LIST: Final = 1000

type Meter = Counter[str]


def taken(meter: Meter, transitions: int = 0) -> Meter:
    """What was counted, with the transitions of the state machine; the meter begins anew."""
    found = Counter(meter)
    meter.clear()
    if transitions:
        found["transitions"] = transitions
    return found


class MeteredTable(MemoryEntityTable):
    """The entity table."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def load(self, tenant: Tenant, keys: Sequence[ItemKey] = (), gates: Sequence[int] = ()) -> Loaded:
        loaded = super().load(tenant, keys, gates)
        wanted = 1 + len(set(gates)) + len(set(keys))
        found = [size_of(rows.state_row(loaded.state))] if loaded.state else []
        found += [size_of(rows.gate_row(gate)) for gate in loaded.gates.values()]
        found += [item_bytes(tenant, item) for item in loaded.items.values()]
        self._meter["BatchGetItem"] += -(-wanted // _KEYS_OF_A_READ)
        self._meter[READ_UNITS] += sum(map(read_units, found)) + wanted - len(found)
        return loaded

    def add_state(self, state: TenantState) -> None:
        self._count_put(rows.state_row(state))
        super().add_state(state)

    def replace_state(self, state: TenantState) -> TenantState:
        self._count_put(rows.state_row(state))
        return super().replace_state(state)

    def add_gate(self, gate: Gate) -> None:
        self._count_put(rows.gate_row(gate))
        super().add_gate(gate)

    def replace_gate(self, gate: Gate) -> Gate:
        self._count_put(rows.gate_row(gate))
        return super().replace_gate(gate)

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        before = super().load(tenant, [write.key for write in writes]).items
        units = sum(write_units(size_of(rows.gate_row(gate))) for gate in gates)
        for write in writes:
            old = before.get(write.key)
            sizes = [item_bytes(tenant, item) for item in (old, write.item) if item]
            units += write_units(max(sizes, default=0)) + index_units(old, write.item)
        self._meter["TransactWriteItems"] += 1
        self._meter[WRITE_UNITS] += _TRANSACTIONAL * units
        super().commit(tenant, gates, writes)

    def page(
        self,
        tenant: Tenant,
        generation: Generation,
        shard: int,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Page:
        page = super().page(tenant, generation, shard, prefix=prefix, after=after, limit=limit)
        self._meter["Query"] += 1
        self._meter[READ_UNITS] += read_units(sum(item_bytes(tenant, item) for item in page.items))
        return page

    def keys_of_id(self, tenant: Tenant, generation: Generation, shard: int, entity_id: str) -> list[EntityKey]:
        self._meter["Query"] += 1
        self._meter[READ_UNITS] += 1
        return super().keys_of_id(tenant, generation, shard, entity_id)

    def changed_keys(
        self, tenant: Tenant, generation: Generation, shard: int, *, since: Cut, after: ChangedKey | None = None
    ) -> ChangedPage:
        page = super().changed_keys(tenant, generation, shard, since=since, after=after)
        entries = (rows.item_key(tenant, ItemKey(generation, shard, one.sort_key)) for one in page.keys)
        self._meter["Query"] += 1
        self._meter[READ_UNITS] += read_units(sum(size_of(entry) + _CUT_BYTES for entry in entries))
        return page

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        for item in items:
            row_bytes = item_bytes(tenant, item)
            self._meter[WRITE_UNITS] += write_units(row_bytes) + index_units(None, item)
            self._meter[ENTITY_BYTES] += row_bytes + _OVERHEAD_BYTES
            for key in filter(None, index_keys(item)):
                self._meter[ENTITY_BYTES] += size_of(rows.item_key(tenant, item.key)) + len(key) + _OVERHEAD_BYTES
        self._meter["BatchExecuteStatement"] += -(-len(items) // _ITEMS_OF_A_WRITE)
        super().insert(tenant, items)

    def remove(self, tenant: Tenant, keys: Sequence[ItemKey]) -> None:
        for some in batched(keys, _ITEMS_OF_A_WRITE, strict=False):
            self._meter["BatchWriteItem"] += 1
            for item in super().load(tenant, some).items.values():
                self._meter[WRITE_UNITS] += write_units(item_bytes(tenant, item)) + index_units(item, None)
        super().remove(tenant, keys)

    def _count_put(self, row: rows.Row) -> None:
        self._meter["PutItem"] += 1
        self._meter[WRITE_UNITS] += write_units(size_of(row))


class MeteredPayloads(MemoryPayloads):
    """The bucket. A request for what is not there is a request too."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def put(self, key: str, body: bytes) -> None:
        self._meter["PutObject"] += 1
        super().put(key, body)
        self._meter[STORED_BYTES] += len(body)

    def copy(self, source_key: str, key: str) -> None:
        self._meter["CopyObject"] += 1
        body = super().get(source_key)
        super().put(key, body)
        self._meter[STORED_BYTES] += len(body)

    def get(self, key: str) -> bytes:
        self._meter["GetObject"] += 1
        return super().get(key)

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        self._meter["GetObject"] += 1
        return super().get(key)[offset : offset + length_bytes]

    def head(self, key: str) -> StoredObject:
        self._meter["HeadObject"] += 1
        body = super().get(key)
        return StoredObject(key, len(body), hashlib.sha256(body).hexdigest())

    def list(self, prefix: str) -> Iterator[StoredObject]:
        found = list(super().list(prefix))
        self._meter["ListObjectsV2"] += max(1, -(-len(found) // _KEYS_OF_A_LIST))
        yield from found


class MeteredLinks(MemoryLinks):
    """Addresses: making one asks nothing of AWS, using one does."""

    def __init__(self, meter: Meter, payloads: MemoryPayloads, clock: ManualClock) -> None:
        super().__init__(payloads, clock)
        self._meter = meter

    def begin_upload(self, key: str) -> str:
        self._meter["CreateMultipartUpload"] += 1
        return super().begin_upload(key)

    def uploaded(self, key: str, upload_id: str) -> list[UploadedPart]:
        found = super().uploaded(key, upload_id)
        self._meter["ListParts"] += max(1, -(-len(found) // _PARTS_OF_A_LIST))
        return found

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        self._meter["CompleteMultipartUpload"] += 1
        super().complete_upload(key, upload_id, parts)

    def send(self, url: str, body: bytes) -> None:
        self._meter["UploadPart"] += 1
        super().send(url, body)
        self._meter[STORED_BYTES] += len(body)


class MeteredCatalog(MemoryCatalog):
    """The catalog. Its lists are short, so a query counts as one page."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def add_tenant(self, tenant: Tenant) -> None:
        self._put(tenant, super().add_tenant)

    def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return self._put(snapshot, super().add_snapshot)

    def replace_snapshot(self, snapshot: Snapshot) -> Snapshot:
        return self._put(snapshot, super().replace_snapshot)

    def snapshot(self, tenant: Tenant, snapshot_id: str) -> Snapshot:
        return self._got(super().snapshot(tenant, snapshot_id))

    def snapshots(
        self, tenant: Tenant, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Snapshot]:
        return self._listed(list(super().snapshots(tenant, since=since, before=before)))

    def tenants(self) -> Iterator[Tenant]:
        return self._listed(list(super().tenants()))

    def add_schedule(self, schedule: Schedule) -> Schedule:
        return self._put(schedule, super().add_schedule)

    def replace_schedule(self, schedule: Schedule) -> Schedule:
        return self._put(schedule, super().replace_schedule)

    def schedule(self, tenant: Tenant, schedule_id: str) -> Schedule:
        self._meter["GetItem"] += 1
        try:
            found = super().schedule(tenant, schedule_id)
        except ScheduleNotFound:
            self._meter[READ_UNITS] += 1
            raise
        self._meter[READ_UNITS] += read_units(_record_bytes(found))
        return found

    def found_schedules(self, tenant: Tenant) -> Iterator[Schedule | DamagedSchedule]:
        return self._listed(list(super().found_schedules(tenant)))

    def add_restore(self, restore: Restore) -> Restore:
        return self._put(restore, super().add_restore)

    def replace_restore(self, restore: Restore) -> Restore:
        return self._put(restore, super().replace_restore)

    def restore(self, tenant: Tenant, restore_id: str) -> Restore:
        return self._got(super().restore(tenant, restore_id))

    def restores(self, tenant: Tenant) -> Iterator[Restore]:
        return self._listed(list(super().restores(tenant)))

    def record_part(
        self, tenant: Tenant, restore_id: str, part: StagedPart, *, after: StagedPart | None = None
    ) -> None:
        self._put(part, lambda noted: super(MeteredCatalog, self).record_part(tenant, restore_id, noted, after=after))

    def part(self, tenant: Tenant, restore_id: str, number: int) -> StagedPart | None:
        self._meter["GetItem"] += 1
        found = super().part(tenant, restore_id, number)
        self._meter[READ_UNITS] += 1 if found is None else read_units(_record_bytes(found))
        return found

    def parts(self, tenant: Tenant, restore_id: str) -> list[StagedPart]:
        return list(self._listed(super().parts(tenant, restore_id)))

    def note_done(self, tenant: Tenant, transfer_id: str, part: int, entities: int, *, until: datetime) -> None:
        self._meter["PutItem"] += 1
        self._meter[WRITE_UNITS] += write_units(_NOTE_BYTES)
        super().note_done(tenant, transfer_id, part, entities, until=until)

    def _put[V, R](self, record: V, store: Callable[[V], R]) -> R:
        self._meter["PutItem"] += 1
        self._meter[WRITE_UNITS] += write_units(_record_bytes(record))
        return store(record)

    def _listed[V](self, records: Sequence[V]) -> Iterator[V]:
        self._meter["Query"] += 1
        self._meter[READ_UNITS] += read_units(sum(map(_record_bytes, records)))
        yield from records

    def _got[V](self, record: V) -> V:
        self._meter["GetItem"] += 1
        self._meter[READ_UNITS] += read_units(_record_bytes(record))
        return record


def _record_bytes(record: object) -> int:
    return len(msgspec.json.encode(record)) + _OVERHEAD_BYTES


class MeteredVolumeCatalog(MemoryVolumeCatalog):
    """The records of volumes, of which those that have none are asked for environments alone."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def environment_ids(self) -> Iterator[EnvironmentId]:
        found = list(super().environment_ids())
        self._meter["Query"] += 1
        self._meter[READ_UNITS] += read_units(sum(map(_record_bytes, found)))
        yield from found


def metered_ports(meter: Meter, *, shards: int) -> Ports:
    """Fresh ports whose calls `meter` counts."""
    payloads, clock = MeteredPayloads(meter), ManualClock()
    return replace(
        memory_ports(),
        table=MeteredTable(meter),
        catalog=MeteredCatalog(meter),
        payloads=payloads,
        links=MeteredLinks(meter, payloads, clock),
        volumes=MeteredVolumeCatalog(meter),
        clock=clock,
        layout=Layout(shards=shards),
    )
