"""Read inside a snapshot: its entities, as they were at its cut. Only the catalog and stored objects are read.

A gateway waits 29 seconds for an answer. One that would take longer is refused before that, with a word on what to ask
for instead.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import chain
from typing import Final

from tidemark.domain.keys import SEPARATOR, EntityKey
from tidemark.domain.manifest import Manifest
from tidemark.domain.snapshot import ManifestRef, Snapshot, SnapshotStatus
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.engine.lookup import Proceed, find_id, shard_with
from tidemark.engine.recent import Recent
from tidemark.engine.records import Record
from tidemark.engine.scan import scan_shard
from tidemark.errors import AnswerTooSlow, SnapshotNotCompleted
from tidemark.ports import Ports
from tidemark.usecases.entities import StoredEntity
from tidemark.usecases.read_snapshots import get_snapshot

# Leaves the gateway's 29 s time for a cold start before, and for one slow read, sorting and writing after.
READ_BUDGET_S: Final = 20.0
# About 20 MB of a process.
_MAX_PACKS_HELD: Final = 20_000
_BEHIND_TYPE: Final = chr(ord(SEPARATOR) + 1)


@dataclass(frozen=True, slots=True)
class Inside:
    """The entities of one snapshot. See `usecases.entities.Readable`, which this is.

    Everything raises AnswerTooSlow once the clock is at `until_s`, and PackCorrupt.
    """

    ports: Ports
    snapshot: Snapshot
    manifest: Manifest
    until_s: float

    def find(self, entity_id: str, *, types: Sequence[str] | None = None) -> list[StoredEntity]:
        """Every entity with this id, only of `types` where given, in key order."""
        layers = shard_with(self.manifest, entity_id).layers
        payloads, parallel = self.ports.payloads, self.ports.parallel
        proceed = self._in_time(lambda: "name the entity's type, so that no other is looked through")
        return [_stored(found) for found in find_id(payloads, parallel, layers, entity_id, types, proceed=proceed)]

    def view[T](self, fold: Callable[[Iterator[StoredEntity]], T], *, types: Sequence[str] | None = None) -> T:
        """What `fold` makes of all entities in key order, only of `types` where given, whose frames alone are read."""
        return fold(self._entities(types))

    def _entities(self, types: Sequence[str] | None) -> Iterator[StoredEntity]:
        passed = 0

        def advice() -> str:
            return (
                f"{passed} entities were passed; name exact types, which alone are read then, or one id, "
                "or ask for a smaller offset, without options=count and orderBy"
            )

        proceed = self._in_time(advice)
        for from_key, to_key in [(None, None)] if types is None else map(span_of_type, sorted(set(types))):
            for found in self._records(from_key, to_key, proceed):
                proceed()
                passed += 1
                yield _stored(found)

    def _records(self, from_key: str | None, to_key: str | None, proceed: Proceed) -> Iterator[Record]:
        shards = [
            scan_shard(self.ports.payloads, shard, from_key=from_key, to_key=to_key, proceed=proceed)
            for shard in self.manifest.shards
        ]
        return merge(*self.ports.parallel.map(begun, shards), key=lambda found: found.key)

    def _in_time(self, advice: Callable[[], str]) -> Proceed:
        doing = f"reading snapshot {self.snapshot.id}"
        return in_time(self.ports, self.until_s, lambda: f"{doing} takes longer than one answer may: {advice()}")


def inside(ports: Ports, tenant: Tenant, snapshot_id: str, *, budget_s: float = READ_BUDGET_S) -> Inside:
    """The entities of a snapshot, to be read within `budget_s` from now.

    Raises SnapshotNotFound, SnapshotNotCompleted, ManifestCorrupt.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    snapshot = get_snapshot(ports, tenant, snapshot_id)
    if snapshot.status is not SnapshotStatus.COMPLETED or snapshot.manifest is None:
        raise SnapshotNotCompleted(_why_not(snapshot))
    return Inside(ports, snapshot, kept_manifest(ports, snapshot.manifest), until_s)


def kept_manifest(ports: Ports, reference: ManifestRef) -> Manifest:
    """The manifest behind a reference, which this process may have read before. Raises ManifestCorrupt."""
    return _manifests.get(reference, lambda: manifests.read(ports.payloads, reference))


def forget() -> None:
    """Keep no manifest any more."""
    _manifests.clear()


def in_time(ports: Ports, until_s: float, refusal: Callable[[], str]) -> Proceed:
    """What raises AnswerTooSlow, with that sentence, when it is called once the clock is at `until_s`."""

    def proceed() -> None:
        if ports.clock.monotonic_s() >= until_s:
            raise AnswerTooSlow(refusal())

    return proceed


def _why_not(snapshot: Snapshot) -> str:
    if snapshot.status is SnapshotStatus.CREATING:
        return f"snapshot {snapshot.id} is still being made: read it once its status is completed"
    why = f" ({snapshot.failure.code})" if snapshot.failure else ""
    return f"the capture of snapshot {snapshot.id} failed{why}, so it holds nothing to read: choose another one"


def begun[T](records: Iterator[T]) -> Iterator[T]:
    """The same records, after the first has been read: the shards begin side by side."""
    return chain([first], records) if (first := next(records, None)) is not None else iter(())


def span_of_type(type_: str) -> tuple[str, str]:
    """Between which keys the entities of a type stand: the first inclusive, the second exclusive."""
    return type_ + SEPARATOR, type_ + _BEHIND_TYPE


def _stored(found: Record) -> StoredEntity:
    return StoredEntity(EntityKey.parse(found.key), (found.value or b"").decode())


_manifests: Final[Recent[ManifestRef, Manifest]] = Recent(_MAX_PACKS_HELD, lambda manifest: len(manifest.packs) + 64)
