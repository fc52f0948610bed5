"""Values for the contract tests."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tidemark.domain.api_key import Action, ApiKey
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut, FencingToken, Gate, Generation, Item, ItemKey, ItemWrite, TenantState
from tidemark.domain.restore import Restore, RestoreId
from tidemark.domain.schedule import Schedule, new_schedule_id
from tidemark.domain.snapshot import CaptureId, Snapshot, SnapshotId, restore_id, snapshot_id
from tidemark.domain.tenant import Tenant
from tidemark.ports import EntityTable

ACME = Tenant("acme")
OTHER = Tenant("acme_2")
ONE = Generation(1)
TEN_O_CLOCK = datetime(2026, 1, 15, 10, 0, 0, 123456, tzinfo=UTC)


def key(name: str, *, entity_type: str = "Room", path: str = "/", generation: int = 1, shard: int = 0) -> ItemKey:
    return ItemKey(Generation(generation), shard, EntityKey(entity_type, name, path).sort_key)


def item(at: str | ItemKey, doc: str | None = "{}", *, rev: int = 1, **fields: Any) -> Item:
    return Item(key(at) if isinstance(at, str) else at, doc, rev, **fields)


def create(new: Item) -> ItemWrite:
    return ItemWrite(new.key, None, new)


def change(present: Item, new: Item) -> ItemWrite:
    return ItemWrite(present.key, present.rev, new)


def delete(present: Item) -> ItemWrite:
    return ItemWrite(present.key, present.rev, None)


def gate(number: int = 0, tenant: Tenant = ACME, **fields: Any) -> Gate:
    return Gate(tenant, number, ONE, Cut(1), **fields)


def state(tenant: Tenant = ACME, **fields: Any) -> TenantState:
    return TenantState(tenant, 16, 16, ONE, Cut(1), FencingToken(1), **fields)


def every_item(table: EntityTable, tenant: Tenant = ACME, **query: Any) -> Iterator[Item]:
    """All pages of shard 0 of generation 1."""
    more = True
    while more:
        page = table.page(tenant, ONE, 0, **query)
        yield from page.items
        more = page.more
        if page.items:
            query["after"] = page.items[-1].key.sort_key


def snapshot(second: int = 0, sequence: int = 1, *, tenant: Tenant = ACME, **fields: Any) -> Snapshot:
    created_at = TEN_O_CLOCK + timedelta(seconds=second)
    name: SnapshotId = snapshot_id(created_at, sequence)
    return Snapshot(tenant, name, created_at, CaptureId(f"capture-{second}-{sequence}"), FencingToken(7), **fields)


def restore(second: int = 0, sequence: int = 1, *, tenant: Tenant = ACME, **fields: Any) -> Restore:
    created_at = TEN_O_CLOCK + timedelta(seconds=second)
    return Restore(
        tenant=tenant,
        id=RestoreId(restore_id(created_at, sequence)),
        owner=f"owner-{second}-{sequence}",
        snapshot_id=SnapshotId("snapshot_2026-01-15T10-00-00Z"),
        created_at=created_at,
        token=FencingToken(8),
        generation=Generation(8),
        from_generation=ONE,
        total=1000,
        **fields,
    )


def schedule(number: int = 0, *, tenant: Tenant = ACME, **fields: Any) -> Schedule:
    return Schedule(
        tenant=tenant,
        id=new_schedule_id(bytes(7) + bytes([number])),
        created_at=TEN_O_CLOCK,
        starts_at=TEN_O_CLOCK.replace(second=0, microsecond=0) + timedelta(minutes=1),
        **{"expression": "cron(30 0 * * ? *)"} | fields,
    )


def api_key(name: str = "dashboard", **fields: Any) -> ApiKey:
    return ApiKey(
        name.encode().hex().ljust(64, "0"), name, frozenset({"acme"}), frozenset({Action.READ}), TEN_O_CLOCK, **fields
    )
