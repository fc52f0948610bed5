"""The control records of a tenant's live data: which generation readers see, which cut writes belong to, who holds the
lease.

All three kinds of record (tenant state, gate, item) carry `rev`, and every change is a compare-and-swap on it. So no
rev of a record may come again: that of an item, which can go and be made anew, begins at a random number.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from tidemark.domain.tenant import Tenant

Cut = NewType("Cut", int)
Generation = NewType("Generation", int)
FencingToken = NewType("FencingToken", int)


class LeaseKind(StrEnum):
    """What the holder of a lease is doing."""

    CAPTURE = "capture"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to cut or to flip: one a tenant. `owner` is the capture or restore, `subject` what a person calls it.

    `attempt` counts the executions that drove the owner: 0 is the request itself, then the state machine's. A later
    attempt takes over from an earlier one.
    """

    kind: LeaseKind
    owner: str
    subject: str
    token: FencingToken
    attempt: int = 0


class Placement(NamedTuple):
    """Where to look first for a tenant's items.

    A hint: the tenant's state, read after them, says whether it was right.
    """

    generation: Generation
    shards: int
    gates: int


class Layout(NamedTuple):
    """How many shards (a power of two, at most 64) and gates a new tenant gets."""

    shards: int = 16
    gates: int = 16


@dataclass(frozen=True, slots=True)
class Base:
    """The snapshot that the live generation differs from only by what `changed` after `cut`.

    Without a snapshot the next capture is a full one, and deletes after `cut` leave tombstones all the same: a worker
    of a restore that comes late must find them.
    """

    snapshot_id: str | None
    cut: Cut


class Latecomers(NamedTuple):
    """Workers of the last restore that may still insert what they staged, until they are surely gone.

    What stops them where an entity was deleted since is its tombstone: none of a cut after `since` may go before
    `gone_at`.
    """

    since: Cut
    gone_at: datetime


@dataclass(frozen=True, slots=True)
class TenantState:
    """The record that decides. `generation` is what readers see; `cut` the cut that writes belong to now; `capturing`
    the cut being captured.

    `fence` is the last fencing token given out; it is also what new generations are numbered with, so neither is ever
    used twice.
    """

    tenant: Tenant
    shards: int
    gates: int
    generation: Generation
    cut: Cut
    fence: FencingToken
    capturing: Cut | None = None
    base: Base | None = None
    lease: Lease | None = None
    latecomers: Latecomers | None = None
    rev: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """What writers check in the transaction of every write. Closed while `closed_by` is set.

    `base` is the cut of the tenant's base snapshot: while it or `capturing` is set, a delete leaves a tombstone.
    """

    tenant: Tenant
    number: int
    generation: Generation
    cut: Cut
    capturing: Cut | None = None
    base: Cut | None = None
    closed_by: FencingToken | None = None
    rev: int = 0

    @property
    def keeps_tombstones(self) -> bool:
        """Whether some snapshot, finished or under way, still needs to hear of deletes."""
        return self.base is not None or self.capturing is not None


class ItemKey(NamedTuple):
    """Where an item lives: a full version of the tenant's data, a shard of it, and the sort key in it."""

    generation: Generation
    shard: int
    sort_key: str


class Anchor(NamedTuple):
    """What an item was at the end of a cut: a fingerprint, None where it did not exist."""

    cut: Cut
    was: str | None


class ChangedKey(NamedTuple):
    """That an item was written, in which cut last, and whether it is a tombstone."""

    cut: Cut
    sort_key: str
    deleted: bool = False


class Item(NamedTuple):
    """One entity as stored. `doc` is its canonical JSON, None on a tombstone.

    `changed` is the cut of the last write, None where a restore staged it. `prev_cut` is set when a write met a running
    capture: then `prev` is the entity as it was before that capture's cut (None: it did not exist), last written in cut
    `prev_cut` (0: staged).

    `anchors` say what it was at the cuts that the next deltas are made from, as far as it was written since.
    """

    key: ItemKey
    doc: str | None
    rev: int
    changed: Cut | None = None
    prev: str | None = None
    prev_cut: Cut | None = None
    anchors: tuple[Anchor, ...] = ()


class ItemWrite(NamedTuple):
    """One change in a transaction: `item` replaces what has `expected_rev` (None: nothing may be there); `item` None
    removes it.
    """

    key: ItemKey
    expected_rev: int | None
    item: Item | None
