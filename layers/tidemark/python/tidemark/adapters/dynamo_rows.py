"""The rows of the entity table: what tenant states, gates and items look like in DynamoDB.

Keys: `{tenant}#state` / `state`, `{tenant}#gate#{number}` / `gate`, and `{tenant}#{generation}#{shard}` / sort key of
the entity. What is None has no attribute. The local secondary indexes `byId` (on `id`) and `changed` are sparse: they
hold the items that have the attribute.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from tidemark.domain.keys import id_in
from tidemark.domain.live import (
    Anchor,
    Base,
    ChangedKey,
    Cut,
    FencingToken,
    Gate,
    Generation,
    Item,
    ItemKey,
    Latecomers,
    Lease,
    LeaseKind,
    TenantState,
)
from tidemark.domain.snapshot import SnapshotId
from tidemark.domain.tenant import Tenant

type Row = dict[str, Any]

STATE: Final = "state"
GATE: Final = "gate"


def text(value: str) -> Row:
    """A string attribute."""
    return {"S": value}


def number(value: int) -> Row:
    """A number attribute."""
    return {"N": str(value)}


def old_row(error: ClientError) -> Row | None:
    """The row that made a condition fail, from an answer that was asked to bring it; None when there was no row."""
    return cast("Row | None", error.response.get("Item"))


def partition(tenant: Tenant, generation: Generation, shard: int) -> str:
    """The partition key of a shard of the tenant's items."""
    return f"{tenant}#{generation}#{shard}"


def state_key(tenant: Tenant) -> Row:
    """Where the tenant's state is."""
    return {"pk": text(f"{tenant}#{STATE}"), "sk": text(STATE)}


def gate_key(tenant: Tenant, gate: int) -> Row:
    """Where a gate is: each in a partition of its own, since every transaction of its writers spends units on it."""
    return {"pk": text(f"{tenant}#{GATE}#{gate}"), "sk": text(GATE)}


def item_key(tenant: Tenant, key: ItemKey) -> Row:
    """Where an item is."""
    generation, shard, sort_key = key
    return {"pk": {"S": partition(tenant, generation, shard)}, "sk": {"S": sort_key}}


def state_row(state: TenantState) -> Row:
    """A tenant's state. Lease and base are flat attributes, so that a person can read them in the console."""
    row = state_key(state.tenant) | _numbers(
        shards=state.shards,
        gates=state.gates,
        generation=state.generation,
        cut=state.cut,
        fence=state.fence,
        capturing=state.capturing,
        rev=state.rev,
    )
    if state.base is not None:
        row["baseCut"] = number(state.base.cut)
        if state.base.snapshot_id is not None:
            row["baseSnapshotId"] = text(state.base.snapshot_id)
    if state.lease is not None:
        row |= {
            "leaseKind": text(state.lease.kind),
            "leaseOwner": text(state.lease.owner),
            "leaseSubject": text(state.lease.subject),
            "leaseToken": number(state.lease.token),
            "leaseAttempt": number(state.lease.attempt),
        }
    if state.latecomers is not None:
        row["latecomersSince"] = number(state.latecomers.since)
        row["latecomersGoneAt"] = text(state.latecomers.gone_at.isoformat())
    return row


def state_from(row: Row) -> TenantState:
    """The state in a row."""
    base = lease = latecomers = None
    if "baseCut" in row:
        named = row.get("baseSnapshotId")
        base = Base(SnapshotId(named["S"]) if named else None, Cut(_int(row, "baseCut")))
    if "leaseToken" in row:
        lease = Lease(
            LeaseKind(row["leaseKind"]["S"]),
            row["leaseOwner"]["S"],
            row["leaseSubject"]["S"],
            FencingToken(_int(row, "leaseToken")),
            _int(row, "leaseAttempt"),
        )
    if "latecomersSince" in row:
        gone_at = datetime.fromisoformat(row["latecomersGoneAt"]["S"])
        latecomers = Latecomers(Cut(_int(row, "latecomersSince")), gone_at)
    return TenantState(
        tenant=Tenant(row["pk"]["S"].partition("#")[0]),
        shards=_int(row, "shards"),
        gates=_int(row, "gates"),
        generation=Generation(_int(row, "generation")),
        cut=Cut(_int(row, "cut")),
        fence=FencingToken(_int(row, "fence")),
        capturing=_cut(row, "capturing"),
        base=base,
        lease=lease,
        latecomers=latecomers,
        rev=_int(row, "rev"),
    )


def gate_row(gate: Gate) -> Row:
    """A gate."""
    return gate_key(gate.tenant, gate.number) | _numbers(
        generation=gate.generation,
        cut=gate.cut,
        capturing=gate.capturing,
        base=gate.base,
        closedBy=gate.closed_by,
        rev=gate.rev,
    )


def gate_from(row: Row) -> Gate:
    """The gate in a row."""
    return Gate(
        tenant=Tenant(row["pk"]["S"].partition("#")[0]),
        number=int(row["pk"]["S"].rpartition("#")[2]),
        generation=Generation(_int(row, "generation")),
        cut=Cut(_int(row, "cut")),
        capturing=_cut(row, "capturing"),
        base=_cut(row, "base"),
        closed_by=FencingToken(_int(row, "closedBy")) if "closedBy" in row else None,
        rev=_int(row, "rev"),
    )


def item_row(tenant: Tenant, item: Item) -> Row:
    """An item. A tombstone has neither `doc` nor `id`, so nobody finds it by its id."""
    row = item_key(tenant, item.key)
    row["rev"] = number(item.rev)
    if item.changed is not None:
        row["changed"] = number(item.changed)
    if item.prev_cut is not None:
        row["prevCut"] = number(item.prev_cut)
    if item.doc is None:
        row["deleted"] = {"BOOL": True}
    else:
        row["doc"] = {"S": item.doc}
        row["id"] = {"S": id_in(item.key.sort_key)}
    if item.prev is not None:
        row["prev"] = text(item.prev)
    if item.anchors:
        row["anchors"] = text(" ".join(f"{anchor.cut}:{anchor.was or ''}" for anchor in item.anchors))
    return row


def item_from(row: Row) -> Item:
    """The item in a row."""
    generation, shard = _place(row["pk"]["S"])
    doc, prev = row.get("doc"), row.get("prev")
    return Item(
        ItemKey(generation, shard, row["sk"]["S"]),
        doc["S"] if doc else None,
        _int(row, "rev"),
        _cut(row, "changed"),
        prev["S"] if prev else None,
        _cut(row, "prevCut"),
        _anchors(row["anchors"]["S"]) if "anchors" in row else (),
    )


@lru_cache(maxsize=256)
def _place(pk: str) -> tuple[Generation, int]:
    _, generation, shard = pk.split("#")
    return Generation(int(generation)), int(shard)


def changed_from(row: Row) -> ChangedKey:
    """The entry of the index `changed` in a row."""
    return ChangedKey(Cut(_int(row, "changed")), row["sk"]["S"], deleted="deleted" in row)


def _anchors(written: str) -> tuple[Anchor, ...]:
    pairs = (anchor.split(":") for anchor in written.split())
    return tuple(Anchor(Cut(int(cut)), was or None) for cut, was in pairs)


def _numbers(**values: int | None) -> Row:
    return {name: number(value) for name, value in values.items() if value is not None}


def _int(row: Row, name: str) -> int:
    return int(row[name]["N"])


def _cut(row: Row, name: str) -> Cut | None:
    return Cut(_int(row, name)) if name in row else None
