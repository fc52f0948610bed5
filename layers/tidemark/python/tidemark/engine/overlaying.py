"""Partial restores at work: a snapshot laid over live data, shard by shard, into a generation that nobody reads yet;
then what was written meanwhile is brought after it.

Staging reads live data as of one cut, which is being captured: so the same shard staged twice gives the same items.
Whatever was written later is found by the index of changes and laid over anew. These later writes pass a gate, like
those of writers: when the gates have moved, as a cutover moves all of them, they fail. So a worker that comes late
can't reach the generation once it is live.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Final, NamedTuple

from tidemark.domain.change import Change, change_of
from tidemark.domain.keys import EntityKey, behind, gate_of, id_in
from tidemark.domain.live import Cut, Gate, Generation, Item, ItemKey, ItemWrite
from tidemark.domain.manifest import Manifest
from tidemark.domain.restore import Changes, Part, StagedPart
from tidemark.domain.tenant import Tenant
from tidemark.engine.changes import changed_keys
from tidemark.engine.joining import Pair, joined, records_of
from tidemark.engine.live import generations
from tidemark.engine.live.writes import MAX_TRANSACTION_BYTES
from tidemark.engine.lookup import read_keys, shard_with
from tidemark.engine.overlay import Overlay, as_of, item_of
from tidemark.engine.records import Record, record
from tidemark.engine.staging import digest_of, steps
from tidemark.errors import WriteConflict
from tidemark.ports import Ports

# A transaction takes 100 actions, of which one checks a gate.
_BROUGHT_AT_ONCE: Final = 48
# Under closed gates, all pauses together must be short beside the patience of the writers that wait.
_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 0.01


class Job(NamedTuple):
    """Laying `manifest` over generation `live` of a tenant, as generation `staged`."""

    tenant: Tenant
    manifest: Manifest
    overlay: Overlay
    stamp: Gate
    live: Generation
    staged: Generation
    shards: int
    baseline: Cut


def pairs(ports: Ports, job: Job, shard: int, *, after: str | None = None) -> Iterator[Pair]:
    """The snapshot beside the live data of a shard as of the baseline, behind key `after`; no tombstones. Raises
    PackCorrupt.
    """
    items = (as_of(item, job.baseline) for item in generations.items(ports, job.tenant, job.live, shard, after))
    from_key = None if after is None else behind(after)
    records = records_of(ports.payloads, job.manifest, shard, job.shards, from_key=from_key)
    return joined(records, (one for one in items if one))


def stage(
    ports: Ports, job: Job, part: Part, proceed: Callable[[], None], *, after: str | None = None
) -> Iterator[StagedPart]:
    """Write the part's shard into the new generation, behind key `after`, step by step; what each step wrote, and what
    that changes. Can be repeated.

    Its keys are not cut into ranges beforehand: the snapshot's would say nothing of how much is live between them.
    `proceed` is called before each step and may raise to stop. Raises PackCorrupt.
    """
    shard = part.shard
    for some, reached in steps((pair.key, _size_bytes(pair), pair) for pair in pairs(ports, job, shard, after=after)):
        proceed()
        items: list[Item] = []
        records, seen = 0, Counter[Change | None]()
        for pair in some:
            was, now = text_of(pair.was), pair.now.doc if pair.now else None
            result = job.overlay.result(pair.key, was, now)
            records += pair.was is not None
            if now is not None or result is not None:
                seen[change_of(now, result)] += 1
            item = item_of(job.stamp, ItemKey(job.staged, shard, pair.key), pair.now, result)
            if item is not None:
                items.append(item)
        ports.table.insert(job.tenant, items)
        lines = [record(item.key.sort_key, item.doc).line for item in items if item.doc is not None]
        yield StagedPart(part.number, records, (digest_of(shard, lines),), Changes.of(seen), reached)


def _size_bytes(pair: Pair) -> int:
    """About how much it takes, and may become."""
    was = len(pair.was.line) if pair.was is not None else 0
    return was + (len(pair.now.doc or "") if pair.now is not None else 0)


def bring(ports: Ports, job: Job, since: Cut, fences: Mapping[int, Gate]) -> int:
    """Lay over anew whatever was written in cuts after `since`; how many entities that were.

    `fences` are gates as they were when `live` was still what readers see. Can be repeated. Raises WriteConflict when
    one of them has moved.
    """
    counts = ports.parallel.map(lambda shard: _bring_shard(ports, job, shard, since, fences), range(job.shards))
    return sum(counts)


def _bring_shard(ports: Ports, job: Job, shard: int, since: Cut, fences: Mapping[int, Gate]) -> int:
    count = 0
    found = changed_keys(ports, job.tenant, job.live, shard, since)
    for some in batched((one.sort_key for one in found), _BROUGHT_AT_ONCE, strict=False):
        # An entity that is written while its shard is listed may be listed twice.
        sort_keys = list(dict.fromkeys(some))
        count += len(sort_keys)
        _bring_some(ports, job, shard, sort_keys, fences)
    return count


def _bring_some(ports: Ports, job: Job, shard: int, sort_keys: Sequence[str], fences: Mapping[int, Gate]) -> None:
    """A transaction conflicts with all others that check its gate at the same moment, those of writers and of other
    shards, so one that loses is tried again while the gates stand.
    """
    pause_s = _FIRST_PAUSE_S
    for tries_left in reversed(range(_TRIES)):
        try:
            for fence, group in _fenced(list(_writes(ports, job, shard, sort_keys)), fences):
                ports.table.commit(job.tenant, [fence], group)
        except WriteConflict:
            if not tries_left or ports.table.load(job.tenant, gates=list(fences)).gates != fences:
                raise
            ports.clock.sleep(pause_s * (0.5 + ports.entropy.jitter()))
            pause_s *= 2
        else:
            return


def _fenced(writes: Sequence[ItemWrite], fences: Mapping[int, Gate]) -> Iterator[tuple[Gate, Sequence[ItemWrite]]]:
    """The writes in groups that fit a transaction, with the gate that each is to pass.

    While gates are open, any will do: all of them move before a flip. After it closed ones open one by one, so one that
    is still closed says nothing of what writers have committed through another: each entity passes its own.
    """
    by_gate: defaultdict[int, list[ItemWrite]] = defaultdict(list)
    closed = any(fence.closed_by is not None for fence in fences.values())
    for write in writes:
        passed = write if closed else writes[0]
        by_gate[gate_of(id_in(passed.key.sort_key), len(fences))].append(write)
    for number, some in by_gate.items():
        for group in _fitting(some):
            yield fences[number], group


def _writes(ports: Ports, job: Job, shard: int, sort_keys: Sequence[str]) -> Iterator[ItemWrite]:
    """What the new generation lacks of these entities."""
    places = [(ItemKey(job.live, shard, one), ItemKey(job.staged, shard, one)) for one in sort_keys]
    items = ports.table.load(job.tenant, [key for both in places for key in both]).items
    records = _records(ports, job, sort_keys)
    for live, staged in places:
        now, present = items.get(live), items.get(staged)
        result = job.overlay.result(live.sort_key, text_of(records.get(live.sort_key)), now.doc if now else None)
        wanted = item_of(job.stamp, staged, now, result)
        if wanted is None or (present is not None and wanted._replace(rev=present.rev) == present):
            continue
        rev = present.rev if present else None
        yield ItemWrite(staged, rev, wanted._replace(rev=(rev or 0) + 1))


def _records(ports: Ports, job: Job, sort_keys: Sequence[str]) -> dict[str, Record]:
    """The snapshot's records of those of the keys that can be selected; each frame that holds some is read once."""
    selection = job.overlay.selection
    wanted: defaultdict[int, list[str]] = defaultdict(list)
    for sort_key in sort_keys:
        key = EntityKey.parse(sort_key)
        if selection is None or selection.names(key):
            wanted[shard_with(job.manifest, key.id).shard].append(sort_key)
    return {
        found.key: found
        for shard, keys in wanted.items()
        for found in read_keys(ports.payloads, job.manifest.shards[shard], sorted(keys))
    }


def _fitting(writes: Sequence[ItemWrite]) -> Iterator[Sequence[ItemWrite]]:
    """The writes in groups that fit a transaction."""
    group: list[ItemWrite] = []
    size_bytes = 0
    for write in writes:
        size = len((write.item.doc or "").encode()) if write.item else 0
        if group and size_bytes + size > MAX_TRANSACTION_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(write)
        size_bytes += size
    if group:
        yield group


def text_of(found: Record | None) -> str | None:
    """The document of a record that may not be there."""
    return found.value.decode() if found is not None and found.value is not None else None
