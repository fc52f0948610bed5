"""What the engine and the use cases need of the outside world, as Protocols.

Every method is one call of the outside world: it either happened, or it raised. Errors are classes of
`tidemark.errors`; besides those that a method names, each may raise Throttled or AwsFailure, after its adapter's own
retries. Reads are strongly consistent. All implementations are safe to share between threads.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from tidemark.domain.api_key import ApiKey
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import (
    ChangedKey,
    Cut,
    Gate,
    Generation,
    Item,
    ItemKey,
    ItemWrite,
    Layout,
    Placement,
    TenantState,
)
from tidemark.domain.restore import Restore, StagedPart
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.links import Links


class Clock(Protocol):
    """Time. `now` is for records that people read; only `monotonic_s` may decide how long something took."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Entropy(Protocol):
    """Randomness: identities, secrets and jitter."""

    def token_bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...


class Parallel(Protocol):
    """Runs independent calls side by side."""

    def map[T, R](self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The results in the order of the items.

        All calls are finished when it returns or raises the first error, in the order of the items.
        """
        ...


class Catalog(Protocol):
    """The records of snapshots, restores and API keys.

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

    def snapshots(self, tenant: Tenant) -> Iterator[Snapshot]:
        """All snapshots of the tenant, newest first, in every status."""
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

    def replace_restore(self, restore: Restore) -> Restore:
        """Store a changed restore."""
        ...

    def record_part(self, tenant: Tenant, restore_id: str, part: StagedPart) -> None:
        """Note the result of a staging worker. Repeating it replaces the note."""
        ...

    def parts(self, tenant: Tenant, restore_id: str) -> list[StagedPart]:
        """The results noted so far, by part number."""
        ...

    def remove_parts(self, tenant: Tenant, restore_id: str) -> None:
        """Forget the results noted of a restore. Repeating it changes nothing."""
        ...

    def add_key(self, key: ApiKey) -> ApiKey:
        """Register an API key."""
        ...

    def key(self, key_id: str) -> ApiKey:
        """One API key. Raises KeyNotFound."""
        ...

    def replace_key(self, key: ApiKey) -> ApiKey:
        """Store a changed API key."""
        ...


class Loaded(NamedTuple):
    """What one read found: absent records are absent here."""

    state: TenantState | None
    gates: Mapping[int, Gate]
    items: Mapping[ItemKey, Item]


class Page(NamedTuple):
    """Some items in key order; `more` says that others may follow the last one, which the next page tells."""

    items: Sequence[Item]
    more: bool


class ChangedPage(NamedTuple):
    """Some changed items in the order of their cuts, then keys; `more` says that others may follow the last one."""

    keys: Sequence[ChangedKey]
    more: bool


class EntityTable(Protocol):
    """The table of the built-in entity store: tenant states, gates and items.

    The protocols on top of it are in `engine.live`.
    """

    def load(self, tenant: Tenant, keys: Sequence[ItemKey] = (), gates: Sequence[int] = ()) -> Loaded:
        """The tenant's state, and the named items and gates, in one request where they are at most 99 (each is read at
        its own moment).
        """
        ...

    def add_state(self, state: TenantState) -> None:
        """Create the tenant's state. Raises RecordExists."""
        ...

    def replace_state(self, state: TenantState) -> TenantState:
        """Store a changed state with `rev` one higher, if the stored `rev` is the given one.

        Raises StaleRecord. May be repeated.
        """
        ...

    def add_gate(self, gate: Gate) -> None:
        """Create a gate. Raises RecordExists."""
        ...

    def replace_gate(self, gate: Gate) -> Gate:
        """Store a changed gate with `rev` one higher, if the stored `rev` is the given one.

        Raises StaleRecord. May be repeated.
        """
        ...

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        """All writes or none, if every gate is still at the given `rev` and every item at its expected one. Raises
        WriteConflict.

        At most 100 gates and writes together, 4 MB in all (AWS limits of a transaction).
        """
        ...

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
        """Items of a shard in key order, tombstones included: those whose key begins with `prefix`, after key `after`,
        at most `limit`.
        """
        ...

    def keys_of_id(self, tenant: Tenant, generation: Generation, shard: int, entity_id: str) -> list[EntityKey]:
        """The keys of the live entities with this id, in key order."""
        ...

    def changed_keys(
        self, tenant: Tenant, generation: Generation, shard: int, *, since: Cut, after: ChangedKey | None = None
    ) -> ChangedPage:
        """Which items of a shard were written in cuts after `since`, by cut, then key; those after `after` only."""
        ...

    def insert(self, tenant: Tenant, items: Sequence[Item]) -> None:
        """Create items; one that exists is left as it is. Not atomic as a whole. Repeating it changes nothing."""
        ...

    def remove(self, tenant: Tenant, keys: Sequence[ItemKey]) -> None:
        """Remove items, whatever they are. Repeating it changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as listed or inspected. `sha256` in hexadecimal; None where the listing does not tell."""

    key: str
    size_bytes: int
    sha256: str | None = None


class PayloadStore(Protocol):
    """Immutable objects."""

    def put(self, key: str, body: bytes) -> None:
        """Store a new object; the store checks its SHA-256 on arrival.

        Raises ObjectExists when the key is taken, by whatever bytes.
        """
        ...

    def copy(self, source_key: str, key: str) -> None:
        """Store a new object with the bytes of another one, without moving them; the store forms their SHA-256 anew.

        Raises ObjectExists when `key` is taken, by whatever bytes; ObjectNotFound when there is no source.
        """
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFound."""
        ...

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        """A part of the object; shorter where the object ends. Raises ObjectNotFound."""
        ...

    def head(self, key: str) -> StoredObject:
        """Length and checksum as the store knows them. Raises ObjectNotFound."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose key begins with `prefix`, in key order."""
        ...

    def delete(self, key: str) -> bool:
        """Delete an object. True: it is gone, or was not there. False: the store retains it, by its rules of access or
        retention.
        """
        ...


class Workflows(Protocol):
    """The state machines."""

    def start_capture(self, tenant: Tenant, snapshot_id: str, capture_id: str, *, attempt: int, delay_s: int) -> None:
        """Start the execution of a capture after a delay.

        Repeating it changes nothing while that attempt runs or after it ended.
        """
        ...

    def start_restore(self, tenant: Tenant, restore_id: str, *, attempt: int) -> None:
        """Start the execution of a restore. Repeating it changes nothing while that attempt runs or after it ended."""
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

    def running(self, tenant: Tenant, subject: str, *, attempt: int) -> bool | None:
        """Whether that attempt of the snapshot's, restore's, verification's or transfer's execution is running; None
        when it was never started.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the use cases may reach.

    `layout` is for tenants that are new; `placements` remembers hints between requests.
    """

    catalog: Catalog
    table: EntityTable
    payloads: PayloadStore
    links: Links
    workflows: Workflows
    clock: Clock
    entropy: Entropy
    parallel: Parallel
    layout: Layout = Layout()  # noqa: RUF009 - a frozen tuple
    placements: dict[Tenant, Placement] = field(default_factory=dict)
