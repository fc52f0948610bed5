"""Compare a snapshot with another one, or with live data: how many entities differ, and a page of those that do.

Layers that both share are not read, except for what the entities of the page were. Who asks for another page has what
differs read again, so that nothing is kept between requests.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Final, NamedTuple

from tidemark.domain.change import Change
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import EntityKey
from tidemark.domain.manifest import Manifest
from tidemark.domain.tenant import Tenant
from tidemark.engine.differences import Difference, Lines, Run, Sides, differences, sides
from tidemark.engine.joining import records_of
from tidemark.engine.lookup import Proceed, read_keys_of_layers
from tidemark.engine.records import Record
from tidemark.errors import PackCorrupt
from tidemark.ports import Ports
from tidemark.usecases.live_layers import Shards, with_live
from tidemark.usecases.read_inside import READ_BUDGET_S, begun, in_time, inside, span_of_type

LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entities are compared: of exact `types` (None: all), and those that `admits` lets pass. Of these a page is
    told: after the first `offset` at most `limit`, only those of the `changes`.
    """

    types: Sequence[str] | None = None
    admits: Callable[[EntityKey], bool] = lambda _key: True
    changes: frozenset[Change] = frozenset(Change)
    limit: int = 20
    offset: int = 0


class Differing(NamedTuple):
    """An entity that differs. The documents are those of an updated one, else None."""

    key: EntityKey
    change: Change
    old: str | None = None
    new: str | None = None


class Comparison(NamedTuple):
    """How many entities changed in which way; the page; and how many there are on all pages."""

    counts: Mapping[Change, int]
    entities: Sequence[Differing]
    total: int


class _Placed(NamedTuple):
    shard: Sides
    found: Difference


def compare(
    ports: Ports, tenant: Tenant, old_id: str, new_id: str, wanted: Wanted, *, budget_s: float = READ_BUDGET_S
) -> Comparison:
    """What became of the entities of snapshot `old_id` by the time of snapshot `new_id`, or by now where that is LIVE.

    Raises SnapshotNotFound, SnapshotNotReadable, Corrupt ones, AnswerTooSlow once `budget_s` is over.
    """
    until_s = ports.clock.monotonic_s() + budget_s
    passed = Counter[None]()

    def refusal() -> str:
        return (
            f"comparing {old_id} with {new_id} takes longer than one answer may; {passed.total()} entities that differ "
            "were found in time: name exact types, which alone are read then, or compare snapshots that lie closer "
            "together"
        )

    proceed = in_time(ports, until_s, refusal)
    old = inside(ports, tenant, old_id, budget_s=budget_s).manifest

    def fold(shards: Sequence[Sides]) -> Comparison:
        passed.clear()
        return _folded(ports, shards, wanted, proceed, passed)

    if new_id == LIVE:
        return with_live(ports, tenant, lambda live: fold(_beside_live(ports, old, live)), proceed=proceed)
    return fold(_beside(ports, old, inside(ports, tenant, new_id, budget_s=budget_s).manifest))


def _beside(ports: Ports, old: Manifest, new: Manifest) -> list[Sides]:
    return _paired(ports, old, [shard.layers for shard in new.shards])


def _beside_live(ports: Ports, old: Manifest, live: Shards) -> list[Sides]:
    # A tenant that nobody ever wrote to has no shards yet.
    return _paired(ports, old, live or [()] * len(old.shards))


def _paired(ports: Ports, old: Manifest, new: Shards) -> list[Sides]:
    """The shards of both; of another number of shards nothing is common."""
    count = len(new)
    if len(old.shards) == count:
        return [sides(one.layers, other) for one, other in zip(old.shards, new, strict=True)]
    return [Sides((), [_resharded(ports, old, shard, count)], runs) for shard, runs in enumerate(new)]


def _resharded(ports: Ports, manifest: Manifest, shard: int, shards: int) -> Run:
    def read(from_key: str | None, to_key: str | None) -> Iterator[Record]:
        for found in records_of(ports.payloads, manifest, shard, shards):
            if (from_key is None or found.key >= from_key) and (to_key is None or found.key < to_key):
                yield found

    return Lines(read)


def _folded(
    ports: Ports, shards: Sequence[Sides], wanted: Wanted, proceed: Proceed, passed: Counter[None]
) -> Comparison:
    counts: Counter[Change] = Counter(dict.fromkeys(Change, 0))
    page: list[_Placed] = []
    total = 0
    for placed in _placed(ports, shards, wanted, proceed):
        if not wanted.admits(EntityKey.parse(placed.found.key)):
            continue
        passed[None] += 1
        counts[placed.found.change] += 1
        if placed.found.change in wanted.changes:
            if wanted.offset <= total < wanted.offset + wanted.limit:
                page.append(placed)
            total += 1
    return Comparison(counts, _told(ports, page, proceed), total)


def _placed(ports: Ports, shards: Sequence[Sides], wanted: Wanted, proceed: Proceed) -> Iterator[_Placed]:
    """What differs, in key order. The shards begin side by side."""
    spans = [(None, None)] if wanted.types is None else map(span_of_type, sorted(set(wanted.types)))
    for from_key, to_key in spans:
        runs = [_of_shard(ports, shard, from_key, to_key, proceed) for shard in shards]
        yield from merge(*ports.parallel.map(begun, runs), key=lambda placed: placed.found.key)


def _of_shard(
    ports: Ports, shard: Sides, from_key: str | None, to_key: str | None, proceed: Proceed
) -> Iterator[_Placed]:
    for found in differences(ports.payloads, shard, from_key=from_key, to_key=to_key, proceed=proceed):
        yield _Placed(shard, found)


def _told(ports: Ports, page: Sequence[_Placed], proceed: Proceed) -> list[Differing]:
    """The page, with what updated entities were and are: what is not said above the common layers is looked up."""
    wanted: defaultdict[int, list[_Placed]] = defaultdict(list)
    for placed in page:
        if placed.found.change is Change.UPDATED and (placed.found.old is None or placed.found.new is None):
            wanted[id(placed.shard)].append(placed)
    below = {
        key: text
        for found in ports.parallel.map(lambda some: _below(ports, some, proceed), list(wanted.values()))
        for key, text in found.items()
    }
    told: list[Differing] = []
    for _, found in page:
        key = EntityKey.parse(found.key)
        if found.change is not Change.UPDATED:
            told.append(Differing(key, found.change))
            continue
        old, new = (below[found.key] if line is None else _text(line) for line in (found.old, found.new))
        told.append(Differing(key, found.change, old, new))
    return told


def _below(ports: Ports, some: Sequence[_Placed], proceed: Proceed) -> dict[str, str]:
    """What the common layers of a shard have of some entities. Raises PackCorrupt where they have something else."""
    keys = [placed.found.key for placed in some]
    layers = some[0].shard.common
    found = {one.key: _text(one) for one in read_keys_of_layers(ports.payloads, layers, keys, proceed=proceed)}
    for placed in some:
        if fingerprint(found.get(placed.found.key)) != placed.found.below:
            raise PackCorrupt(f"a delta says of {placed.found.key!r} that something else lies below it")
    return found


def _text(found: Record) -> str:
    return (found.value or b"").decode()
